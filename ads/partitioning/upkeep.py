"""Partitions for the months to come, made ahead of them, and the end of those that are no longer wanted."""

from __future__ import annotations

from typing import NamedTuple

from ads.partitioning.catalog import TABLE, TIME, Catalogue, Facts, Partition
from ads.partitioning.months import Month, months
from ads.partitioning.steps import CannotPartition, Step


class Making(NamedTuple):
    """A month's partition, and the step that makes it; its rows come out of the DEFAULT partition."""

    name: str
    step: Step


class Dropping(NamedTuple):
    """A partition that goes, with so many rows."""

    name: str
    rows: int
    step: Step


class Strays(NamedTuple):
    """What the DEFAULT partition holds; the times are text, or None."""

    rows: int
    first: str | None
    last: str | None


def to_make(catalogue: Catalogue, now: Month, last: Month) -> list[Making]:
    """The months up to `last` that have no partition, from the first there is on (or else from `now`)."""
    partitions = catalogue.partitions()
    edges = [edge for each in partitions if (edge := each.lower or each.upper)]
    wanted = months(Month.of(min(edges)) if edges else now, last)
    facts = catalogue.facts()
    missing = [month for month in wanted if not any(_covers(each, month) for each in partitions)]
    default = next((each.name for each in partitions if each.is_default), None)
    return [Making(name_of(month), _make(month, default, facts)) for month in missing]


def name_of(month: Month) -> str:
    """The name of a month's partition."""
    return f"{TABLE}_{month.suffix}"


def to_drop(catalogue: Catalogue, before: Month, now: Month) -> list[Dropping]:
    """The partitions that end at or before the start of a month.

    Raises:
        CannotPartition: the month lies ahead, so that clicks of the current one would go.
    """
    if before > now:
        raise CannotPartition(f"--drop-before {before} would drop clicks of the current month: name {now} at most")
    old = [each for each in catalogue.partitions() if each.upper is not None and each.upper <= before.start]
    return [
        # a name from the catalogue
        Dropping(each.name, catalogue.value(f"SELECT count(*) FROM {each.name}"), _drop(each.name))  # noqa: S608
        for each in old
    ]


def statistics() -> Step:
    """Autovacuum looks at each partition, but never at the whole."""
    return Step(title="fresh statistics for the planner", statements=[f"ANALYZE {TABLE}"], is_alone=True)


def strays(catalogue: Catalogue) -> Strays:
    """What has no month's partition."""
    for each in catalogue.partitions():
        if each.is_default:
            return Strays(
                # a name from the catalogue
                *catalogue.rows(f"SELECT count(*), min({TIME})::text, max({TIME})::text FROM {each.name}")[0]  # noqa: S608
            )
    return Strays(0, None, None)


def _covers(partition: Partition, month: Month) -> bool:
    if partition.is_default:
        return False
    starts = partition.lower is None or partition.lower <= month.start
    return starts and (partition.upper is None or partition.upper > month.start)


def _make(month: Month, default: str | None, facts: Facts) -> Step:
    """Made apart, filled, and attached: only the DEFAULT partition is locked against the consumers."""
    name, listed = name_of(month), ", ".join(facts.columns)
    first, end = month.literal, month.plus(1).literal
    move = (
        # names from the catalogue, dates of our own
        f"WITH moved AS (DELETE FROM {default} WHERE {TIME} >= {first} AND {TIME} < {end} RETURNING {listed})"  # noqa: S608
        f" INSERT INTO {name} ({listed}) SELECT {listed} FROM moved"
    )
    return Step(
        title=f"the partition of {month}",
        locks=[
            *([f"LOCK TABLE {', '.join(facts.parents)} IN SHARE ROW EXCLUSIVE MODE"] if facts.parents else []),
            f"LOCK TABLE ONLY {TABLE} IN SHARE UPDATE EXCLUSIVE MODE",
            *([f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE"] if default else []),
        ],
        statements=[
            f"CREATE TABLE {name} (LIKE {TABLE} INCLUDING ALL EXCLUDING INDEXES)",
            *([move] if default else []),
            f"ALTER TABLE {TABLE} ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({end})",
        ],
    )


def _drop(name: str) -> Step:
    return Step(
        title=f"the end of {name}",
        locks=[f"LOCK TABLE ONLY {TABLE} IN ACCESS EXCLUSIVE MODE"],
        statements=[f"DROP TABLE {name}"],  # DETACH first would lock the campaigns as well, for no gain
    )
