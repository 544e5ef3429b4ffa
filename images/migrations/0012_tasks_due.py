"""A view over everything that is work, so that operators see in one place what is due."""

from django.db import migrations, models

# The tables that are leased, each with its task and with what a row is of.
LEASED = {
    "run_build": ("build", "image.name || ' #' || work.number", "JOIN images_managedimage image ON image.id = work.image_id"),
    "prepare_base_repository": ("baseimage", "work.image_type || ' ' || work.python_version", ""),
    "resolve_alteration": ("alteration", "image.name", "JOIN images_managedimage image ON image.id = work.image_id"),
    "deliver": ("delivery", "work.event || ' to ' || webhook.url", "JOIN images_webhook webhook ON webhook.id = work.webhook_id"),
}
LEASE = """
SELECT '{task} ' || work.id AS id, '{task}' AS task, work.id AS "row", {of} AS "of", work.state, work.created_at AS since,
       work.due_at, work.lease_expires_at, work.attempts, work.error_message AS error
FROM images_{table} work {join} WHERE work.state IN ('queued', 'running')"""
REPOSITORY = """
SELECT CASE WHEN removed_at IS NULL THEN 'prepare_repository ' ELSE 'delete_repository ' END || id,
       CASE WHEN removed_at IS NULL THEN 'prepare_repository' ELSE 'delete_repository' END, id, name, 'queued',
       coalesce(removed_at, created_at), repository_due_at, NULL, 0, repository_error
FROM images_managedimage WHERE removed_at IS NOT NULL OR repository_ready_at IS NULL"""
VIEW = "CREATE VIEW images_task_due AS" + " UNION ALL ".join(
    [LEASE.format(task=task, table=table, of=of, join=join) for task, (table, of, join) in LEASED.items()]
    + [REPOSITORY]
)


class Migration(migrations.Migration):
    dependencies = [("images", "0011_aws_contact")]
    operations = [
        migrations.RunSQL(VIEW, "DROP VIEW images_task_due"),
        migrations.CreateModel(
            name="TaskDue",
            fields=[
                ("id", models.CharField(max_length=80, primary_key=True, serialize=False)),
                ("task", models.CharField(max_length=40)),
                ("row", models.BigIntegerField()),
                ("of", models.CharField(max_length=255)),
                ("state", models.CharField(max_length=16)),
                ("since", models.DateTimeField()),
                ("due_at", models.DateTimeField()),
                ("lease_expires_at", models.DateTimeField(null=True)),
                ("attempts", models.IntegerField()),
                ("error", models.TextField()),
            ],
            options={
                "verbose_name": "task due",
                "verbose_name_plural": "tasks due",
                "db_table": "images_task_due",
                "managed": False,
            },
        ),
    ]
