from typing import ClassVar

from django.db import migrations


def rename_content_type(*, before: str, after: str):
    """Rights and the admin's log follow the model from one app to the other."""

    def rename(apps, schema_editor):
        types = apps.get_model("contenttypes", "ContentType").objects.filter(model="partition")
        if (moving := types.filter(app_label=before)).exists():
            # What a `migrate` that stopped between made by itself has no rights yet.
            types.filter(app_label=after).delete()
            moving.update(app_label=after)

    return rename


class Migration(migrations.Migration):
    """Partitions belong to `partitions` from here on; their table stays as it is."""

    dependencies: ClassVar = [
        ("accounts", "0004_outgoing_mail"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("partitions", "0001_from_accounts"),
        # Released, and makes its rows by the name that ends here.
        ("quotas", "0002_append_only_ledger"),
    ]

    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel("Partition")]),
        migrations.RunPython(
            rename_content_type(before="accounts", after="partitions"),
            rename_content_type(before="partitions", after="accounts"),
        ),
    ]
