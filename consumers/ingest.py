"""The manager under a consumer's writes: Django's `bulk_create`, which also tells which rows were new.

By COPY where the model declares the manager and all of its columns allow it; otherwise by INSERT .. ON CONFLICT DO
NOTHING. Both give the same rows, the same answer and the same errors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from itertools import compress, repeat
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.models.constants import OnConflict

from consumers.core.errors import Again, Misconfigured, point_at, pointed_at
from consumers.core.optimism import Optimism
from consumers.keys import Keys
from consumers.postgres.columns import unsupported
from consumers.postgres.copy import CopyTable, Lines, copy_table
from consumers.postgres.copytext import Unplain
from consumers.postgres.kept import KeptLines
from consumers.postgres.presave import omitted, prepare
from consumers.rows import is_row, to_model

M = TypeVar("M", bound=models.Model)
Path = Literal["auto", "copy", "insert"]
Newness = list[bool] | None
"""Of each row whether it was new; None says that all were."""

_optimism: dict[tuple[type[models.Model], str], Optimism] = {}


class Given(NamedTuple):
    """What the caller of a write vouches for, and thereby spares it."""

    distinct: bool = False
    """No key is repeated: none is looked for."""
    savepoint: bool = False
    """The write is all that the caller's savepoint holds. It needs none of its own then, but may raise `Again`: go back
    to the savepoint, and call it once more without this."""
    kept: KeptLines | None = None
    """Where it leaves what it makes of the rows, for a second attempt on some of them."""


NOTHING = Given()


class IngestQuerySet(models.QuerySet[M]):
    """`bulk_create(..., ignore_conflicts=True)` sets `_state.adding = False` on exactly those rows that were inserted.

    Django itself leaves this open.
    """

    path: ClassVar[Path] = "auto"
    """"auto" takes COPY where it can; "copy" and "insert" force a path, for tests and measurements."""
    given = NOTHING
    """As for `ingest`; to be set on the very queryset that `bulk_create` is called of."""

    def bulk_create(
        self,
        objs: Iterable[M],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[M]:
        """As Django's; with `ignore_conflicts` and `unique_fields`, the rows tell whether they were new.

        Of several rows with one key only the first is written. A row with `_state.adding` still True after the call
        was held back by a conflict: with its own key in the table, or with any other unique constraint.
        """
        rows = list(objs)
        if not (ignore_conflicts and unique_fields and rows):
            return super().bulk_create(
                rows, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
            )
        self._for_write = True
        for start in range(0, len(rows), batch_size or len(rows)):
            batch = rows[start : start + (batch_size or len(rows))]
            newness = ingest(self.model, batch, tuple(unique_fields), self.db, self.path, self.given)
            mark_new(batch, newness, self.db)
        return rows


class IngestManager(models.Manager.from_queryset(IngestQuerySet)):  # type: ignore[misc]
    """`objects = IngestManager()` on a model that a consumer writes. Models with another manager are written through
    a queryset of this kind all the same, but only those that declare it by COPY."""


def ingest_queryset(model: type[M]) -> IngestQuerySet[M]:
    """What a consumer writes `model` through."""
    manager = model._default_manager
    return manager.all() if isinstance(manager, IngestManager) else IngestQuerySet(model)


def ingest(
    model: type[models.Model],
    rows: Sequence[Any],
    unique: Sequence[str],
    using: str = DEFAULT_DB_ALIAS,
    path: Path = "auto",
    given: Given = NOTHING,
) -> Newness:
    """Write rows, instances of `model` or of its `row_type`, but for those whose keys (`unique`) are there already.

    Returns None if all were new, or else for each row whether it was. Of several rows with one key only the first is
    written, even into a table that would take them all, as a partitioned one does; the others are not looked at.
    Instances are left as they are; see `mark_new`.

    Raises:
        Again: only where a savepoint is given.
        ValueError, TypeError, ValidationError: a value that a field cannot make anything of; nothing was sent.
        django.db.Error: what the database refused. As after any failed statement, roll back before going on.
        Misconfigured: COPY is demanded for a model whose columns it cannot serve.
    """
    firsts = None if given.distinct else _firsts(model, rows, unique)
    write = partial(_write, model, unique=unique, using=using, path=path, given=given)
    if firsts is None:
        return write(rows)
    with _pointing_by(lambda: firsts):
        newness = write([rows[place] for place in firsts])
    new = set(compress(firsts, newness or repeat(True)))
    return [place in new for place in range(len(rows))]


def _firsts(model: type[models.Model], rows: Sequence[Any], unique: Sequence[str]) -> list[int] | None:
    """The places of the rows with keys that come for the first time; None if that is all of them, or keys cannot be
    had: the writing will say why."""
    try:
        keys = _tokens(model, rows, unique)
        if len(set(keys)) == len(keys):
            return None
    except (ValueError, TypeError, ValidationError):
        return None
    firsts: dict[Any, int] = {}
    for place, key in enumerate(keys):
        firsts.setdefault(key, place)
    return list(firsts.values())


def _tokens(model: type[models.Model], rows: Sequence[Any], unique: Sequence[str]) -> list[Any]:
    """Equal for rows with equal keys; a key that is NULL, or NULL in part, equals nothing."""
    with suppress(ValueError, TypeError, ValidationError):
        return Keys(model, unique).tokens(rows)
    return [object() if None in key else key for key in _keys(model, rows, unique)]


def _write(
    model: type[models.Model], rows: Sequence[Any], unique: Sequence[str], using: str, path: Path, given: Given
) -> Newness:
    """Write rows of distinct keys."""
    table = _copy_table(model, rows, tuple(unique), using, path) if rows else None
    if table is not None:
        with suppress(Unplain):
            lines = _lines(model, rows, table, given.kept or KeptLines())
            return _copy(model, rows, lines, unique, table, using, in_savepoint=given.savepoint)
    return _insert(model, rows, unique, using) if rows else None


def mark_new(rows: Sequence[models.Model], newness: Newness, using: str) -> None:
    """Write into the instances' `_state` what `ingest` returned."""
    for row, new in zip(rows, newness or [True] * len(rows), strict=True):
        row._state.adding = not new
        if new:
            row._state.db = using


def _copy_table(
    model: type[models.Model], rows: Sequence[Any], unique: tuple[str, ...], using: str, path: Path
) -> CopyTable | None:
    """What to COPY these rows through; None if they are to be inserted."""
    if path == "insert" or (path == "auto" and not isinstance(model._default_manager, IngestManager)):
        return None
    why = off_the_fast_path(model, unique)
    if why is None and connections[using].vendor != "postgresql":
        why = f"the database {using!r} is not PostgreSQL"
    if why is not None:
        if path == "copy":
            raise Misconfigured(f"{model._meta.label} cannot be written by COPY: {why}")
        return None
    left_out = omitted(model, rows)
    names = {model._meta.get_field(name).attname for name in unique}  # type: ignore[union-attr]
    return None if left_out is None or left_out & names else copy_table(model, unique, left_out, using)


@cache
def off_the_fast_path(model: type[models.Model], unique: tuple[str, ...]) -> str | None:
    """Why rows of a model with this key are inserted even under an IngestManager; None if they go by COPY."""
    for name in unique:
        field: Any = model._meta.get_field(name)
        if getattr(field, "db_collation", None):
            return f"{name}, a part of the key, has a collation of its own"
    return unsupported(model)


def _lines(model: type[models.Model], rows: Sequence[Any], table: CopyTable, kept: KeptLines) -> Lines:
    lines = kept.of(table, rows)
    if lines is None:
        prepare(model, rows)
        lines = table.lines(rows)
        kept.keep(table, rows, lines)
    return lines


def _copy(
    model: type[models.Model],
    rows: Sequence[Any],
    lines: Lines,
    unique: Sequence[str],
    table: CopyTable,
    using: str,
    *,
    in_savepoint: bool,
) -> Newness:
    """Straight into the table while that pays, otherwise by way of the stage; in the order of the keys."""
    optimism = _optimism.setdefault((model, using), Optimism())
    with transaction.atomic(using=using, savepoint=False), _pointing_by(partial(table.order, lines)):
        if optimism.tries():
            if table.copy(table.ordered(lines), in_savepoint=in_savepoint):
                optimism.paid()
                return None
            optimism.failed()
            if in_savepoint:
                raise Again
        if any(map(table.lacks_key, lines)):
            return _insert(model, rows, unique, using)
        order = table.order(lines)
        held = {order[number] for number in table.merge(list(map(lines.__getitem__, order)))}
        return [place not in held for place in range(len(lines))] if held else None


@contextmanager
def _pointing_by(places: Callable[[], Sequence[int]]) -> Iterator[None]:
    """An error that points at the number of a place comes out pointing at the place."""
    try:
        yield
    except Exception as error:
        if (number := pointed_at(error)) is not None:
            point_at(error, places()[number])
        raise


def _insert(model: type[models.Model], rows: Sequence[Any], unique: Sequence[str], using: str) -> Newness:
    """INSERT .. ON CONFLICT DO NOTHING RETURNING the keys, through Django's own compiler, in the order of the keys'
    text."""
    instances = [to_model(row) if is_row(row) else row for row in rows]
    IngestQuerySet(model, using=using)._prepare_for_bulk_create(instances)  # type: ignore[attr-defined]
    meta = model._meta
    auto = meta.auto_field if meta.auto_field and all(row.pk is None for row in instances) else None
    fields = [f for f in meta.concrete_fields if not f.generated and f is not auto]
    query = models.sql.InsertQuery(model, on_conflict=OnConflict.IGNORE)
    query.insert_values(fields, sorted(instances, key=lambda row: [str(getattr(row, name)) for name in unique]))
    compiler = query.get_compiler(using=using)
    compiler.returning_fields = [meta.get_field(name) for name in unique]
    [(statement, params)] = compiler.as_sql()
    with connections[using].cursor() as cursor:
        cursor.execute(statement, params)
        inserted = {_normal(compiler.returning_fields, values) for values in cursor.fetchall()}
    newness = [key in inserted for key in _keys(model, instances, unique)]
    return None if all(newness) else newness


def _keys(model: type[models.Model], rows: Sequence[Any], unique: Sequence[str]) -> list[tuple[Any, ...]]:
    """The keys of rows as the table would give them back."""
    fields: list[Any] = [model._meta.get_field(name) for name in unique]
    return [_normal(fields, (getattr(row, field.attname) for field in fields)) for row in rows]


def _normal(unique: Sequence[Any], values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple((f.target_field if f.is_relation else f).to_python(v) for f, v in zip(unique, values, strict=True))
