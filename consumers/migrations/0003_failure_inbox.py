from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("consumers", "0002_retries_and_order")]

    operations = []
