"""A prepared store -> a page of what a careful person looks at before training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import welch

from milmer_cli.data.labels import LEFT_OUT, class_names, classes
from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.report.inspection import (
    Coverage,
    InspectionReport,
    Person,
    Sample,
    Spectra,
    inspection_page,
)
from milmer_cli.report.pages import write_page
from milmer_cli.settings.published import LAYOUT
from milmer_cli.settings.schema import DataSettings, Settings
from milmer_cli.store import PreparedParticipant, PreparedStore, Segments, check_store

TASK = "inspect"
MOST_SAMPLES = 12
_SEGMENTS_A_SPECTRUM = 40
_FINDINGS = 12


@dataclass(frozen=True)
class InspectResult:
    """Where the page is, and its counts.

    Attributes
    ----------
    page
        The page.
    participants, trials, segments
        Counts.
    classes
        Trials by class.
    face_coverage, eeg_coverage
        Share of the images with a face; share of the segments with EEG.
    findings
        What a look through the store found, one sentence each.
    """

    page: Path
    participants: int
    trials: int
    segments: int
    classes: dict[str, int]
    face_coverage: float
    eeg_coverage: float
    findings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**self.__dict__, "page": str(self.page), "findings": list(self.findings)}

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        counted = ", ".join(f"{name} {count}" for name, count in self.classes.items())
        return [
            ("participants", str(self.participants)),
            ("trials", f"{self.trials} ({counted})"),
            ("segments", str(self.segments)),
            ("coverage", f"faces {self.face_coverage:.1%}, EEG {self.eeg_coverage:.1%}"),
            *(("note", finding) for finding in self.findings),
            ("page to open", str(self.page)),
        ]


def inspect(
    prepared: Path,
    page: Path,
    settings: Settings,
    *,
    participant: str | None = None,
    trial: int | None = None,
    progress: Progress = SILENT,
) -> InspectResult:
    """Write a page about a prepared store.

    Parameters
    ----------
    prepared
        The store.
    page
        The page to write.
    settings
        Section ``data``: how ratings become classes.
    participant
        Whose segments to show, one of each trial; None for some of everybody.
    trial
        Which trial to show whole, of ``participant`` or of the first participant that has it.
    progress
        Told of each participant.

    Raises
    ------
    InputError
        There is no store, or no such participant or trial in it.
    """
    store = PreparedStore.open(prepared)
    segments = store.segments()
    labels = classes(segments.ratings, settings.data, segments.label)
    names = class_names(settings.data.target, segments.label)
    chosen, choice = _choose(store, segments, participant, trial)
    progress.start(TASK, len(store.participants), "participants")
    people, density, frequencies = [], [], np.zeros(0)
    for name in store.participants:
        p, own = store.participant(name), segments.participant == name
        people.append(_person(p, labels[own], len(names)))
        if p.eeg_found.any() and p.channels:
            frequencies, median = _usual_spectrum(p)
            density.append((name, median))
        progress.advance(TASK)
    progress.done(TASK)
    found = check_store(prepared, deep=False)
    limit = float(store.settings["eeg"]["band_hz"][1])
    spectra = (
        Spectra([n for n, _ in density], frequencies, np.array([d for _, d in density]), limit)
        if density
        else None
    )
    with_class = [None if k == LEFT_OUT else names[k] for k in labels]
    samples = [_sample(store, segments, row, with_class[row], spectra) for row in chosen]
    result = InspectResult(
        page=page,
        participants=len(store.participants),
        trials=len(np.unique(segments.trial_id)),
        segments=len(segments),
        classes=_trials_by_class(segments, labels, names),
        face_coverage=float(segments.faces_found.mean()),
        eeg_coverage=float(segments.eeg_found.mean()),
        findings=tuple(f"{f.where}: {f.what}" for f in found),
    )
    report = InspectionReport(
        title=str(prepared),
        counts=_counts(store, result),
        class_names=names,
        class_rule=_rule(settings.data),
        people=people,
        eeg=result.eeg_coverage,
        faces=result.face_coverage,
        coverage=_coverage(store),
        spectra=spectra,
        samples=samples,
        choice=choice,
        notes=_notes(store, result.findings),
        settings=store.settings,
        facts=[("store", str(prepared.resolve())), ("fingerprint", store.fingerprint)],
    )
    page.parent.mkdir(parents=True, exist_ok=True)
    write_page(page, inspection_page(report))
    return result


def _choose(
    store: PreparedStore, segments: Segments, participant: str | None, trial: int | None
) -> tuple[list[int], str]:
    """Pick rows of the table to show, and say how they were picked."""
    if participant is not None and participant not in store.participants:
        there = ", ".join(store.participants)
        raise InputError(f"{store.folder} has no participant {participant}.", f"It has: {there}.")
    mine = np.ones(len(segments), bool)
    if participant is not None:
        mine = segments.participant == participant
    if trial is not None:
        found = np.flatnonzero(mine & (segments.trial == trial))
        if not len(found):
            whose = participant or "any participant"
            raise InputError(
                f"There is no trial {trial} of {whose} in {store.folder}.",
                f"There are: {_span(segments.trial[mine])}.",
            )
        name = str(segments.participant[found[0]])
        found = found[segments.participant[found] == name]
        return found.tolist(), f"All segments of {name}, trial {trial}."
    if participant is not None:
        trials = np.unique(segments.trial[mine])
        rows = [_middle(np.flatnonzero(mine & (segments.trial == number))) for number in trials]
        return _evenly(rows), _said(len(rows), f"trial of {participant}", "with --trial, one whole")
    middles = []
    for number, name in enumerate(store.participants):
        trials = np.unique(segments.trial[segments.participant == name])
        # another trial of each, so that not all show the beginning of the session
        shown = trials[number % len(trials)]
        one = (segments.participant == name) & (segments.trial == shown)
        middles.append(_middle(np.flatnonzero(one)))
    return _evenly(middles), _said(
        len(middles), "participant", "with --participant, one of each trial"
    )


def _middle(rows: np.ndarray) -> int:
    return int(rows[len(rows) // 2])


def _evenly(rows: Sequence[int]) -> list[int]:
    most = min(MOST_SAMPLES, len(rows))
    at = np.unique(np.linspace(0, len(rows) - 1, most).round().astype(int))
    return [rows[index] for index in at]


def _said(count: int, what: str, more: str) -> str:
    if count > MOST_SAMPLES:
        return f"A segment from the middle of {MOST_SAMPLES} of {count}, one a {what}; {more}."
    return f"A segment from the middle of one trial, for each {what}; {more}."


def _span(trials: np.ndarray) -> str:
    found = np.unique(trials)
    return f"{found[0]} to {found[-1]}" if len(found) > 1 else str(found[0])


def _person(p: PreparedParticipant, labels: np.ndarray, n_classes: int) -> Person:
    _, first = np.unique(p.trial, return_index=True)
    counts = np.bincount(labels[first][labels[first] != LEFT_OUT], minlength=n_classes)
    notes = p.notes
    return Person(
        name=p.participant,
        trials=len(first),
        segments=len(p),
        by_class=counts.tolist(),
        left_out=int((labels[first] == LEFT_OUT).sum()),
        eeg=float(p.eeg_found.mean()),
        faces=float(p.found.mean()),
        interpolated=notes.get("interpolated", []),
        remarks=notes.get("remarks", []),
    )


def _spectrum(eeg: np.ndarray, sfreq: float) -> tuple[np.ndarray, np.ndarray]:
    """Give frequencies, (n,), and density, (channels, n), of (channels, samples)."""
    return welch(eeg, sfreq, nperseg=min(eeg.shape[-1], round(2 * sfreq)))


def _usual_spectrum(p: PreparedParticipant) -> tuple[np.ndarray, np.ndarray]:
    rows = np.flatnonzero(p.eeg_found)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, _SEGMENTS_A_SPECTRUM).astype(int))]
    parts = [_spectrum(p.eeg[int(row)], p.sfreq) for row in rows]
    return parts[0][0], np.median([np.median(part, axis=0) for _, part in parts], axis=0)


def _sample(
    store: PreparedStore, segments: Segments, at: int, name: str | None, spectra: Spectra | None
) -> Sample:
    p, row = store.participant(str(segments.participant[at])), int(segments.row[at])
    images = p.faces(row)
    eeg = np.asarray(p.eeg[row], np.float64) if p.eeg_found[row] else None
    return Sample(
        participant=p.participant,
        trial=int(p.trial[row]),
        stimulus=int(p.stimulus[row]),
        onset_s=float(p.onset[row]),
        segment_s=p.segment_s,
        class_name=name,
        faces=[
            image if found else str(why)
            for image, found, why in zip(images, p.found[row], p.reason[row], strict=True)
        ],
        times_s=p.time[row].tolist(),
        eeg=eeg,
        channels=p.channels,
        sfreq=p.sfreq,
        density=None if eeg is None or spectra is None else _spectrum(eeg, p.sfreq)[1],
    )


def _coverage(store: PreparedStore) -> Coverage:
    people = [store.participant(name) for name in store.participants]
    trials = np.unique(np.concatenate([p.trial for p in people]))
    faces, eeg = np.full((2, len(people), len(trials)), np.nan)
    for index, p in enumerate(people):
        for column in np.flatnonzero(np.isin(trials, p.trial)):
            rows = p.trial == trials[column]
            faces[index, column] = p.found[rows].mean()
            eeg[index, column] = p.eeg_found[rows].mean()
    return Coverage(store.participants, trials.tolist(), faces, eeg)


def _trials_by_class(
    segments: Segments, labels: np.ndarray, names: Sequence[str]
) -> dict[str, int]:
    _, first = np.unique(segments.trial_id, return_index=True)
    found = labels[first]
    counts = {name: int((found == number).sum()) for number, name in enumerate(names)}
    left_out = int((found == LEFT_OUT).sum())
    return {**counts, "no class": left_out} if left_out else counts


def _counts(store: PreparedStore, result: InspectResult) -> list[tuple[str, str]]:
    first = store.participant(store.participants[0])
    detectors = sorted({entry["detector"] for entry in store.entries.values()})
    hours = result.segments * first.segment_s / 3600
    return [
        ("participants", str(result.participants)),
        ("trials", str(result.trials)),
        ("segments", f"{result.segments} of {first.segment_s:g} s ({hours:.1f} h)"),
        ("EEG", f"{len(first.channels)} channels at {first.sfreq:g} Hz"),
        ("segments with EEG", f"{result.eeg_coverage:.1%}"),
        ("images", f"{first.instances} a segment, {first.face_size} pixels"),
        ("images with a face", f"{result.face_coverage:.1%}"),
        ("found by", ", ".join(detectors)),
    ]


def _rule(data: DataSettings) -> str:
    if data.target == "label":
        return "They are named by the data set."
    tie = {
        "low": "and one exactly there is low",
        "high": "and one exactly there is high",
        "drop": "and a trial exactly there has none",
        "published": "and ties are treated as in the published code",
    }[data.ties]
    return f"A rating above {data.threshold:g} is high {tie}."


def _notes(store: PreparedStore, findings: Sequence[str]) -> list[str]:
    notes = [LAYOUT] if store.settings["eeg"].get("layout") == "published" else []
    notes += findings[:_FINDINGS]
    if len(findings) > _FINDINGS:
        notes.append(f"And {len(findings) - _FINDINGS} more such remarks.")
    return notes
