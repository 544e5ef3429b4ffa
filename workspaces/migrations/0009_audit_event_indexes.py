from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0008_password_mail")]

    operations = [
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["username", "id"], name="audit_event_by_username"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["object_name", "id"], name="audit_event_by_object"),
        ),
    ]
