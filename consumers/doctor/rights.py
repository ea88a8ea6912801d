"""What the database's role may do, against what consuming does."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.db.models import Model

from consumers.doctor.finding import Severity
from consumers.doctor.patient import Patient
from consumers.doctor.registry import Remark, check

_MISSING = """
    SELECT wanted FROM unnest(%s::text[]) AS wanted
    WHERE to_regclass(%s) IS NOT NULL AND NOT has_table_privilege(current_user, to_regclass(%s), wanted)
"""
_TEMPORARY = "SELECT current_user, current_database(), has_database_privilege(current_database(), 'TEMPORARY')"

ENGINE = ("SELECT", "INSERT", "UPDATE", "DELETE")
ROWS = ("SELECT", "INSERT")
PARENTS = ("SELECT",)


@check("rights", "database")
def role_rights(patient: Patient) -> Iterator[Remark]:
    """The role may read and write each table, and make the temporary one that rows go through."""
    [(role, database, may_stage)] = patient.query(_TEMPORARY)
    if not may_stage:
        mend = f'GRANT TEMPORARY ON DATABASE "{database}" TO "{role}";'
        yield Severity.ERROR, f"role {role} may not make temporary tables, which COPY goes through", mend
    lacking: dict[str, list[str]] = {}
    for table, wanted in _wanted(patient).items():
        missing = [name for (name,) in patient.query(_MISSING, list(wanted), f'"{table}"', f'"{table}"')]
        if missing:
            lacking.setdefault(", ".join(missing), []).append(table)
    for rights, tables in lacking.items():
        yield Severity.ERROR, f"role {role} lacks {rights} on {', '.join(tables)}", _grant(rights, tables, role)
    if may_stage and not lacking:
        yield Severity.OK, f"role {role} may do all that consuming takes"


def _grant(rights: str, tables: list[str], role: str) -> str:
    listed = ", ".join(f'"{table}"' for table in tables)
    return f'GRANT {rights} ON {listed} TO "{role}";'


def _wanted(patient: Patient) -> dict[str, tuple[str, ...]]:
    """By table, the rights that are needed."""
    wanted: dict[str, tuple[str, ...]] = {}
    wanted |= {_table(parent): PARENTS for consumer in patient.consumers for parent in _parents(consumer.model)}
    wanted |= {_table(consumer.model): ROWS for consumer in patient.consumers}
    wanted |= {_table(model): ENGINE for model in apps.get_app_config("consumers").get_models()}
    return wanted


def _parents(model: type[Model]) -> list[type[Model]]:
    fields = model._meta.concrete_fields
    return [field.related_model for field in fields if field.is_relation and isinstance(field.related_model, type)]


def _table(model: type[Model]) -> str:
    return str(model._meta.db_table)
