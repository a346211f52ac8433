"""Prepared store -> a page to check by eye before training."""

from __future__ import annotations

from pathlib import Path

from milmer_cli.inspection.inspect_store import inspect_store
from milmer_cli.inspection.result import InspectionResult
from milmer_cli.io import atomic_write
from milmer_cli.progress import SILENT, Progress
from milmer_cli.reports.inspection import inspection_page
from milmer_cli.settings import Settings, load_settings


def inspect(
    prepared: Path | str,
    page: Path | str,
    settings: Settings | None = None,
    *,
    participant: str | None = None,
    trial: int | None = None,
    progress: Progress = SILENT,
) -> InspectionResult:
    """Write a page about a prepared store.

    Parameters
    ----------
    prepared
        Folder of the store.
    page
        HTML file to write.
    settings
        Sections ``data`` (how labels are derived from ratings) and ``quality``; by default those
        of `load_settings`.
    participant
        Participant of whom one segment of each trial is shown; None for one segment of each
        participant.
    trial
        Trial of which all segments are shown, of ``participant`` or of the first participant that
        has it.
    progress
        Advanced by participants.

    Raises
    ------
    InputError
        There is no store, or it has no such participant or trial.
    """
    prepared, page, settings = Path(prepared), Path(page), settings or load_settings()
    result = inspect_store(
        prepared, page, settings, participant=participant, trial=trial, progress=progress
    )
    page.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(page, inspection_page(result))
    return result
