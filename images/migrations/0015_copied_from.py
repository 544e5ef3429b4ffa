import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("images", "0014_matching_reads_the_index_alone")]

    operations = [
        migrations.AddField(
            model_name="managedimage",
            name="copied_from",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="images.managedimage",
            ),
        ),
    ]
