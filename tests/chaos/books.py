"""The oracle's view of the books: the ledger's counts, its moves, and the balances that `on_written` keeps."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from tests.chaos.journal import Entry
from tests.e2e.harness import Site

SHOWN = 3

Position = tuple[str, int, int]
"""Topic, partition, offset."""
Expected = Mapping[str, tuple[Entry, tuple[Any, ...]]]
"""By key, the record and the row that it must become."""

_COUNTS = ("next_offset", "received", "written", "duplicates", "skipped", "failed", "missing")
_LEDGER = f"SELECT topic, partition, {', '.join(_COUNTS)} FROM consumers_partitionledger"
_BACK = "SELECT topic, partition, origin, target FROM chaos_move WHERE target <= origin ORDER BY id"


class Failed(NamedTuple):
    """A line of the failure store."""

    reason: str
    status: str
    attempts: int


def ledger(site: Site, entries: list[Entry], failed: Mapping[Position, object]) -> list[str]:
    """Each partition's line against what the journal sent there."""
    kinds: defaultdict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for entry in entries:
        kinds[entry.topic, entry.partition][entry.kind] += 1
    failures = Counter(key[:2] for key in failed)
    lines = {(row[0].removeprefix(site.prefix), row[1]): row[2:] for row in site.query(_LEDGER)}
    found = []
    for source, counts in kinds.items():
        total = counts.total()
        written = total - counts["repeat"] - counts["tombstone"] - failures[source]
        expected = (total, total, written, counts["repeat"], counts["tombstone"], failures[source], 0)
        line = lines.get(source, (None,) * len(_COUNTS))
        wrong = [
            f"{name} {has}, not {ought}"
            for name, has, ought in zip(_COUNTS, line, expected, strict=True)
            if has != ought
        ]
        if wrong:
            found.append(f"ledger of {source[0]}[{source[1]}]: {', '.join(wrong)}")
    return found


def moves(site: Site) -> list[str]:
    """Every chunk moves the ledger onwards, once. The witness is a trigger of the suite's own."""
    found = []
    for topic, partition, origin, target in site.query(_BACK):
        place = f"{topic.removeprefix(site.prefix)}[{partition}]@{target - 1}"
        if target == origin:
            found.append(f"TWICE: the chunk that ends with {place} was written a second time")
        else:
            found.append(
                f"TWICE: a chunk that ends with {place} was written after those up to {origin - 1}: moved back"
            )
    return found[:SHOWN] + ([f"{len(found)} chunks were written out of turn"] if len(found) > SHOWN else [])


def balances(site: Site, payments: Expected) -> list[str]:
    """Each account to the last unit; a difference is explained by the payments that would make it."""
    expected: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
    accounts: defaultdict[tuple[int, str], list[tuple[Decimal, Entry]]] = defaultdict(list)
    for entry, (advertiser, kind, amount, currency, *_) in payments.values():
        signed = amount if kind == "charge" else -amount
        expected[advertiser, currency] += signed
        accounts[advertiser, currency].append((signed, entry))
    rows = site.query("SELECT advertiser_id, currency, amount FROM payments_balance")
    kept = {(advertiser, currency): amount for advertiser, currency, amount in rows}
    found = []
    for account in sorted(expected.keys() | kept.keys()):
        has, ought = kept.get(account, Decimal(0)), expected[account]
        if has != ought:
            name = f"{account[0]}/{account[1]}"
            found.append(f"balance of {name}: {has}, not {ought}{_explained(has - ought, accounts[account])}")
    return found[:SHOWN] + ([f"{len(found)} balances are wrong"] if len(found) > SHOWN else [])


def _explained(difference: Decimal, payments: Iterable[tuple[Decimal, Entry]]) -> str:
    """As one payment too many or too few, if that is what it is."""
    for signed, entry in payments:
        if signed in (difference, -difference):
            how = "counted twice" if signed == difference else "not counted"
            return f": as if {entry.event['transaction_id']} of {entry.place} were {how}"
    return ""
