"""Builds the sample in `demo/data` from two public datasets; the same input gives the same events.

    python -m demo.build_sample FOLDER

FOLDER holds, as `impressions_open_bandit/{bts,random}_{all,men,women}.csv.gz`, the six tables of the Open Bandit
Dataset's small version (files `obd/{bts,random}/{all,men,women}/*.csv` of the package obp 0.4.1), and as
`payments_uci_online_retail/online_retail.csv.gz` the UCI dataset "Online Retail" as one table in CSV.

`demo/data/ATTRIBUTION.md` says what was taken, what was made of it and what stands for values the sources don't have.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from demo.build_ads import bandit_advertisers, bandit_campaigns, bandit_events, read_bandit
from demo.build_payments import retail_advertisers, retail_events, retail_invoices
from demo.samples import DATA_DIR

Row = dict[str, Any]

ADS_FOLDER = "impressions_open_bandit"
RETAIL_FILE = "payments_uci_online_retail/online_retail.csv.gz"


def build(source: Path, target: Path) -> dict[str, int]:
    """Write the sample's files into `target`; the number of entries in each.

    Raises:
        OSError: a file of the source is missing or unreadable.
    """
    shown = read_bandit({name: read_table(source / ADS_FOLDER / f"{name}.csv.gz") for name in bandit_files()})
    invoices = retail_invoices(read_table(source / RETAIL_FILE))
    impressions, clicks = bandit_events(shown)
    return {
        "impressions.jsonl.gz": write_events(target / "impressions.jsonl.gz", impressions),
        "clicks.jsonl.gz": write_events(target / "clicks.jsonl.gz", clicks),
        "payments.jsonl.gz": write_events(target / "payments.jsonl.gz", retail_events(invoices)),
        "advertisers.json": write_list(
            target / "advertisers.json", bandit_advertisers() + retail_advertisers(invoices)
        ),
        "campaigns.json": write_list(target / "campaigns.json", bandit_campaigns(shown)),
    }


def bandit_files() -> list[str]:
    return [f"{policy}_{page}" for policy in ("bts", "random") for page in ("all", "men", "women")]


def read_table(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def write_events(path: Path, events: Iterable[Row]) -> int:
    """One JSON object a line, gzipped without name and time, so that equal content means equal bytes."""
    lines = [json.dumps(event, ensure_ascii=False, separators=(",", ":")) for event in events]
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=9, mtime=0) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())
    path.write_bytes(packed.getvalue())
    return len(lines)


def write_list(path: Path, entries: list[Row]) -> int:
    """A JSON array with one entry a line, which differs readably."""
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return len(entries)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder with the two datasets")
    try:
        written = build(parser.parse_args().folder, DATA_DIR)
    except OSError as error:
        sys.stderr.write(f"cannot read the datasets: {error}\n")
        return 2
    for name, count in written.items():
        sys.stdout.write(f"{name}: {count}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
