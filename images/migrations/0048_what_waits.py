"""The view over everything that is work: with repairs, moving tags and wishes, and with the queue of each.

`since` is from when on a worker may take it, `queue` the one whose workers do.
"""

from importlib import import_module

from django.db import migrations, models

BEFORE = import_module("images.migrations.0038_attestations_follow")

OF_IMAGE = "JOIN images_managedimage image ON image.id = work.image_id"
OF_BUILD = "JOIN images_build build ON build.id = work.build_id JOIN images_managedimage image ON image.id = build.image_id"
BUILD_NAME = "image.name || ' #' || build.number"
LANE = "CASE WHEN {spec} -> 'allow_source' = 'true' THEN 'sources' ELSE 'builds' END"
OF_DRIFT = (
    "LEFT JOIN images_build build ON build.id = work.build_id LEFT JOIN images_managedimage image ON image.id = build.image_id "
    "LEFT JOIN images_baseimage base ON base.id = work.base_image_id"
)
DRIFT_NAME = f"coalesce({BUILD_NAME}, base.image_type || ' ' || base.python_version)"
CREATED, ATTEMPT = "work.created_at", "greatest(work.created_at, work.started_at, work.finished_at)"
# Task, table, what a row is of, what that is joined from, the queue, since when, and which rows.
LEASED = [
    ("run_build", "build", "image.name || ' #' || work.number", OF_IMAGE, LANE.format(spec="work.spec"),
     "greatest(work.created_at, work.not_before)", ""),
    ("prepare_base_repository", "baseimage", "work.image_type || ' ' || work.python_version", "",
     "CASE WHEN work.repository_ready_at IS NULL THEN 'registry' ELSE 'builds' END", ATTEMPT, ""),
    ("resolve_alteration", "alteration", "image.name", OF_IMAGE, LANE.format(spec="work.spec"), CREATED, ""),
    ("check_imports", "importcheck", BUILD_NAME, OF_BUILD, "'sources'", CREATED, ""),
    ("write_attestation", "attestation", BUILD_NAME, OF_BUILD, "'builds'", CREATED, ""),
    ("deliver", "delivery", "work.event || ' to ' || webhook.url",
     "JOIN images_webhook webhook ON webhook.id = work.webhook_id", "'webhooks'", CREATED, ""),
    ("restore_repository", "drift", DRIFT_NAME, OF_DRIFT, "'registry'", ATTEMPT, "AND NOT work.repository_made"),
    ("push_again", "drift", DRIFT_NAME, OF_DRIFT, LANE.format(spec="build.spec"), ATTEMPT, "AND work.repository_made"),
    ("adopt_repository", "unknownrepository", "work.name", "", "'builds'", "work.wished_at", "AND work.wish = 'adopt'"),
    ("delete_unknown_repository", "unknownrepository", "work.name", "", "'registry'", "work.wished_at",
     "AND work.wish = 'delete'"),
]
LEASE = """
SELECT '{task} ' || work.id AS id, '{task}' AS task, work.id AS "row", {of} AS "of", work.state, {since} AS since,
       work.due_at, work.lease_expires_at, work.attempts, work.error_message AS error, {queue} AS queue
FROM images_{table} work {join} WHERE work.state IN ('queued', 'running') {which}"""
# These have no lease. A removal waits until its grace time is over; a tag's row is its image.
UNLEASED = """
SELECT 'prepare_repository ' || id, 'prepare_repository', id, name, 'queued', created_at, repository_due_at, NULL, 0,
       repository_error, 'registry'
FROM images_managedimage WHERE removed_at IS NULL AND repository_ready_at IS NULL
UNION ALL
SELECT 'delete_repository ' || id, 'delete_repository', id, name, 'queued', greatest(removed_at, deletion_due_at),
       greatest(repository_due_at, deletion_due_at), NULL, 0, repository_error, 'registry'
FROM images_managedimage WHERE removed_at IS NOT NULL
UNION ALL
SELECT 'move_tags ' || work.id, 'move_tags', image.id, image.name || ':' || work.name, 'queued', work.set_at, work.due_at,
       NULL, 0, work.error, 'builds'
FROM images_movingtag work JOIN images_managedimage image ON image.id = work.image_id
WHERE work.pushed_build_id IS DISTINCT FROM work.build_id AND image.removed_at IS NULL AND image.tags_may_move"""
NAMES = ("task", "table", "of", "join", "queue", "since", "which")
VIEW = "DROP VIEW images_task_due; CREATE VIEW images_task_due AS" + " UNION ALL ".join(
    [*(LEASE.format(**dict(zip(NAMES, row))) for row in LEASED), UNLEASED]
)


class Migration(migrations.Migration):
    dependencies = [("images", "0047_tidied_repositories")]

    operations = [
        migrations.AddField(
            model_name="unknownrepository",
            name="wished_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="taskdue",
            name="queue",
            field=models.CharField(max_length=16),
            preserve_default=False,
        ),
        # Of a wish from before, when its repository was last looked at is nearest.
        migrations.RunSQL(
            "UPDATE images_unknownrepository SET wished_at = seen_at WHERE wish <> '' AND wished_at IS NULL",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(VIEW, "DROP VIEW images_task_due; " + BEFORE.view(BEFORE.LEASED)),
    ]
