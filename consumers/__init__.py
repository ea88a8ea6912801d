"""Parallel batch processing of Kafka topics into Django models.

Consumers are written against `consumers.api`; see docs/adding-a-consumer.md. Importing this package imports nothing
else, so that `manage.py` can prepare greenlets before Django loads.
"""
