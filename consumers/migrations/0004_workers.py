from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("consumers", "0003_failure_inbox")]

    operations = []
