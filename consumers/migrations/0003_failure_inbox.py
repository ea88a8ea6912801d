"""The failure inbox and alerts. Failures that exist already are told to the inbox as deltas, which its next roll-ups
take up like any others: one per group for old ones, and one per group and hour for those of the past eight days."""

import django.db.models.deletion
from django.db import migrations, models

DELTAS_OF_EXISTING_FAILURES = """
WITH by_topic AS (
    SELECT
        consumer, fingerprint, topic,
        date_trunc('hour', greatest(first_failed_at, now() - interval '8 days')) AS hour,
        min(first_failed_at) AS first, max(id) AS newest, array_agg(DISTINCT partition) AS partitions,
        count(*) AS number,
        count(*) FILTER (WHERE status = 'pending') AS pending,
        count(*) FILTER (WHERE status = 'resolved') AS resolved,
        count(*) FILTER (WHERE status = 'discarded') AS discarded
    FROM consumers_failedrecord
    GROUP BY 1, 2, 3, 4
), hourly AS (
    SELECT
        consumer, fingerprint, min(first) AS at, max(newest) AS newest, jsonb_object_agg(topic, partitions) AS places,
        sum(number) AS number, sum(pending) AS pending, sum(resolved) AS resolved, sum(discarded) AS discarded
    FROM by_topic
    GROUP BY consumer, fingerprint, hour
)
INSERT INTO consumers_failuredelta (
    consumer, fingerprint, at, came, failed, pending, resolved, discarded,
    reason, exception, message, example_id, places
)
SELECT
    hourly.consumer, hourly.fingerprint, at, number, number, hourly.pending, hourly.resolved, hourly.discarded,
    example.reason, example.exception, left(example.message, 2000), newest, places
FROM hourly JOIN consumers_failedrecord AS example ON example.id = newest
ORDER BY at
"""


class Migration(migrations.Migration):
    dependencies = [("consumers", "0002_retries_and_order")]

    operations = [
        migrations.CreateModel(
            name='FailureDelta',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('consumer', models.CharField(max_length=100)),
                ('fingerprint', models.CharField(max_length=16)),
                ('at', models.DateTimeField()),
                ('came', models.IntegerField(default=0, help_text='records that became pending')),
                ('failed', models.IntegerField(default=0, help_text='attempts that failed, those of records pending before included')),
                ('pending', models.IntegerField(default=0)),
                ('resolved', models.IntegerField(default=0)),
                ('discarded', models.IntegerField(default=0)),
                ('reason', models.CharField(blank=True, max_length=100)),
                ('exception', models.CharField(blank=True, max_length=255)),
                ('message', models.TextField(blank=True)),
                ('example_id', models.BigIntegerField(blank=True, null=True)),
                ('places', models.JSONField(blank=True, default=dict)),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='FailureGroup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('consumer', models.CharField(max_length=100)),
                ('fingerprint', models.CharField(max_length=16)),
                ('reason', models.CharField(max_length=100)),
                ('exception', models.CharField(blank=True, max_length=255)),
                ('message', models.TextField(blank=True, help_text='without what differs from failure to failure')),
                ('example_id', models.BigIntegerField(blank=True, help_text='the failed record that came last', null=True)),
                ('places', models.JSONField(blank=True, default=dict, help_text='the partitions hit, by topic')),
                ('first_seen', models.DateTimeField()),
                ('last_seen', models.DateTimeField()),
                ('count', models.BigIntegerField(default=0, help_text='records that became pending here, ever')),
                ('pending', models.BigIntegerField(default=0)),
                ('resolved', models.BigIntegerField(default=0)),
                ('discarded', models.BigIntegerField(default=0)),
                ('status', models.CharField(choices=[('new', 'new'), ('known', 'known'), ('resolved', 'resolved'), ('regressed', 'came back'), ('archived', 'archived')], default='new', max_length=10)),
                ('resolved_at', models.DateTimeField(blank=True, null=True)),
                ('resolved_by', models.CharField(blank=True, help_text='empty: nothing was pending any more', max_length=150)),
                ('regressions', models.PositiveIntegerField(default=0, help_text='how often it came back')),
                ('assigned_to', models.CharField(blank=True, max_length=150)),
                ('muted_until', models.DateTimeField(blank=True, help_text='archived until then', null=True)),
                ('muted_count', models.BigIntegerField(blank=True, help_text='archived until it has counted so many', null=True)),
                ('muted_rate', models.BigIntegerField(blank=True, help_text='archived until so many come in an hour', null=True)),
            ],
            options={
                'ordering': ['-last_seen', '-id'],
                'permissions': [('assign_failuregroup', 'Can acknowledge, assign, comment, resolve and archive failure groups')],
                'indexes': [models.Index(fields=['-last_seen', '-id'], name='consumers_group_last'), models.Index(fields=['status', '-last_seen', '-id'], name='consumers_group_status')],
                'constraints': [models.UniqueConstraint(fields=('consumer', 'fingerprint'), name='consumers_group_identity')],
            },
        ),
        migrations.CreateModel(
            name='Alert',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('new_group', 'new kind of failure'), ('regression', 'failure came back'), ('flood', 'flood stop'), ('lag', 'lag'), ('stall', 'stall')], max_length=20)),
                ('key', models.CharField(help_text='what it is about: one alert per kind and key within the cool-down', max_length=500)),
                ('title', models.CharField(max_length=300)),
                ('detail', models.TextField(blank=True)),
                ('path', models.CharField(blank=True, help_text='the admin page that shows more, without the host', max_length=500)),
                ('at', models.DateTimeField()),
                ('group', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='alerts', to='consumers.failuregroup')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='FailureNote',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('by', models.CharField(blank=True, help_text='a user, or empty for the inbox itself', max_length=150)),
                ('kind', models.CharField(choices=[('comment', 'comment'), ('assign', 'assigned'), ('discard', 'discarded'), ('edit', 'edited'), ('retry', 'retried'), ('status', 'status'), ('reveal', 'revealed')], default='comment', max_length=10)),
                ('text', models.TextField(blank=True)),
                ('group', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='notes', to='consumers.failuregroup')),
                ('record', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='notes', to='consumers.failedrecord')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='ReasonBucket',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('consumer', models.CharField(max_length=100)),
                ('reason', models.CharField(max_length=100)),
                ('start', models.DateTimeField()),
                ('count', models.BigIntegerField(default=0)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('start', 'consumer', 'reason'), name='consumers_reason_bucket')],
            },
        ),
        migrations.CreateModel(
            name='AlertDelivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('channel', models.CharField(help_text='signal, email or webhook', max_length=10)),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('sent', 'sent'), ('given_up', 'given up')], default='waiting', max_length=10)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('next_at', models.DateTimeField()),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('error', models.TextField(blank=True)),
                ('alert', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='consumers.alert')),
            ],
            options={
                'verbose_name_plural': 'alert deliveries',
                'ordering': ['id'],
                'indexes': [models.Index(condition=models.Q(('state', 'waiting')), fields=['next_at'], name='consumers_delivery_due')],
            },
        ),
        migrations.CreateModel(
            name='FailureBucket',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('hour', models.DateTimeField(help_text='its beginning')),
                ('count', models.BigIntegerField(default=0)),
                ('group', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='buckets', to='consumers.failuregroup')),
            ],
            options={
                'indexes': [models.Index(fields=['hour'], name='consumers_bucket_age')],
                'constraints': [models.UniqueConstraint(fields=('group', 'hour'), name='consumers_bucket_hour')],
            },
        ),
        migrations.AddIndex(
            model_name='alert',
            index=models.Index(fields=['kind', 'key', '-at'], name='consumers_alert_recent'),
        ),
        migrations.AddIndex(
            model_name='alert',
            index=models.Index(fields=['at'], name='consumers_alert_at'),
        ),
        migrations.AddIndex(
            model_name='failedrecord',
            index=models.Index(condition=models.Q(('status__in', ['resolved', 'discarded'])), fields=['resolved_at'], name='consumers_failed_ended'),
        ),
        migrations.AddIndex(
            model_name='failedrecord',
            index=models.Index(condition=models.Q(('status', 'pending')), fields=['reason', 'id'], name='consumers_pending_reason'),
        ),
        migrations.AddIndex(
            model_name='failedrecord',
            index=models.Index(condition=models.Q(('status', 'pending')), fields=['fingerprint', 'consumer', 'id'], name='consumers_pending_like'),
        ),
        migrations.RunSQL(DELTAS_OF_EXISTING_FAILURES, migrations.RunSQL.noop),
    ]
