from django.db import migrations


class Migration(migrations.Migration):
    """Django adds an index for LIKE to a text primary key; every payment would pay for it, and nobody searches by a
    part of an id. (A migration of its own: Django creates that index at the very end of the table's migration.)
    """

    dependencies = [
        ("payments", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(
            "DROP INDEX payments_payment_transaction_id_55f6af3a_like",
            "CREATE INDEX payments_payment_transaction_id_55f6af3a_like"
            " ON payments_payment (transaction_id varchar_pattern_ops)",
        ),
    ]
