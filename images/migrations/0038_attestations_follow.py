import django.db.models.deletion
import django.db.models.functions.datetime
import images.models.lease
from django.db import migrations, models


# The view of 0025, with one more table that is leased.
BUILD_NAME = "image.name || ' #' || build.number"
OF_BUILD = "JOIN images_build build ON build.id = work.build_id JOIN images_managedimage image ON image.id = build.image_id"
LEASED = {
    "run_build": ("build", "image.name || ' #' || work.number", "JOIN images_managedimage image ON image.id = work.image_id"),
    "prepare_base_repository": ("baseimage", "work.image_type || ' ' || work.python_version", ""),
    "resolve_alteration": ("alteration", "image.name", "JOIN images_managedimage image ON image.id = work.image_id"),
    "check_imports": ("importcheck", BUILD_NAME, OF_BUILD),
    "write_attestation": ("attestation", BUILD_NAME, OF_BUILD),
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


def view(tasks):
    leased = [LEASE.format(task=task, table=LEASED[task][0], of=LEASED[task][1], join=LEASED[task][2]) for task in tasks]
    return "CREATE OR REPLACE VIEW images_task_due AS" + " UNION ALL ".join([*leased, REPOSITORY])


BEFORE = [task for task in LEASED if task != "write_attestation"]


class Migration(migrations.Migration):
    dependencies = [
        ('images', '0037_lists_at_any_size'),
    ]

    operations = [
        migrations.CreateModel(
            name='KeptResolution',
            fields=[
                ('key', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('lock', models.TextField()),
                ('resolved_at', models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name='PutPace',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('free_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='put_pace_is_one_row')],
            },
        ),
        migrations.CreateModel(
            name='Attestation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('succeeded', 'Succeeded'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='queued', max_length=16)),
                ('lease_token', models.PositiveIntegerField(default=0)),
                ('lease_expires_at', models.DateTimeField(blank=True, null=True)),
                ('due_at', models.DateTimeField(default=images.models.lease.next_wake)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('error_code', models.CharField(blank=True, max_length=64)),
                ('error_message', models.TextField(blank=True)),
                ('error_hint', models.TextField(blank=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('build', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='attestation', to='images.build')),
            ],
            options={
                'verbose_name': 'attestation',
                'indexes': [models.Index(condition=models.Q(('state__in', ['queued', 'running'])), fields=['due_at'], name='attestation_due')],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['queued', 'running', 'succeeded', 'failed', 'cancelled'])), name='attestation_state_is_known'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'running'), _negated=True), ('lease_expires_at__isnull', False), _connector='OR'), name='attestation_running_holds_a_lease'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'failed'), _negated=True), models.Q(('error_code', ''), _negated=True), _connector='OR'), name='attestation_failed_has_a_code')],
            },
        ),
        migrations.RunSQL(view(LEASED), view(BEFORE)),
        migrations.AddIndex(
            model_name='build',
            index=models.Index(condition=models.Q(('state', 'succeeded')), fields=['config_digest'], name='build_by_config'),
        ),
    ]
