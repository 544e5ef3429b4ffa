from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0004_account_manager")]

    operations = [
        migrations.RenameField("failedauthentication", "address", "key"),
        migrations.AlterField(
            "failedauthentication", "key", models.CharField(max_length=200, unique=True)
        ),
    ]
