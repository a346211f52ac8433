"""What is wrong with a store, before hours are spent on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.store.index import PreparedStore, file_hash
from milmer_cli.store.layout import ENDING, PIECES
from milmer_cli.store.participant import PreparedParticipant

_AGAIN = "Delete the file and run `milmer prepare` again."
_LOW_COVERAGE = 0.5
_FLAT_UV = 0.1  # EEG below this, or above the next, is a lost electrode or a wrong unit
_WILD_UV = 500.0


@dataclass(frozen=True)
class Finding:
    """One thing to know: ``error`` makes results wrong, ``warning`` makes them worse."""

    severity: Literal["error", "warning"]
    where: str
    what: str
    fix: str


def check_store(folder: Path, deep: bool = True, progress: Progress = SILENT) -> list[Finding]:
    """Look through a prepared folder.

    Parameters
    ----------
    folder
        The store.
    deep
        Also read everything: hashes, all EEG, all images. Without, only what opening shows.
    progress
        Told of each participant.

    Returns
    -------
    list of Finding
        Errors first; empty when all is well.
    """
    try:
        store = PreparedStore.open(folder)
    except InputError as error:
        return [Finding("error", str(folder), error.message, error.hint)]
    found = list(_folder_findings(store))
    progress.start("check", len(store.participants), "participants")
    alike: tuple[object, ...] | None = None
    for name in store.participants:
        try:
            with store.participant(name) as p:
                found += _table_findings(p)
                kind = (p.channels, p.sfreq, p.segment_s, p.instances, p.face_size)
                if p.channels and alike not in (None, kind):
                    found.append(_unlike(p))
                elif p.channels:
                    alike = kind
                if deep:
                    found += _content_findings(p, store.entries[name]["sha256"])
        except InputError as error:
            found.append(Finding("error", name, error.message, error.hint))
        progress.advance("check")
    progress.done("check")
    return sorted(found, key=lambda finding: finding.severity != "error")


def _folder_findings(store: PreparedStore) -> Iterator[Finding]:
    known = {entry["file"] for entry in store.entries.values()}
    for path in sorted(store.folder.glob(f"*{ENDING}")):
        if path.name not in known:
            yield Finding(
                "warning", path.name, "The index does not name this file.",
                "Run `milmer prepare` for all participants, or delete it.",
            )  # fmt: skip
    if (store.folder / PIECES).is_dir():
        yield Finding(
            "warning", PIECES, "A prepare was interrupted here.",
            "Run `milmer prepare` again to finish it.",
        )  # fmt: skip


def _unlike(p: PreparedParticipant) -> Finding:
    return Finding(
        "error", p.participant,
        "Channels, rate, segment length or face size differ from the participants before.",
        "Prepare all participants with the same settings, or train on them apart.",
    )  # fmt: skip


def _table_findings(p: PreparedParticipant) -> Iterator[Finding]:
    if not len(p):
        yield Finding("error", p.participant, "It has no segments.", _AGAIN)
        return
    for trial in np.unique(p.trial):
        rows = np.flatnonzero(p.trial == trial)
        where = f"{p.participant}, trial {trial}"
        clips, onsets = np.unique(p.stimulus[rows]), p.onset[rows]
        if len(clips) > 1 or np.any(np.diff(rows) != 1) or np.any(np.diff(onsets) <= 0):
            yield Finding("error", where, "Its rows are not one run of one stimulus.", _AGAIN)
        ratings = p.ratings[rows][0]
        if np.any(np.isnan(ratings[:2])) and not p.label[rows][0]:
            yield Finding("warning", where, "Valence or arousal is missing.",
                          "The trial is left out of training.")  # fmt: skip
        coverage = p.found[rows].mean() if p.instances else 1.0
        if not p.eeg_found[rows].any() and coverage == 0:
            yield Finding("error", where, "It has neither EEG nor faces.", "Look for its files.")
        elif coverage < _LOW_COVERAGE and not np.all(p.reason[rows] == "no video"):
            yield Finding(
                "warning", where, f"A face was found in {coverage:.0%} of the frames wanted.",
                "Look at the reasons in faces.csv; another faces.detector may find more.",
            )  # fmt: skip


def _content_findings(p: PreparedParticipant, sha256: str) -> Iterator[Finding]:
    if file_hash(p.path) != sha256:
        yield Finding("error", p.participant, f"{p.path.name} is not as it was made.", _AGAIN)
    dead: dict[str, int] = {}
    for row in range(len(p)):
        where = f"{p.participant}, segment {row}"
        p.faces(row)  # refuses what does not decode to the right size
        eeg = p.eeg[row]
        if not p.eeg_found[row]:
            if np.isfinite(eeg).any():
                yield Finding("error", where, "EEG is marked missing and is there.", _AGAIN)
            continue
        if not np.isfinite(eeg).all():
            yield Finding("error", where, "EEG holds values that are not numbers.", _AGAIN)
            continue
        spread = eeg.std(axis=1)
        for index in np.flatnonzero((spread < _FLAT_UV) | (spread > _WILD_UV)):
            dead[p.channels[index]] = dead.get(p.channels[index], 0) + 1
    for channel, count in dead.items():
        if count > len(p) / 2:
            yield Finding(
                "warning", f"{p.participant}, channel {channel}",
                f"It is flat or beyond {_WILD_UV:g} uV in {count} of {len(p)} segments.",
                "Look at the recording, or let bad channels be interpolated.",
            )  # fmt: skip
