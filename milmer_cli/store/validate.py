"""Find errors in a store before it is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from milmer_cli.digests import file_digest
from milmer_cli.errors import InputError, shorten
from milmer_cli.faces.segment_faces import NO_VIDEO
from milmer_cli.progress import SILENT, Progress
from milmer_cli.store.index import PreparedStore
from milmer_cli.store.reader import PreparedParticipant
from milmer_cli.store.schema import CACHE_FOLDER, COVERAGE_FILE, INDEX_FILE, PARTICIPANT_SUFFIX

_TASK = "validate"
_PREPARE_AGAIN = "Delete the file and run `milmer prepare` again."
_LOW_FACE_COVERAGE = 0.5
# Standard deviation of a channel outside this range: a disconnected electrode or a wrong unit.
_MIN_SD_UV, _MAX_SD_UV = 0.1, 500.0


@dataclass(frozen=True)
class Finding:
    """A problem of a store.

    Attributes
    ----------
    severity
        ``error``: results would be wrong. ``warning``: results may be worse.
    where
        Participant, trial, segment or file.
    message
        One sentence on the problem.
    hint
        What to do.
    """

    severity: Literal["error", "warning"]
    where: str
    message: str
    hint: str


def validate_store(
    folder: Path | str, deep: bool = True, progress: Progress = SILENT
) -> list[Finding]:
    """Find problems of a store.

    Parameters
    ----------
    folder
        The store.
    deep
        Also read all EEG and images and compare the SHA-256 of the files with the index.
    progress
        Advanced by participants.

    Returns
    -------
    list of Finding
        Errors first.
    """
    try:
        store = PreparedStore.open(folder, verify=deep)
    except InputError as error:
        return [Finding("error", str(folder), error.message, error.hint)]
    findings = list(_folder_findings(store))
    progress.start(_TASK, len(store.participants), "participants")
    reference: tuple[object, ...] | None = None
    for name in store.participants:
        try:
            with store.participant(name) as p:
                findings += _table_findings(p)
                if p.channels:
                    layout = (p.channels, p.sfreq, p.segment_s, p.instances, p.face_size)
                    reference = reference or layout
                    if layout != reference:
                        findings.append(_different_layout(p))
                if deep:
                    findings += _content_findings(p, store.entries[name].get("sha256", ""))
        except InputError as error:
            findings.append(Finding("error", name, error.message, error.hint))
        progress.advance(_TASK)
    progress.done(_TASK)
    return sorted(findings, key=lambda finding: finding.severity != "error")


def _folder_findings(store: PreparedStore) -> Iterator[Finding]:
    known = {entry["file"] for entry in store.entries.values()}
    for path in sorted(store.folder.glob(f"*{PARTICIPANT_SUFFIX}")):
        if path.name not in known:
            yield Finding(
                "warning", path.name, f"{INDEX_FILE} does not list this file.",
                "Run `milmer prepare` for all participants, or delete the file.",
            )  # fmt: skip
    if (store.folder / CACHE_FOLDER).is_dir():
        yield Finding(
            "warning", CACHE_FOLDER, "A run of `milmer prepare` was interrupted.",
            "Run it again to finish it.",
        )  # fmt: skip


def _different_layout(p: PreparedParticipant) -> Finding:
    return Finding(
        "error", p.participant,
        "Channels, sampling rate, segment duration or face size differ from those of the previous "
        "participants.",
        "Prepare all participants with the same settings, or train on them separately.",
    )  # fmt: skip


def _table_findings(p: PreparedParticipant) -> Iterator[Finding]:
    if not len(p):
        yield Finding("error", p.participant, "It has no segments.", _PREPARE_AGAIN)
        return
    for trial in np.unique(p.trial):
        rows = np.flatnonzero(p.trial == trial)
        where = f"{p.participant}, trial {trial}"
        stimuli, onsets = np.unique(p.stimulus[rows]), p.onset[rows]
        if len(stimuli) > 1 or np.any(np.diff(rows) != 1) or np.any(np.diff(onsets) <= 0):
            yield Finding(
                "error", where, "Its rows are not consecutive segments of one stimulus.",
                _PREPARE_AGAIN,
            )  # fmt: skip
        for name in ("session", "condition"):
            if len(values := np.unique(getattr(p, name)[rows])) > 1:
                yield Finding(
                    "error", where, f"Its rows have different {name}s: {shorten(values.tolist())}.",
                    _PREPARE_AGAIN,
                )  # fmt: skip
        ratings = p.ratings[rows][0]
        if np.any(np.isnan(ratings[:2])) and not p.label[rows][0]:
            missing = "The label" if np.any(p.label != "") else "Valence or arousal"
            yield Finding(
                "warning", where, f"{missing} is missing.",
                "The trial is not used for training.",
            )  # fmt: skip
        coverage = p.found[rows].mean() if p.instances else 1.0
        if not p.eeg_found[rows].any() and coverage == 0:
            yield Finding("error", where, "It has neither EEG nor faces.", "Check its files.")
        elif coverage < _LOW_FACE_COVERAGE and not np.all(p.reason[rows] == NO_VIDEO):
            yield Finding(
                "warning", where, f"Only {coverage:.0%} of its face images were found.",
                f"See the column `reason` of {COVERAGE_FILE}, or try another faces.detector.",
            )  # fmt: skip


def _content_findings(p: PreparedParticipant, sha256: str) -> Iterator[Finding]:
    if file_digest(p.path) != sha256:
        yield Finding(
            "error", p.participant, f"{p.path.name} has changed since it was prepared.",
            _PREPARE_AGAIN,
        )  # fmt: skip
    implausible: Counter[str] = Counter()
    for row in range(len(p)):
        where = f"{p.participant}, segment {row}"
        p.faces(row)  # raises InputError if an image is damaged
        eeg = p.eeg[row]
        if not p.eeg_found[row]:
            if np.isfinite(eeg).any():
                yield Finding(
                    "error", where, "Its EEG is marked as missing but present.", _PREPARE_AGAIN
                )
            continue
        if not np.isfinite(eeg).all():
            yield Finding("error", where, "Its EEG contains NaN or infinity.", _PREPARE_AGAIN)
            continue
        sd_uv = eeg.std(axis=1)
        outside = np.flatnonzero((sd_uv < _MIN_SD_UV) | (sd_uv > _MAX_SD_UV))
        implausible.update(p.channels[index] for index in outside)
    for channel, count in implausible.items():
        if count > len(p) / 2:
            yield Finding(
                "warning", f"{p.participant}, channel {channel}",
                f"Its standard deviation is outside {_MIN_SD_UV:g} to {_MAX_SD_UV:g} microvolts in "
                f"{count} of {len(p)} segments.",
                "Check the recording, or set eeg.bad_channels=interpolate.",
            )  # fmt: skip
