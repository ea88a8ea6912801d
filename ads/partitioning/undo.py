"""The way back: one plain table again, with `event_id` alone as its key.

Nobody reads or writes clicks meanwhile, and it takes the longer, the more rows there are: all but those of the first
partition are copied, and the key's index is built anew.
"""

from __future__ import annotations

from ads.partitioning import convert
from ads.partitioning.catalog import KEY, TABLE, Catalogue
from ads.partitioning.steps import CannotPartition, Step

# the table's own name and columns
_TWICE = f"SELECT count(*) FROM (SELECT FROM {TABLE} GROUP BY {KEY} HAVING count(*) > 1) AS twice"  # noqa: S608


def steps(catalogue: Catalogue) -> list[Step]:
    """From the partitioned table to the plain one, or from a conversion that has not come to its end.

    Raises:
        CannotPartition: there is no way back.
    """
    if not catalogue.is_partitioned():
        return convert.leftovers(catalogue.facts())
    partitions = [each.name for each in catalogue.partitions() if not each.is_default]
    if not partitions:
        raise CannotPartition(f"{TABLE} has no partition of its own to put the rows into")
    if twice := catalogue.value(_TWICE):
        raise CannotPartition(
            f"{twice:,} values of {KEY} have several rows, with different times, and the plain table has room for one "
            f"of each: delete the others first"
        )
    return [_merge(catalogue, partitions[0])]


def _merge(catalogue: Catalogue, home: str) -> Step:
    """Everything goes into the partition `home`, which then takes the table's name."""
    whole, kept = catalogue.facts(), catalogue.facts(home)
    columns = ", ".join(whole.columns)
    primary = [index.name for index in kept.indexes if index.is_primary]
    return Step(
        title=f"{TABLE} as one plain table",
        locks=convert.locks(whole.parents),
        statements=[
            f"ALTER TABLE {TABLE} DETACH PARTITION {home}",
            *(f"ALTER TABLE {home} DROP CONSTRAINT {name}" for name in primary),
            # names from the catalogue
            f"INSERT INTO {home} ({columns}) SELECT {columns} FROM {TABLE}",  # noqa: S608
            "SET CONSTRAINTS ALL IMMEDIATE",
            f"DROP TABLE {TABLE}",
            f"ALTER TABLE {home} RENAME TO {TABLE}",
            f"ALTER TABLE {TABLE} ADD CONSTRAINT {TABLE}_pkey PRIMARY KEY ({KEY})",
            *(f"ALTER INDEX {part} RENAME TO {name}" for part, name in catalogue.parts_of_indexes(home)),
            *whole.grants,
        ],
    )
