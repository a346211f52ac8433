"""`milmer prepare --check` of DEAP: its files and the trials per class, as a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from milmer_cli.data.labels import class_names
from milmer_cli.datasets.deap.inventory import FILMED, ParticipantInventory, inventory_deap
from milmer_cli.datasets.missing import group_missing
from milmer_cli.datasets.read_options import deap_channels
from milmer_cli.errors import shorten
from milmer_cli.preparation.input_check import (
    NO_CLASS,
    NONE,
    InputCheck,
    TrialCounts,
    tie_notes,
    totals,
)
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings.schema import Settings

_LISTED = 6


def check_deap(root: Path, settings: Settings, progress: Progress = SILENT) -> InputCheck:
    """Check DEAP below a folder: headers, stimulus marks, labels, first and last video frames.

    Parameters
    ----------
    root
        Any folder above DEAP's files.
    settings
        Section ``data``: source, participants, and how labels are derived.
    progress
        Advances by participants.

    Raises
    ------
    InputError
        ``root``, the ratings file or a setting cannot be used, or a participant is unknown.
    """
    data = settings.data
    deap_channels(data)  # reports settings that do not apply to DEAP
    found = inventory_deap(root, data.source, data.participants, progress)
    counts = {
        entry.participant: TrialCounts.of(list(entry.ratings.values()), [], data)
        for entry in found.participants
    }
    columns = ("", "raw", "preproc.", "ratings", "videos", "video", "usable", "EEG", "faces")
    rows = [(*_deap_row(entry), *counts[entry.participant].cells) for entry in found.participants]
    of_participants = (
        entry
        for participant in found.participants
        for entry in participant.missing
        if not any(_implies(general.why, entry.why) for general in found.missing)
    )
    return InputCheck(
        f"DEAP below {root}",
        (*columns, *class_names(data.target), NO_CLASS),
        (*rows, totals(rows)),
        (*found.missing, *group_missing(of_participants)),
        (*found.notes, *_deap_notes(found.participants), *tie_notes(counts.values(), data)),
        found.usable,
        found.to_json() | {"classes": {name: own.to_json() for name, own in counts.items()}},
    )


def _deap_row(entry: ParticipantInventory) -> tuple[str, ...]:
    rates = [video.fps for video in entry.videos if video.fps]
    lengths = [video.duration_s for video in entry.videos if video.duration_s]
    video = (
        f"{statistics.median(rates):.4g} fps, {statistics.median(lengths):.0f} s"
        if rates and lengths
        else NONE
    )
    videos = f"{len(entry.videos)}/{entry.videos_expected}"
    return (
        entry.participant,
        _eeg_cell(entry, ["bdf"]),
        _eeg_cell(entry, ["dat", "mat"]),
        str(entry.ratings_rows),
        videos if entry.videos_expected or entry.videos else NONE,
        video,
        str(entry.usable_trials),
        str(entry.eeg_trials),
        str(entry.video_trials),
    )


def _eeg_cell(entry: ParticipantInventory, formats: Sequence[str]) -> str:
    cells = []
    for file in entry.eeg:
        if file.format in formats:
            rate = f" {file.sfreq_hz:g} Hz" if file.sfreq_hz else ""
            cells.append(f"{file.format}{' broken' if file.problem else rate}")
    return ", ".join(cells) or NONE


def _implies(general: str, why: str) -> bool:
    """Whether what all participants lack makes the entry of one participant redundant."""
    pairs = {
        "Nothing can be used: ": "Nothing of this participant can be used: ",
        "Only faces can be used.": "This participant has no EEG.",
        "Only EEG can be used.": "These trials have no faces.",
    }
    return any(general.startswith(a) and why.startswith(b) for a, b in pairs.items())


def _deap_notes(entries: Sequence[ParticipantInventory]) -> list[str]:
    notes = []
    never = [
        f"{entry.participant} trial{'s' * (len(trials) > 1)} {', '.join(map(str, trials))}"
        for entry in entries
        if (trials := entry.videos_never_published)
    ]
    if never:
        notes.append(f"DEAP has no video of {'; '.join(never)}.")
    not_filmed = [
        entry.participant
        for entry in entries
        if int(entry.participant[1:]) not in FILMED and not entry.videos
    ]
    if not_filmed:
        listed = shorten(not_filmed, _LISTED)
        notes.append(f"DEAP has no face videos of {listed}: EEG only.")
    sources = {entry.source for entry in entries if entry.source}
    if len(sources) > 1:
        notes.append(
            f"EEG would be read from {' and '.join(sorted(sources))} files, some of which DEAP's "
            "authors cleaned; --source selects one."
        )
    return notes
