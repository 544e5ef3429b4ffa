from django.db import migrations, models

KEEP = """
CREATE FUNCTION images_keep_facts_of_current_build() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.size_bytes := 0;
    NEW.library_count := 0;
    IF NEW.current_build_id IS NOT NULL THEN
        SELECT size_bytes, library_count INTO STRICT NEW.size_bytes, NEW.library_count
        FROM images_build WHERE id = NEW.current_build_id;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER images_facts_of_current_build BEFORE INSERT OR UPDATE OF current_build_id ON images_managedimage
FOR EACH ROW EXECUTE FUNCTION images_keep_facts_of_current_build();
"""
FORGET = """
DROP TRIGGER images_facts_of_current_build ON images_managedimage;
DROP FUNCTION images_keep_facts_of_current_build();
"""


class Migration(migrations.Migration):
    dependencies = [("images", '0042_prepared_layers')]

    operations = [
        migrations.AddField(
            model_name="managedimage",
            name="library_count",
            field=models.PositiveIntegerField(db_default=0),
        ),
        migrations.RunSQL(KEEP, FORGET),
        # Also the sizes of images that a worker of an earlier version built while 0037 was there.
        migrations.RunSQL(
            "UPDATE images_managedimage SET current_build_id = current_build_id WHERE current_build_id IS NOT NULL",
            migrations.RunSQL.noop,
        ),
        migrations.AddIndex(
            model_name="managedimage",
            index=models.Index(
                condition=models.Q(("removed_at__isnull", True)),
                fields=["library_count", "name"],
                name="image_by_library_count",
            ),
        ),
    ]
