"""What a reader finds in the folder of a data set: the rows of its manifest, and findings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from milmer_cli.csv_cells import csv_text
from milmer_cli.datasets.findings import Findings
from milmer_cli.datasets.manifest import COLUMNS
from milmer_cli.datasets.missing import MissingInput, group_missing, missing_rows
from milmer_cli.errors import InputError
from milmer_cli.io import atomic_write
from milmer_cli.stage_result import StageResult


@dataclass(frozen=True)
class DatasetListing:
    """The recordings of a data set, as rows of a manifest.

    Attributes
    ----------
    name
        Name of the data set, as in ``EAV``.
    root
        Its folder.
    rows
        One row per trial: column of the manifest -> value. Files are absolute paths; empty columns
        may be left out.
    missing
        What is missing or cannot be used, and why that matters.
    findings
        What was found and how it is handled, one sentence each: every deviation from the format,
        excluded participants and trials, and facts that could not be verified.
    """

    name: str
    root: Path
    rows: tuple[Mapping[str, object], ...]
    missing: tuple[MissingInput, ...] = ()
    findings: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, name: str, root: Path, rows: Iterable[Mapping[str, object]], findings: Findings
    ) -> DatasetListing:
        """Return the rows of a data set with what its reader reports."""
        return cls(name, root, tuple(rows), tuple(findings.missing), findings.sentences())

    def manifest_text(self, folder: Path) -> str:
        """Return the manifest as CSV text, with paths relative to the folder that contains it."""
        used = [
            name for name in COLUMNS if any(row.get(name) not in (None, "") for row in self.rows)
        ]
        values = ([row.get(name, "") for name in used] for row in self.rows)
        rows = ([relative_path(v, folder) if isinstance(v, Path) else v for v in r] for r in values)
        return csv_text([used, *rows])


@dataclass(frozen=True, repr=False)
class ListingResult(StageResult):
    """A written manifest of a data set.

    Attributes
    ----------
    listing
        The recordings.
    manifest
        The file.
    """

    format_name: ClassVar[str] = "manifest"

    listing: DatasetListing
    manifest: Path

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "data_set": self.listing.name,
            "manifest": str(self.manifest),
            "trials": len(self.listing.rows),
            "missing": [asdict(item) for item in self.listing.missing],
            "findings": list(self.listing.findings),
        }

    def summary(self) -> list[tuple[str, str]]:
        """Return rows of label and value."""
        listing = self.listing
        participants = len({row["participant"] for row in listing.rows})
        return [
            (listing.name, f"{len(listing.rows)} trials of {participants} participants"),
            *missing_rows(group_missing(listing.missing)),
            *(("finding", sentence) for sentence in listing.findings),
            ("then", f"milmer prepare --manifest {self.manifest} --check"),
            ("manifest", str(self.manifest)),
        ]


def write_listing(listing: DatasetListing, out: Path) -> ListingResult:
    """Write the manifest of a data set.

    Raises
    ------
    InputError
        ``out`` exists and has another content: the user may have edited it.
    """
    text = listing.manifest_text(out.parent)
    if out.exists() and out.read_text(encoding="utf-8", errors="replace") != text:
        raise InputError(
            f"{out} exists, and its content differs.",
            "Remove it, or choose another file with --out.",
        )
    atomic_write(out, text)
    return ListingResult(listing, out)


def relative_path(file: Path, folder: Path) -> str:
    """Return a path as a manifest in ``folder`` states it; absolute on another drive."""
    try:
        return Path(os.path.relpath(file.absolute(), folder.absolute())).as_posix()
    except ValueError:
        return str(file.absolute())
