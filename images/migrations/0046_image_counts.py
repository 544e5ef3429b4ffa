import django.db.models.deletion
from django.db import migrations, models

# A trigger with tables of a statement's rows is for one kind of statement, so there are three.
COUNT = """
CREATE FUNCTION images_count_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO images_imagecount (base_image_id, status, removed, number)
        SELECT b.base_image_id, i.status, i.removed_at IS NOT NULL, count(*)
        FROM after_it i LEFT JOIN images_build b ON b.id = i.current_build_id GROUP BY 1, 2, 3;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO images_imagecount (base_image_id, status, removed, number)
        SELECT b.base_image_id, i.status, i.removed_at IS NOT NULL, -count(*)
        FROM before_it i LEFT JOIN images_build b ON b.id = i.current_build_id GROUP BY 1, 2, 3;
    ELSE
        INSERT INTO images_imagecount (base_image_id, status, removed, number)
        SELECT b.base_image_id, i.status, i.removed, sum(i.number)
        FROM (
            SELECT current_build_id, status, removed_at IS NOT NULL AS removed, 1 AS number FROM after_it
            UNION ALL
            SELECT current_build_id, status, removed_at IS NOT NULL, -1 FROM before_it
        ) i LEFT JOIN images_build b ON b.id = i.current_build_id
        GROUP BY 1, 2, 3 HAVING sum(i.number) <> 0;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER images_count_inserted AFTER INSERT ON images_managedimage
REFERENCING NEW TABLE AS after_it FOR EACH STATEMENT EXECUTE FUNCTION images_count_changes();
CREATE TRIGGER images_count_updated AFTER UPDATE ON images_managedimage
REFERENCING OLD TABLE AS before_it NEW TABLE AS after_it FOR EACH STATEMENT EXECUTE FUNCTION images_count_changes();
CREATE TRIGGER images_count_deleted AFTER DELETE ON images_managedimage
REFERENCING OLD TABLE AS before_it FOR EACH STATEMENT EXECUTE FUNCTION images_count_changes();
INSERT INTO images_imagecount (base_image_id, status, removed, number)
SELECT b.base_image_id, i.status, i.removed_at IS NOT NULL, count(*)
FROM images_managedimage i LEFT JOIN images_build b ON b.id = i.current_build_id GROUP BY 1, 2, 3;
"""
FORGET = """
DROP TRIGGER images_count_inserted ON images_managedimage;
DROP TRIGGER images_count_updated ON images_managedimage;
DROP TRIGGER images_count_deleted ON images_managedimage;
DROP FUNCTION images_count_changes();
"""


class Migration(migrations.Migration):
    dependencies = [("images", "0045_foreseen_digest")]

    operations = [
        migrations.CreateModel(
            name="ImageCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("status", models.CharField(max_length=30)),
                ("removed", models.BooleanField()),
                ("number", models.IntegerField()),
                (
                    "base_image",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="images.baseimage",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(COUNT, FORGET),
    ]
