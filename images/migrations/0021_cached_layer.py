"""`WheelLayer` also holds layers of Python environments and of OS packages, so it is `CachedLayer`."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("images", "0020_requirement_files")]

    operations = [migrations.RenameModel("WheelLayer", "CachedLayer")]
