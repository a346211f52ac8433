"""Header and rows of a CSV file, read one row at a time because FER2013 has 300 MB."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path


def read_header(path: Path) -> list[str]:
    """Return the column names."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [name.strip() for name in next(csv.reader(file), [])]


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows by column name."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        yield from reader
