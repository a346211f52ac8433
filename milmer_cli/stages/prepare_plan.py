"""What has to be done for a participant, decided before any work; what is there is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.recordings.eeg import segment_onsets
from milmer_cli.recordings.trial import Recordings, Trial
from milmer_cli.settings.schema import EegSettings, FacesSettings, Settings
from milmer_cli.settings.write import fingerprint
from milmer_cli.store.images import EncodedFaces
from milmer_cli.store.layout import ENDING
from milmer_cli.store.participant import PreparedParticipant
from milmer_cli.store.pieces import TrialPieces

_PROBED_BYTES = 1 << 16
_MADE_FROM = {
    "eeg": tuple(f"eeg.{name}" for name in EegSettings.model_fields),
    "faces": (
        *(f"faces.{name}" for name in FacesSettings.model_fields),
        "eeg.segment_s",
        "eeg.overlap_s",
    ),
}
"""Which settings each part depends on."""
_WORDS = {"eeg": "the EEG", "faces": "the faces", "rows": "the ratings"}


@dataclass(frozen=True)
class Plan:
    """The parts of one participant's file that are to be made.

    Attributes
    ----------
    trials
        Those that hold a segment.
    channels
        EEG channels to store, as `Recordings.channels`.
    fingerprints
        Of what ``eeg``, ``faces`` and ``rows`` (ratings, classes, clips) are made from.
    make_eeg, make_faces
        Whether to make the EEG; the trials whose faces are to be found.
    whole
        The file is there and unchanged.
    why
        One sentence on what is made again, or what an earlier run has left; may be empty.
    """

    participant: str
    trials: tuple[Trial, ...]
    channels: tuple[str, ...]
    fingerprints: Mapping[str, str]
    make_eeg: bool = False
    make_faces: tuple[Trial, ...] = ()
    whole: bool = False
    why: str = ""

    @property
    def parts(self) -> int:
        """How many parts are to be made."""
        return self.make_eeg + len(self.make_faces)


def plan(
    recordings: Recordings, participant: str, out: Path, settings: Settings, detector: str
) -> Plan:
    """Decide what has to be done for a participant.

    Parts of a finished file that the settings leave as they are become pieces, to be put together
    again with what is made now.

    Parameters
    ----------
    recordings
        The data set.
    participant
        Name.
    out
        The store; its lock is held.
    settings
        Sections ``eeg`` and ``faces`` are read.
    detector
        The face detector in use.

    Raises
    ------
    InputError
        The recordings of the participant are broken or contradict each other, or hold no segment.
    """
    trials = tuple(
        trial
        for trial in recordings.trials(participant)
        if (trial.has_eeg or trial.video) and len(onsets(trial, settings))
    )
    if not trials:
        raise InputError(
            f"No trial of {participant} holds a segment of {settings.eeg.segment_s:g} s of EEG or "
            "video.",
            "Lower eeg.segment_s, or leave the participant out.",
        )
    prints = _fingerprints(recordings, participant, trials, settings, detector)
    channels = recordings.channels or ()
    before = _finished(out, participant)
    pieces = TrialPieces(out, participant, prints)
    if before is not None and before.fingerprints == prints:
        pieces.clear()  # left by a run that was killed just after it wrote the file
        return Plan(participant, trials, channels, prints, whole=True)
    if before is not None:
        _take_over(before, trials, prints, pieces)
    videos = tuple(trial for trial in trials if trial.video)
    make_faces = tuple(trial for trial in videos if not pieces.has("faces", trial.trial))
    has_eeg = any(trial.has_eeg for trial in trials)
    make_eeg = has_eeg and pieces.load_facts() is None
    if before is not None:
        why = _difference(before, prints, settings)
    else:
        parts = has_eeg + len(videos)
        there = parts - make_eeg - len(make_faces)
        why = f"goes on, {there} of {parts} parts were finished before." if there else ""
    return Plan(participant, trials, channels, prints, make_eeg, make_faces, why=why)


def onsets(trial: Trial, settings: Settings) -> np.ndarray:
    """Give the start of each segment of a trial, (n_segments,) seconds after the stimulus."""
    return segment_onsets(trial.duration_s, settings.eeg.segment_s, settings.eeg.overlap_s)


def _fingerprints(
    recordings: Recordings,
    participant: str,
    trials: Sequence[Trial],
    settings: Settings,
    detector: str,
) -> dict[str, str]:
    """Hash what each part is made from, so that a change redoes what depends on it."""
    made_from = recordings.inputs(participant)
    counts = {trial.trial: len(onsets(trial, settings)) for trial in trials}
    rows = [f"{t.trial} {t.stimulus} {t.ratings} {t.label}" for t in trials]
    # which row of a preprocessed array a trial is depends on its stimulus
    eeg = [f"{t.trial} {t.stimulus} {counts[t.trial]}" for t in trials if t.has_eeg]
    videos = [
        f"{t.trial} {counts[t.trial]} {t.video.onset_s!r} {_identity(t.video.path)}"
        for t in trials
        if t.video
    ]
    channels = ";".join(recordings.channels or ())
    files = [_identity(path) for path in made_from.eeg]
    timing = [settings.eeg.segment_s, settings.eeg.overlap_s]
    return {
        "rows": fingerprint(*rows),
        "eeg": fingerprint(settings.eeg, channels, *made_from.reading, *eeg, *files),
        "faces": fingerprint(settings.faces, detector, *timing, *videos),
    }


def _identity(path: Path) -> str:
    """Name, size and a hash of both ends of a file: enough to notice another one, at no cost."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            ends = file.read(_PROBED_BYTES)
            file.seek(max(0, size - _PROBED_BYTES))
            ends += file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the file.") from error
    return f"{path.name} {size} {hashlib.sha256(ends).hexdigest()}"


def _finished(out: Path, participant: str) -> PreparedParticipant | None:
    """Open the participant's file of an earlier run; None where there is none that can be read."""
    path = out / f"{participant}{ENDING}"
    if not path.exists():
        return None
    try:
        return PreparedParticipant.open(path)
    except InputError:
        return None  # of another format, or damaged: made again under the same name


def _take_over(
    before: PreparedParticipant,
    trials: Sequence[Trial],
    prints: Mapping[str, str],
    pieces: TrialPieces,
) -> None:
    """Keep the parts of a finished file that the new settings leave as they are."""
    with before:
        if before.fingerprints.get("faces") == prints["faces"]:
            for trial in trials:
                if trial.video and not pieces.has("faces", trial.trial):
                    pieces.save_faces(trial.trial, _stored_faces(before, trial.trial))
        if before.fingerprints.get("eeg") == prints["eeg"] and pieces.load_facts() is None:
            for trial in trials:
                rows = np.flatnonzero((before.trial == trial.trial) & before.eeg_found)
                if len(rows):
                    pieces.save_eeg(trial.trial, before.eeg[rows])
            pieces.save_facts({"channels": before.channels, "notes": before.notes})


def _stored_faces(p: PreparedParticipant, trial: int) -> EncodedFaces:
    rows = np.flatnonzero(p.trial == trial)
    images = [image for row in rows for image in p.encoded_faces(int(row))]
    return EncodedFaces(
        images, p.found[rows], p.time[rows], p.box[rows], p.score[rows], p.reason[rows]
    )


def _difference(before: PreparedParticipant, prints: Mapping[str, str], settings: Settings) -> str:
    """Say what changed since the file was made, and what is made again for it."""
    now = settings.model_dump(mode="json", include={"eeg", "faces"})
    changed = {
        f"{section}.{key}": f"{section}.{key} was {old!r} and is {new!r}"
        for section, values in now.items()
        for key, new in values.items()
        if (old := before.settings.get(section, {}).get(key)) != new
    }
    parts = [part for part in _WORDS if before.fingerprints.get(part) != prints[part]]
    reasons = list(changed.values())
    for part in parts:
        if part == "rows":
            reasons.append("ratings, classes or clips changed")
        elif not changed.keys() & set(_MADE_FROM[part]):
            reasons.append(f"the files behind {_WORDS[part]} changed")
    eeg = "the EEG is made again" if "eeg" in parts else "the EEG is kept"
    faces = "the faces are found again" if "faces" in parts else "the faces are kept"
    return f"{'; '.join(reasons)}: {eeg}, {faces}."
