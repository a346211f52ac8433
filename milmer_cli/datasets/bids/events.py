"""The events of a recording: events.tsv and events.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from milmer_cli.datasets.base import RATINGS
from milmer_cli.datasets.bids.tables import read_tsv
from milmer_cli.datasets.findings import Findings
from milmer_cli.datasets.manifest import rating_range
from milmer_cli.datasets.table import (
    TableErrors,
    TableRow,
)
from milmer_cli.eeg.bids_sidecars import find_sidecars
from milmer_cli.errors import InputError
from milmer_cli.json_files import read_json_object

LABEL = "label"
TRIAL = "trial"
"""Column with the number of the trial, from 1."""
CONDITION = "condition"
VIDEO = "video"
"""Column with the video of a trial, relative to the table or to the data set."""
VIDEO_ONSET = "video_onset"
"""Column with the start of the trial in that video, in seconds."""


@dataclass(frozen=True)
class EventsTable:
    """The rows of an events.tsv.

    Attributes
    ----------
    path
        The table.
    rows
        Its rows.
    errors
        Errors in its cells.
    scales
        Rating -> its scale, as in 1-9, if events.json states it.
    """

    path: Path
    rows: tuple[TableRow, ...]
    errors: TableErrors
    scales: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in lower case."""
        return tuple(name for name in self.rows[0].cells if name) if self.rows else ()


def read_events(recording: Path, findings: Findings) -> EventsTable | None:
    """Read the events.tsv that applies to a recording; None if there is none.

    Raises
    ------
    InputError
        The table cannot be read.
    """
    tables = find_sidecars(recording, "events", ".tsv")
    if not tables:
        return None
    rows, errors = read_tsv(tables[-1], "onset")
    properties: dict[str, object] = {}
    for document in find_sidecars(recording, "events", ".json"):
        try:
            properties |= read_json_object(document)
        except InputError as error:
            findings.add_error(document.name, error)
    scales = {name: text for name in RATINGS if (text := _scale(properties.get(name)))}
    return EventsTable(tables[-1], tuple(rows), errors, scales)


def _scale(column: object) -> str:
    """Return the scale of a column, as events.json describes it."""
    if not isinstance(column, dict):
        return ""
    ends = column.get("Minimum"), column.get("Maximum")
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        return ""
    text = f"{ends[0]:g}-{ends[1]:g}"
    try:
        rating_range(text)
    except ValueError:
        return ""
    return text
