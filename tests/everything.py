"""A test-only table with a column of every type, and small ones with rules that COPY must keep to."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any, ClassVar

from django.db import connection, models
from django.db.models.functions import Upper

from consumers.api import IngestManager


class Parent(models.Model):
    """What rows of Everything refer to."""

    id = models.CharField(primary_key=True, max_length=20)

    class Meta:
        app_label = "tests"

    def __str__(self) -> str:
        return self.id


class LoudField(models.CharField):  # type: ignore[type-arg]
    """A field of somebody's own, which changes what it saves."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else f"{value}!"


class Everything(models.Model):
    """A column of every type that goes by COPY; all but the key may be NULL, unless said otherwise."""

    key = models.BigIntegerField(primary_key=True)
    uid = models.UUIDField(null=True, unique=True)
    small = models.SmallIntegerField(null=True)
    positive = models.PositiveIntegerField(null=True)
    big = models.BigIntegerField(null=True)
    flag = models.BooleanField(null=True)
    price = models.DecimalField(max_digits=12, decimal_places=4, null=True)
    ratio = models.FloatField(null=True)
    word = models.CharField(max_length=20, null=True)  # noqa: DJ001
    text = models.TextField(default="")
    slug = models.SlugField(null=True)  # noqa: DJ001
    mail = models.EmailField(null=True)  # noqa: DJ001
    url = models.URLField(null=True)  # noqa: DJ001
    loud = LoudField(max_length=30, null=True)
    day = models.DateField(null=True)
    at = models.DateTimeField(null=True)
    clock = models.TimeField(null=True)
    span = models.DurationField(null=True)
    address = models.GenericIPAddressField(null=True)
    unpacked = models.GenericIPAddressField(null=True, unpack_ipv4=True)
    data = models.JSONField(null=True)
    raw = models.BinaryField(null=True)
    parent = models.ForeignKey(Parent, on_delete=models.PROTECT, null=True, related_name="+")
    shout = models.GeneratedField(expression=Upper("text"), output_field=models.TextField(), db_persist=True)

    objects = IngestManager()

    class Meta:
        app_label = "tests"
        constraints: ClassVar = [
            models.CheckConstraint(name="tests_everything_small", condition=models.Q(small__lt=1000)),
        ]

    def __str__(self) -> str:
        return str(self.key)


class Stamped(models.Model):
    """Columns that Django or the database fill in; the key has two columns and its texts are not exact."""

    amount = models.DecimalField(max_digits=6, decimal_places=2)
    at = models.DateTimeField()
    token = models.UUIDField(default=uuid.uuid4)
    made = models.DateTimeField(auto_now_add=True)
    changed = models.DateTimeField(auto_now=True)
    state = models.CharField(max_length=10, db_default="new")
    fee = models.DecimalField(max_digits=6, decimal_places=2, default=Decimal("0.5"))
    tags = models.JSONField(default=list)

    objects = IngestManager()

    class Meta:
        app_label = "tests"
        constraints: ClassVar = [models.UniqueConstraint(fields=["amount", "at"], name="tests_stamped_key")]

    def __str__(self) -> str:
        return str(self.pk)


TABLES: tuple[type[models.Model], ...] = (Parent, Everything, Stamped)


def make_tables() -> None:
    """The tables, where they are not there yet: the models belong to no installed app."""
    there = connection.introspection.table_names()
    with connection.schema_editor() as editor:
        for model in TABLES:
            if model._meta.db_table not in there:
                editor.create_model(model)
