"""Raw recordings -> the prepared store.

The work is cut into parts: the EEG of a participant, the faces of a trial. Each is saved as soon
as it is finished, so a run that is killed loses the parts it was at, and the next one goes on from
there. When a participant has all parts, its file is put together and appears under its name whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.recordings.eeg import clean, cut_trial, segment_onsets
from milmer_cli.recordings.trial import Recordings, Trial
from milmer_cli.settings.schema import Settings
from milmer_cli.settings.write import fingerprint
from milmer_cli.stages.segments import face_finder, face_segments
from milmer_cli.store.images import EncodedFaces
from milmer_cli.store.index import PreparedStore, read_index, write_index
from milmer_cli.store.layout import ENDING
from milmer_cli.store.ledger import write_ledger
from milmer_cli.store.lock import StoreLock
from milmer_cli.store.participant import PreparedParticipant
from milmer_cli.store.pieces import TrialPieces
from milmer_cli.store.writing import Header, PreparedTrial, write_participant

TASK = "prepare"
_PROBED_BYTES = 1 << 16


@dataclass(frozen=True)
class PrepareResult:
    """What a store holds after `prepare`.

    Attributes
    ----------
    out
        The store.
    made, kept
        Participants whose files were written now, and those that were there and unchanged.
    trials, segments
        Counts over these participants.
    faces_found
        Share of the images looked at on which there was a face; NaN without any video.
    without_video, without_eeg
        Names of those trials, ``s03/40``.
    detector
        The face detector in use.
    tables
        The ledger of all faces and the coverage of all trials.
    """

    out: Path
    made: tuple[str, ...]
    kept: tuple[str, ...]
    trials: int
    segments: int
    faces_found: float
    without_video: tuple[str, ...]
    without_eeg: tuple[str, ...]
    detector: str
    tables: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "out": str(self.out), "tables": [str(path) for path in self.tables]}

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        rows = [
            ("participants", f"{len(self.made)} made, {len(self.kept)} unchanged"),
            ("trials", str(self.trials)),
            ("segments", str(self.segments)),
            ("faces found", f"{self.faces_found:.1%} of the images looked at, by {self.detector}"),
        ]
        for label, names in (("no video", self.without_video), ("no EEG", self.without_eeg)):
            if names:
                rows.append((label, _few(names)))
        rows += [("table", str(path)) for path in self.tables]
        return [*rows, ("store", str(self.out))]


@dataclass(frozen=True)
class _Plan:
    """What has to be done for one participant, decided before any work."""

    participant: str
    trials: tuple[Trial, ...]
    fingerprints: Mapping[str, str]
    make_eeg: bool
    make_faces: tuple[Trial, ...]
    whole: bool
    why: str

    @property
    def parts(self) -> int:
        """How many parts are to be made."""
        return self.make_eeg + len(self.make_faces)


def prepare(
    recordings: Recordings, out: Path, settings: Settings, *, progress: Progress = SILENT
) -> PrepareResult:
    """Clean the EEG, find the faces and write the prepared store.

    Parameters
    ----------
    recordings
        The data set.
    out
        Folder of the store; what is there and unchanged is kept.
    settings
        Sections ``eeg``, ``faces`` and ``run`` are read.
    progress
        Advanced by parts: the EEG of a participant, the faces of a trial.

    Raises
    ------
    InputError
        A file of the data set cannot be used, or another process prepares in ``out``.
    MilmerError
        Writing failed; what is finished is kept.
    """
    with StoreLock(out):
        finder = face_finder(settings.faces)
        if finder.note:
            progress.note(finder.note)
        plans = [_plan(recordings, name, out, settings) for name in recordings.participants()]
        for plan in plans:
            if plan.why:
                progress.note(f"{plan.participant}: {plan.why}")
        try:
            made = _work(plans, recordings, out, settings, progress)
        except KeyboardInterrupt:
            progress.note(
                "Stopped. What is finished is kept: the same command goes on from there.", "warning"
            )
            raise
        names = [plan.participant for plan in plans]
        _index(out, settings, names, progress)
        store = PreparedStore.open(out)
        return _result(store, names, made, finder.name, write_ledger(store))


# Planning ---------------------------------------------------------------------------------------


def _plan(recordings: Recordings, participant: str, out: Path, settings: Settings) -> _Plan:
    trials = tuple(
        trial
        for trial in recordings.trials(participant)
        if (trial.has_eeg or trial.video) and len(_onsets(trial, settings))
    )
    if not trials:
        raise InputError(
            f"No trial of {participant} holds a segment of {settings.eeg.segment_s:g} s of EEG or "
            "video.",
            "Lower eeg.segment_s, or leave the participant out.",
        )
    prints = _fingerprints(recordings, participant, trials, settings)
    before = _finished(out, participant)
    if before is not None and before.fingerprints == prints:
        return _Plan(participant, trials, prints, False, (), True, "")
    pieces = TrialPieces(out, participant, prints)
    if before is not None:
        _take_over(before, trials, prints, pieces)
    why = "" if before is None else _difference(before, prints, settings)
    videos = tuple(
        trial for trial in trials if trial.video and not pieces.has("faces", trial.trial)
    )
    no_eeg_yet = any(trial.has_eeg for trial in trials) and pieces.load_facts() is None
    return _Plan(participant, trials, prints, no_eeg_yet, videos, False, why)


def _onsets(trial: Trial, settings: Settings) -> np.ndarray:
    return segment_onsets(trial.duration_s, settings.eeg.segment_s, settings.eeg.overlap_s)


def _fingerprints(
    recordings: Recordings, participant: str, trials: Sequence[Trial], settings: Settings
) -> dict[str, str]:
    """Hash what the EEG and the faces are made from, so that a change redoes what depends on it."""
    files = recordings.inputs(participant)
    ratings = [_identity(path) for path in files.ratings]
    cuts = [f"{t.trial} {t.stimulus} {len(_onsets(t, settings))}" for t in trials]
    timing = [settings.eeg.segment_s, settings.eeg.overlap_s]
    eeg = [_identity(path) for path in files.eeg]
    video = [_identity(path) for path in files.video]
    detector = face_finder(settings.faces).name
    return {
        "eeg": fingerprint(settings.eeg, *ratings, *cuts, *eeg),
        "faces": fingerprint(settings.faces, detector, *timing, *ratings, *cuts, *video),
    }


def _identity(path: Path) -> str:
    """Name, size and a hash of both ends of a file: enough to notice another one, at no cost."""
    size = path.stat().st_size
    with path.open("rb") as file:
        ends = file.read(_PROBED_BYTES)
        file.seek(max(0, size - _PROBED_BYTES))
        ends += file.read()
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
                rows = np.flatnonzero(before.trial == trial.trial)
                if trial.has_eeg and before.eeg_found[rows].all():
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
    changes = [
        f"{section}.{key} was {old!r} and is {new!r}"
        for section in ("eeg", "faces")
        for key, new in getattr(settings, section).model_dump(mode="json").items()
        if (old := before.settings.get(section, {}).get(key)) != new
    ]
    parts = [part for part in ("eeg", "faces") if before.fingerprints.get(part) != prints[part]]
    words = {"eeg": "the EEG", "faces": "the faces"}
    again = " and ".join(words[part] for part in parts)
    return f"{'; '.join(changes) or 'the input files changed'}: {again} made again."


# Working ----------------------------------------------------------------------------------------


def _work(
    plans: Sequence[_Plan],
    recordings: Recordings,
    out: Path,
    settings: Settings,
    progress: Progress,
) -> tuple[str, ...]:
    """Make all parts, and each participant's file as soon as it has them all."""
    left = {plan.participant: plan.parts for plan in plans if not plan.whole}
    by_name = {plan.participant: plan for plan in plans}
    jobs = [job for plan in plans for job in _jobs(plan, recordings, out, settings)]
    progress.start(TASK, total=len(jobs), unit="parts")
    for name in [name for name, parts in left.items() if not parts]:
        _put_together(by_name[name], out, settings)
    workers = min(settings.run.workers or joblib.cpu_count(), max(1, len(jobs)))
    parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered")
    for name in parallel(jobs):
        progress.advance(TASK)
        left[name] -= 1
        if not left[name]:
            _put_together(by_name[name], out, settings)
            progress.note(f"{name}: written.", "detail")
    progress.done(TASK)
    return tuple(sorted(left))


def _jobs(
    plan: _Plan, recordings: Recordings, out: Path, settings: Settings
) -> Iterator[tuple[Callable[..., str], tuple[Any, ...], dict[str, Any]]]:
    pieces = TrialPieces(out, plan.participant, plan.fingerprints)
    if plan.make_eeg:
        yield joblib.delayed(_make_eeg)(recordings, plan, pieces, settings)
    for trial in plan.make_faces:
        yield joblib.delayed(_make_faces)(trial, pieces, settings)


def _make_eeg(recordings: Recordings, plan: _Plan, pieces: TrialPieces, settings: Settings) -> str:
    by_number = {trial.trial: trial for trial in plan.trials}
    channels: tuple[str, ...] = ()
    interpolated: set[str] = set()
    eog_components: tuple[int, ...] = ()
    notes: dict[str, None] = {}
    for block in recordings.eeg_blocks(plan.participant):
        eeg = clean(block, settings.eeg, recordings.channels)
        channels = eeg.channels
        interpolated |= set(eeg.interpolated)
        eog_components += eeg.eog_components
        notes |= dict.fromkeys(eeg.notes)
        for number in block.onset_s:
            if number in by_number:
                duration = by_number[number].duration_s
                pieces.save_eeg(number, cut_trial(eeg, number, duration, settings.eeg))
    about = {
        "interpolated": sorted(interpolated),
        "eog_components": eog_components,
        "eeg": list(notes),
    }
    pieces.save_facts({"channels": channels, "notes": about})
    return plan.participant


def _make_faces(trial: Trial, pieces: TrialPieces, settings: Settings) -> str:
    faces = face_segments(
        trial.video, _onsets(trial, settings), settings.eeg.segment_s, settings.faces
    )
    pieces.save_faces(trial.trial, faces)
    return trial.participant


def _put_together(plan: _Plan, out: Path, settings: Settings) -> None:
    pieces = TrialPieces(out, plan.participant, plan.fingerprints)
    facts = pieces.load_facts() or {"channels": (), "notes": {}}
    header = Header(
        participant=plan.participant,
        sfreq=settings.eeg.sfreq_hz,
        channels=tuple(facts["channels"]),
        segment_s=settings.eeg.segment_s,
        instances=settings.faces.instances,
        face_size=settings.faces.size,
        settings=_kept_settings(settings),
        fingerprints=plan.fingerprints,
        detector=face_finder(settings.faces).name,
        notes=facts["notes"],
    )
    trials = [_load(trial, pieces, settings) for trial in plan.trials]
    write_participant(out / f"{plan.participant}{ENDING}", header, trials)
    pieces.clear()


def _load(trial: Trial, pieces: TrialPieces, settings: Settings) -> PreparedTrial:
    onsets = _onsets(trial, settings)
    eeg = pieces.load_eeg(trial.trial) if trial.has_eeg else None
    faces = pieces.load_faces(trial.trial) if trial.video else None
    if eeg is not None and len(eeg) < len(onsets):  # the recording ends within the trial
        onsets = onsets[: len(eeg)]
        faces = faces and faces.first(len(eeg))
    return PreparedTrial(trial.trial, trial.stimulus, trial.ratings, onsets, eeg, faces)


# The store as a whole ---------------------------------------------------------------------------


def _kept_settings(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json", include={"eeg", "faces"})


def _index(out: Path, settings: Settings, names: Sequence[str], progress: Progress) -> None:
    """Name in the index these participants, and those of earlier runs with the same settings."""
    kept = _kept_settings(settings)
    try:
        before = read_index(out)
    except InputError:
        before = {"settings": kept, "participants": {}}
    others = [name for name in before["participants"] if name not in names]
    if others and before["settings"] != kept:
        progress.note(
            f"{', '.join(others)}: prepared with other settings, so no longer part of this store; "
            "the files stay. Prepare all participants together to have them back.",
            "warning",
        )
        others = []
    present = [name for name in others if (out / f"{name}{ENDING}").is_file()]
    write_index(out, kept, sorted([*names, *present]))


def _result(
    store: PreparedStore,
    names: Sequence[str],
    made: tuple[str, ...],
    detector: str,
    tables: tuple[Path, ...],
) -> PrepareResult:
    segments = store.segments(names)
    trial_id, first = np.unique(segments.trial_id, return_index=True)
    looked = np.concatenate([np.isfinite(store.participant(name).time) for name in names])
    found = np.concatenate([store.participant(name).found for name in names])
    with_video = set(segments.trial_id[looked.any(axis=1)])
    return PrepareResult(
        out=store.folder,
        made=made,
        kept=tuple(name for name in names if name not in made),
        trials=len(trial_id),
        segments=len(segments),
        faces_found=float(found[looked].mean()) if looked.any() else float("nan"),
        without_video=tuple(str(name) for name in trial_id if name not in with_video),
        without_eeg=tuple(str(name) for name in trial_id[~segments.eeg_found[first]]),
        detector=detector,
        tables=tables,
    )


def _few(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)}: {', '.join(names[:most])}{more}"
