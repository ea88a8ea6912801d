"""The plain table becomes the first partition of a table that takes its name, while consumers go on writing.

What takes long comes first, and locks nobody out: the unique index over both columns of the new key, and the proof that
no row lies beyond the boundary. The swap itself is one short transaction that reads no row. Whatever a run that was
interrupted has left behind, the next one finds and goes on from.
"""

from __future__ import annotations

from ads.partitioning import upkeep
from ads.partitioning.catalog import DEFAULT, KEY, TABLE, TIME, Catalogue, Facts
from ads.partitioning.months import Month, months
from ads.partitioning.steps import CannotPartition, Step

PREPARED = f"{TABLE}_partition_key"
_BEFORE = f"{TABLE}_before_"
_BUILDING = "SELECT pid FROM pg_stat_progress_create_index WHERE index_relid = to_regclass(%s)"
# the table's own name and columns
_BEYOND = f"SELECT count(*), min({TIME})::text, max({TIME})::text FROM {TABLE} WHERE {TIME} >= %s"  # noqa: S608


def first_partition(boundary: Month) -> str:
    """The name that the plain table gets, and the CHECK that holds its rows below the boundary."""
    return f"{_BEFORE}{boundary.suffix}"


def steps(catalogue: Catalogue, boundary: Month, last: Month) -> list[Step]:
    """What is left to do: all rows there are go below `boundary`, and each month from there to `last` gets a partition.

    Raises:
        CannotPartition: something is in the way.
    """
    facts = catalogue.facts()
    _refuse_obstacles(catalogue, facts)
    refuse_beyond(catalogue, boundary)
    return [
        *_index(catalogue, facts),
        *_check(facts, boundary),
        _swap(catalogue, boundary, last),
        upkeep.statistics(),
    ]


def refuse_beyond(catalogue: Catalogue, boundary: Month) -> None:
    """Raises:
    CannotPartition: there are rows at or after the boundary.
    """
    [(count, first, last)] = catalogue.rows(_BEYOND, boundary.start)
    if count:
        raise CannotPartition(
            f"{count:,} rows of {TABLE} lie at or after {boundary}, from {first} to {last}: name a later month with "
            f"--boundary, or correct or delete them"
        )


def unbound(facts: Facts) -> list[Step]:
    """What takes the bound away again; nothing, if there is none."""
    return [_drop_checks(checks)] if (checks := _checks(facts)) else []


def leftovers(facts: Facts) -> list[Step]:
    """What takes all preparations away again; nothing, if there are none."""
    is_prepared = any(index.name == PREPARED for index in facts.indexes)
    return [*unbound(facts), *([_drop_index()] if is_prepared else [])]


def _refuse_obstacles(catalogue: Catalogue, facts: Facts) -> None:
    if found := catalogue.obstacles(PREPARED):
        raise CannotPartition(f"{', '.join(found)} would not follow to the new table: drop it, and make it anew there")
    invalid = [index.name for index in facts.indexes if not index.is_valid and index.name != PREPARED]
    if invalid:
        raise CannotPartition(f"the index {invalid[0]} is invalid: REINDEX INDEX CONCURRENTLY {invalid[0]}")
    unproven = [each.name for each in facts.constraints if not each.is_valid and not each.name.startswith(_BEFORE)]
    if unproven:
        raise CannotPartition(
            f"the constraint {unproven[0]} is not validated: ALTER TABLE {TABLE} VALIDATE CONSTRAINT {unproven[0]}"
        )


def _index(catalogue: Catalogue, facts: Facts) -> list[Step]:
    prepared = [index for index in facts.indexes if index.name == PREPARED]
    if prepared and prepared[0].is_valid:
        return []
    if building := catalogue.rows(_BUILDING, PREPARED):
        raise CannotPartition(
            f"the session {building[0][0]} is building the index {PREPARED}: wait for it, or end it with "
            f"SELECT pg_terminate_backend({building[0][0]})"
        )
    build = Step(
        title="the unique index of the new key, built beside the writers",
        statements=[f"CREATE UNIQUE INDEX CONCURRENTLY {PREPARED} ON {TABLE} ({KEY}, {TIME})"],
        is_alone=True,
    )
    return [_drop_index(), build] if prepared else [build]


def _drop_index() -> Step:
    return Step(
        title="the index that a run has left behind",
        statements=[f"DROP INDEX CONCURRENTLY {PREPARED}"],
        is_alone=True,
    )


def _check(facts: Facts, boundary: Month) -> list[Step]:
    name = first_partition(boundary)
    held = _checks(facts)
    steps = []
    if others := {check for check in held if check != name}:
        steps.append(_drop_checks(others))
    if name not in held:
        add = f"ALTER TABLE {TABLE} ADD CONSTRAINT {name} CHECK ({TIME} < {boundary.literal}) NOT VALID"
        steps.append(Step(title=f"from now on no row at or after {boundary}", statements=[add]))
    if not held.get(name):
        validate = f"ALTER TABLE {TABLE} VALIDATE CONSTRAINT {name}"
        steps.append(Step(title="the proof that there is none, read beside the writers", statements=[validate]))
    return steps


def _checks(facts: Facts) -> dict[str, bool]:
    """Our CHECKs on the plain table, and whether each is validated."""
    return {each.name: each.is_valid for each in facts.constraints if each.name.startswith(_BEFORE)}


def _drop_checks(names: dict[str, bool] | set[str]) -> Step:
    drops = [f"ALTER TABLE {TABLE} DROP CONSTRAINT {name}" for name in sorted(names)]
    return Step(title="the bound that a run has left behind", statements=drops)


def _swap(catalogue: Catalogue, boundary: Month, last: Month) -> Step:
    facts = _lasting(catalogue.facts())
    old = first_partition(boundary)
    return Step(
        title=f"the swap: {TABLE} becomes {old}, below a new {TABLE}",
        locks=locks(facts.parents),
        statements=[*_step_aside(facts, old), *_take_its_place(facts, old, boundary), *_partitions(boundary, last)],
        still_holds=lambda: _lasting(catalogue.facts()) == facts,
    )


def locks(parents: list[str]) -> list[str]:
    """Those of a change to the table. ATTACH takes triggers off the `parents` of its foreign keys, and so locks them.
    They come second, as in the consumers' transactions, whose foreign keys are checked at their end."""
    return [
        f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE",
        *([f"LOCK TABLE {', '.join(parents)} IN ACCESS EXCLUSIVE MODE"] if parents else []),
    ]


def _lasting(facts: Facts) -> Facts:
    """Without what is only made for the swap."""
    return Facts(
        facts.columns,
        [index for index in facts.indexes if index.name != PREPARED],
        [each for each in facts.constraints if not each.name.startswith(_BEFORE)],
        facts.grants,
    )


def _step_aside(facts: Facts, old: str) -> list[str]:
    """The plain table and its indexes give up their names, and it gets the new key."""
    primary = [index.name for index in facts.indexes if index.is_primary]
    others = [index.name for index in facts.indexes if not index.is_primary]
    return [
        f"ALTER TABLE {TABLE} RENAME TO {old}",
        *(f"ALTER TABLE {old} DROP CONSTRAINT {name}" for name in primary),
        *(f"ALTER INDEX {name} RENAME TO {renamed(name, TABLE, old)}" for name in others),
        f"ALTER TABLE {old} ADD CONSTRAINT {old}_pkey PRIMARY KEY USING INDEX {PREPARED}",
    ]


def _take_its_place(facts: Facts, old: str, boundary: Month) -> list[str]:
    """The new table has all that the migrations gave the old one, by the same names, so that later ones find it."""
    return [
        f"CREATE TABLE {TABLE} (LIKE {old} INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS)"
        f" PARTITION BY RANGE ({TIME})",
        f"ALTER TABLE {TABLE} ADD CONSTRAINT {TABLE}_pkey PRIMARY KEY ({KEY}, {TIME})",
        *(f"ALTER TABLE {TABLE} ADD CONSTRAINT {each.name} {each.definition}" for each in facts.constraints),
        *(index.definition for index in facts.indexes if not index.is_primary),
        *facts.grants,
        f"ALTER TABLE {TABLE} ATTACH PARTITION {old} FOR VALUES FROM (MINVALUE) TO ({boundary.literal})",
        f"ALTER TABLE {old} DROP CONSTRAINT {old}",  # the bound of the partition says the same
    ]


def _partitions(boundary: Month, last: Month) -> list[str]:
    return [
        *(
            f"CREATE TABLE {upkeep.name_of(month)} PARTITION OF {TABLE}"
            f" FOR VALUES FROM ({month.literal}) TO ({month.plus(1).literal})"
            for month in months(boundary, last)
        ),
        f"CREATE TABLE {DEFAULT} PARTITION OF {TABLE} DEFAULT",
    ]


def renamed(index: str, table: str, other: str) -> str:
    """An index's name when its table's name changes; PostgreSQL has room for 63 characters."""
    return (index.replace(table, other, 1) if index.startswith(table) else f"{other}_{index}")[:63]
