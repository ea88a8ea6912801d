"""What PostgreSQL's catalogue says of the table of clicks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connections

from ads.models import Click
from ads.partitioning.steps import CannotPartition

TABLE = Click._meta.db_table
TIME = Click._meta.get_field("occurred_at").column
KEY = Click._meta.get_field("event_id").column
DEFAULT = f"{TABLE}_default"

_KIND = """
    SELECT c.relkind::text, pg_get_partkeydef(c.oid), pg_get_userbyid(c.relowner), current_user::text
    FROM pg_class c WHERE c.oid = to_regclass(%s)
"""
_COLUMNS = """
    SELECT quote_ident(attname) FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
_INDEXES = """
    SELECT quote_ident(c.relname), pg_get_indexdef(c.oid), i.indisprimary, i.indisvalid
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = to_regclass(%s) ORDER BY 1
"""
_CONSTRAINTS = """
    SELECT quote_ident(conname), pg_get_constraintdef(oid), CASE WHEN contype = 'f' THEN confrelid::regclass::text END,
           convalidated
    FROM pg_constraint WHERE conrelid = to_regclass(%s) AND contype IN ('c', 'f') ORDER BY 1
"""
_GRANTS = """
    SELECT format('GRANT %%s%%s ON %%s TO %%s%%s', privilege_type, of_column, %s::text,
                  CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                  CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM (SELECT '' AS of_column, relowner, a.* FROM pg_class, aclexplode(relacl) a WHERE oid = to_regclass(%s)
          UNION ALL
          SELECT format(' (%%I)', attname), relowner, a.*
          FROM pg_attribute JOIN pg_class c ON c.oid = attrelid, aclexplode(attacl) a
          WHERE attrelid = to_regclass(%s)) AS granted
    WHERE grantee <> relowner ORDER BY 1
"""
_OBSTACLES = """
    SELECT DISTINCT 'the view ' || r.ev_class::regclass FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
        AND d.refobjid = to_regclass(%(table)s)
    UNION SELECT 'the trigger ' || tgname FROM pg_trigger WHERE tgrelid = to_regclass(%(table)s) AND NOT tgisinternal
    UNION SELECT 'the foreign key ' || conname || ' of ' || conrelid::regclass FROM pg_constraint
        WHERE confrelid = to_regclass(%(table)s)
    UNION SELECT 'the policy ' || polname FROM pg_policy WHERE polrelid = to_regclass(%(table)s)
    UNION SELECT 'the publication ' || pubname FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
        WHERE r.prrelid = to_regclass(%(table)s)
    UNION SELECT 'the inheriting table ' || inhrelid::regclass FROM pg_inherits WHERE inhparent = to_regclass(%(table)s)
    UNION SELECT 'the constraint ' || conname FROM pg_constraint
        WHERE conrelid = to_regclass(%(table)s) AND contype IN ('u', 'x')
    UNION SELECT 'the unique index ' || indexrelid::regclass FROM pg_index
        WHERE indrelid = to_regclass(%(table)s) AND indisunique AND NOT indisprimary
        AND indexrelid IS DISTINCT FROM to_regclass(%(prepared)s)
    ORDER BY 1
"""
_PARTITIONS = """
    SELECT name, bound = 'DEFAULT', (regexp_match(bound, 'FROM \\(''([^'']+)''\\)'))[1]::timestamptz,
           (regexp_match(bound, 'TO \\(''([^'']+)''\\)'))[1]::timestamptz
    FROM (SELECT quote_ident(c.relname) AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(%s)) AS each
    ORDER BY 3 NULLS FIRST, 1
"""
_PARTS_OF_INDEXES = """
    SELECT quote_ident(part.relname), quote_ident(whole.relname)
    FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid
    JOIN pg_class part ON part.oid = h.inhrelid JOIN pg_class whole ON whole.oid = h.inhparent
    WHERE i.indrelid = to_regclass(%s) AND NOT i.indisprimary ORDER BY 1
"""


class Index(NamedTuple):
    """`definition` is the statement that makes it."""

    name: str
    definition: str
    is_primary: bool
    is_valid: bool


class Constraint(NamedTuple):
    """A CHECK, or a foreign key to the table `parent`."""

    name: str
    definition: str
    parent: str | None
    is_valid: bool


class Partition(NamedTuple):
    """Rows from `lower` on, and below `upper`; None: without bound."""

    name: str
    is_default: bool
    lower: datetime | None
    upper: datetime | None


@dataclass(frozen=True)
class Facts:
    """What a table consists of."""

    columns: list[str]
    indexes: list[Index]
    constraints: list[Constraint]
    grants: list[str]

    @property
    def parents(self) -> list[str]:
        """The tables that its foreign keys refer to."""
        return sorted({each.parent for each in self.constraints if each.parent})


class Catalogue:
    """Asks the database `using`."""

    def __init__(self, using: str) -> None:
        self.using = using

    def is_partitioned(self) -> bool:
        """Whether the table of clicks is partitioned already.

        Raises:
            CannotPartition: it is missing, belongs to another role, or is partitioned in another way.
        """
        rows = self.rows(_KIND, TABLE)
        if not rows:
            raise CannotPartition(f"there is no table {TABLE}: run manage.py migrate first")
        kind, key, owner, user = rows[0]
        if owner != user:
            raise CannotPartition(f"{TABLE} belongs to the role {owner}, and this is {user}: run it as {owner}")
        if kind == "p" and key != f"RANGE ({TIME})":
            raise CannotPartition(f"{TABLE} is partitioned by {key}, not by RANGE ({TIME}): that is left as it is")
        if kind not in ("p", "r"):
            raise CannotPartition(f"{TABLE} is not a table")
        return bool(kind == "p")

    def facts(self, table: str = TABLE) -> Facts:
        return Facts(
            columns=[name for (name,) in self.rows(_COLUMNS, table)],
            indexes=[Index(*row) for row in self.rows(_INDEXES, table)],
            constraints=[Constraint(*row) for row in self.rows(_CONSTRAINTS, table)],
            grants=[text for (text,) in self.rows(_GRANTS, table, table, table)],
        )

    def obstacles(self, prepared: str) -> list[str]:
        """What would stay with the old table, or go, if another took its name; `prepared` is an index of ours."""
        return [name for (name,) in self.rows(_OBSTACLES, table=TABLE, prepared=prepared)]

    def partitions(self) -> list[Partition]:
        """In the order of time, DEFAULT among the first."""
        return [Partition(*row) for row in self.rows(_PARTITIONS, TABLE)]

    def first_partition(self) -> Partition | None:
        """The one without a lower bound: what the plain table has become; None where it was dropped."""
        found = [each for each in self.partitions() if each.lower is None and not each.is_default]
        return found[0] if found else None

    def parts_of_indexes(self, partition: str) -> list[tuple[str, str]]:
        """Each index of a partition but the primary key, and the index of the whole table that it is a part of."""
        return [(part, whole) for part, whole in self.rows(_PARTS_OF_INDEXES, partition)]

    def value(self, statement: str, *values: Any) -> Any:
        return self.rows(statement, *values)[0][0]

    def rows(self, statement: str, *values: Any, **named: Any) -> list[tuple[Any, ...]]:
        with connections[self.using].cursor() as cursor:
            cursor.execute(statement, named or values or None)
            found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
