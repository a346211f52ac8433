"""The files of a manifest: what can be used and what is missing, for `prepare --check`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from milmer_cli.datasets.base import Trial
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.datasets.missing import MissingInput, probe_or_problem
from milmer_cli.errors import InputError, shorten
from milmer_cli.progress import SILENT, Progress
from milmer_cli.video.decode import VideoOptions
from milmer_cli.video.probe import VideoProbe, probe_video

TASK = "check"
_LISTED = 6


@dataclass(frozen=True)
class ParticipantFiles:
    """Trials and files of one participant of a manifest.

    Attributes
    ----------
    participant
        Name.
    trials
        All trials; none if an EEG file of the participant cannot be read.
    usable
        Trials with EEG or a video that can be decoded.
    rates_hz
        Sampling rates of the EEG files.
    videos
        Number of trials with a video that can be decoded.
    missing
        Missing, unusable and incomplete inputs.
    notes
        What the user should know of the videos, one sentence each.
    """

    participant: str
    trials: tuple[Trial, ...]
    usable: tuple[Trial, ...]
    rates_hz: tuple[float, ...]
    videos: int
    missing: tuple[MissingInput, ...]
    notes: tuple[str, ...] = ()


def inventory_manifest(
    recordings: ManifestRecordings, progress: Progress = SILENT
) -> list[ParticipantFiles]:
    """Check the videos of a manifest and list what is missing, by participant.

    The EEG files have been opened when ``recordings`` was created.

    Parameters
    ----------
    recordings
        The manifest.
    progress
        Advances by participants.
    """
    names = recordings.participants()
    progress.start(TASK, len(names), "participants")
    entries = []
    for name in names:
        entries.append(_inventory_of(name, recordings))
        progress.advance(TASK)
    progress.done(TASK)
    return entries


def _inventory_of(name: str, recordings: ManifestRecordings) -> ParticipantFiles:
    try:
        trials = recordings.trials(name)
    except InputError as error:
        what, rates = f"EEG of {name}", tuple(recordings.rates(name))
        missing = (MissingInput(what, f"{name} is left out: {error.message}", error.hint),)
        return ParticipantFiles(name, (), (), rates, 0, missing)
    files = dict.fromkeys((t.video.path, t.video.options) for t in trials if t.video)
    probes = {file: _probe(*file) for file in files}
    with_video = [
        trial
        for trial in trials
        if trial.video and not probes[trial.video.path, trial.video.options][1]
    ]
    problems = [problem for _, problem in probes.values() if problem]
    problems += [
        MissingInput(path.name, properties.incomplete, "Copy it again; its rest is used.")
        for (path, _), (properties, _) in probes.items()
        if properties and properties.incomplete
    ]
    notes = [note for properties, _ in probes.values() if properties for note in properties.notes]
    return ParticipantFiles(
        participant=name,
        trials=tuple(trials),
        usable=tuple(trial for trial in trials if trial.has_eeg or trial in with_video),
        rates_hz=tuple(recordings.rates(name)),
        videos=len(with_video),
        missing=(*problems, *_missing_of(name, trials)),
        notes=tuple(notes),
    )


def _probe(path: Path, options: VideoOptions) -> tuple[VideoProbe | None, MissingInput | None]:
    return probe_or_problem(path, functools.partial(probe_video, options=options))


def _missing_of(name: str, trials: Sequence[Trial]) -> list[MissingInput]:
    unrated = [t.trial for t in trials if np.isnan(t.ratings[:2]).any() and not t.label]
    no_eeg = [t.trial for t in trials if not t.has_eeg]
    no_video = [t.trial for t in trials if not t.video]
    reasons = (
        (unrated, "A trial without valence and arousal, or a label, cannot be used for training."),
        (no_eeg, "No EEG: these trials have faces only."),
        (no_video, "No video: these trials have EEG only."),
    )
    return [
        MissingInput(f"{name} trial{'s' * (len(numbers) > 1)} {shorten(numbers, _LISTED)}", why, "")
        for numbers, why in reasons
        if numbers
    ]
