"""Raw recordings -> the prepared store.

The work is cut into parts: the EEG of a participant, the faces of a trial. Each is saved as soon
as it is finished, so a run that is killed loses the parts it was at, and the next one goes on from
there. When a participant has all parts, its file is put together and appears under its name whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.recordings.detectors import choose_detector
from milmer_cli.recordings.trial import Recordings
from milmer_cli.settings.schema import Settings
from milmer_cli.stages.prepare_plan import Plan, plan
from milmer_cli.stages.prepare_work import (
    UNREADABLE,
    Part,
    Task,
    kept_settings,
    n_workers,
    parts_of,
    put_together,
    run_parts,
)
from milmer_cli.store.check import check_store
from milmer_cli.store.index import PreparedStore, read_index, write_index
from milmer_cli.store.layout import ENDING
from milmer_cli.store.ledger import write_ledger
from milmer_cli.store.lock import StoreLock

TASK = "prepare"
_SHOWN = 8


@dataclass(frozen=True)
class PrepareResult:
    """What a store holds after `prepare`.

    Attributes
    ----------
    out
        The store.
    made, kept
        Participants whose files were written now, and those that were there and unchanged.
    left_out
        Participants whose recordings cannot be used, and why.
    trials, segments
        Counts over the participants made and kept.
    faces_found
        Share of the images looked at on which there was a face; NaN without any video.
    without_video, without_eeg
        Names of those trials, ``s03/40``.
    unreadable
        Names of the trials whose video is there and cannot be decoded.
    detector
        The face detector in use.
    tables
        The ledger of all faces and the coverage of all trials.
    """

    out: Path
    made: tuple[str, ...]
    kept: tuple[str, ...]
    left_out: Mapping[str, str]
    trials: int
    segments: int
    faces_found: float
    without_video: tuple[str, ...]
    without_eeg: tuple[str, ...]
    unreadable: tuple[str, ...]
    detector: str
    tables: tuple[Path, ...]

    @property
    def complete(self) -> bool:
        """Whether no recording that is there had to be left out."""
        return not self.left_out and not self.unreadable

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "out": str(self.out), "tables": [str(path) for path in self.tables]}

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        looked = (
            "no video" if np.isnan(self.faces_found) else f"{self.faces_found:.1%} of the images"
        )
        rows = [
            ("participants", f"{len(self.made)} made, {len(self.kept)} unchanged"),
            ("trials", str(self.trials)),
            ("segments", str(self.segments)),
            (
                "faces found",
                looked + ("" if np.isnan(self.faces_found) else f", by {self.detector}"),
            ),
        ]
        for label, names in (
            ("left out", tuple(self.left_out)),
            ("no video", self.without_video),
            ("no EEG", self.without_eeg),
            ("video unreadable", self.unreadable),
        ):
            if names:
                rows.append((label, _few(names)))
        rows += [("table", str(path)) for path in self.tables]
        return [*rows, ("store", str(self.out))]


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
        Advanced by parts: the EEG of a participant, the faces of a trial. One task for all and one
        for each participant that is worked at.

    Raises
    ------
    InputError
        Nothing can be used, or a participant that ``data.participants`` names cannot; another
        process prepares in ``out``; no cluster answers.
    MilmerError
        Writing failed; what is finished is kept.
    """
    with StoreLock(out) as lock:
        detector, note = choose_detector(settings.faces)
        for told in (*recordings.notes(), *([note] if note else [])):
            progress.note(told)
        plans, left_out = _plans(recordings, out, settings, detector, progress)
        try:
            parts = _parts(plans, recordings, out, settings, detector, lock.token)
            _work(plans, parts, out, settings, detector, progress)
        except KeyboardInterrupt:
            progress.note(
                "Stopped. What is finished is kept: the same command goes on from there.", "warning"
            )
            raise
        names = [plan.participant for plan in plans]
        _index(out, settings, names, progress)
        store = PreparedStore.open(out)
        tables = write_ledger(store)
        _tell_findings(out, progress)
        made = tuple(plan.participant for plan in plans if not plan.whole)
        return _result(store, names, made, left_out, detector, tables)


def _plans(
    recordings: Recordings, out: Path, settings: Settings, detector: str, progress: Progress
) -> tuple[list[Plan], dict[str, str]]:
    """Plan every participant; those whose recordings cannot be used are told and left out."""
    plans, left_out = [], {}
    for name in recordings.participants():
        try:
            planned = plan(recordings, name, out, settings, detector)
        except InputError as error:
            if settings.data.participants:
                raise
            left_out[name] = error.message
            progress.note(f"{name} is left out: {error}", "warning")
            continue
        plans.append(planned)
        if planned.why:
            progress.note(f"{name}: {planned.why}")
    if not plans:
        raise InputError(
            f"None of the {len(left_out)} participants can be used: "
            + next(iter(left_out.values()), "there is none."),
            "`milmer prepare --check` tells what is wrong with each.",
        )
    return plans, left_out


def _work(
    plans: Sequence[Plan],
    parts: Sequence[Part],
    out: Path,
    settings: Settings,
    detector: str,
    progress: Progress,
) -> None:
    """Make all parts, and each participant's file as soon as it has them all."""
    by_name = {plan.participant: plan for plan in plans}
    left = {plan.participant: plan.parts for plan in plans if not plan.whole}
    progress.start(TASK, total=len(parts), unit="parts")
    for name in [name for name, count in left.items() if not count]:
        put_together(by_name[name], out, settings, detector)
    workers = n_workers(settings, len(parts))
    begun = _Begun(parts, workers, progress)
    for done in run_parts(parts, workers, settings.run.scheduler):
        name = done.participant
        progress.advance(TASK)
        progress.advance(name)
        begun.after_one_more()
        if done.warning:
            progress.note(done.warning, "warning")
        left[name] -= 1
        if not left[name]:
            notes = put_together(by_name[name], out, settings, detector)
            progress.done(name)
            for remark in notes.get("remarks", ()):
                progress.note(f"{name}: {remark}")
    progress.done(TASK)


def _parts(
    plans: Sequence[Plan],
    recordings: Recordings,
    out: Path,
    settings: Settings,
    detector: str,
    token: str,
) -> list[Part]:
    weights = settings.faces.weights and str(Path(settings.faces.weights).absolute())
    faces = settings.faces.model_copy(update={"detector": detector, "weights": weights})
    for_workers = settings.model_copy(update={"faces": faces})
    return [
        part
        for plan in plans
        if not plan.whole
        for part in parts_of(Task(recordings, plan, out.absolute(), for_workers, token))
    ]


class _Begun:
    """Starts the task of each participant when the first of its parts is begun."""

    def __init__(self, parts: Sequence[Part], workers: int, progress: Progress) -> None:
        self._names = [part.participant for part in parts]
        self._progress = progress
        self._started: set[str] = set()
        self._busy = workers
        self.after_one_more(0)

    def after_one_more(self, by: int = 1) -> None:
        """Count a part that is done: as many as there are workers are being made."""
        self._busy += by
        for name in self._names[: self._busy]:
            if name not in self._started:
                self._started.add(name)
                self._progress.start(name, self._names.count(name), "parts")


# The store as a whole ---------------------------------------------------------------------------


def _index(out: Path, settings: Settings, names: Sequence[str], progress: Progress) -> None:
    """Name in the index these participants, and those of earlier runs with the same settings."""
    kept = kept_settings(settings)
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
    left_out: Mapping[str, str],
    detector: str,
    tables: tuple[Path, ...],
) -> PrepareResult:
    segments = store.segments(names)
    trial_id, first = np.unique(segments.trial_id, return_index=True)
    looked = np.concatenate([np.isfinite(store.participant(name).time) for name in names])
    found = np.concatenate([store.participant(name).found for name in names])
    with_video = set(segments.trial_id[looked.any(axis=1)])
    reasons = np.concatenate([store.participant(name).reason for name in names])
    unreadable = np.unique(segments.trial_id[(reasons == UNREADABLE).any(axis=1)])
    return PrepareResult(
        out=store.folder,
        made=made,
        kept=tuple(name for name in names if name not in made),
        left_out=left_out,
        trials=len(trial_id),
        segments=len(segments),
        faces_found=float(found[looked].mean()) if looked.any() else float("nan"),
        without_video=tuple(str(name) for name in trial_id if name not in with_video),
        without_eeg=tuple(str(name) for name in trial_id[~segments.eeg_found[first]]),
        unreadable=tuple(str(name) for name in unreadable),
        detector=detector,
        tables=tables,
    )


def _tell_findings(out: Path, progress: Progress) -> None:
    """Tell what a first look at the store finds."""
    found = check_store(out, deep=False)
    for finding in found[:_SHOWN]:
        text = f"{finding.where}: {finding.what} {finding.fix}"
        progress.note(text, "warning" if finding.severity == "error" else "info")
    if len(found) > _SHOWN:
        progress.note(f"And {len(found) - _SHOWN} more: `milmer inspect {out}` shows coverage.")


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)}: {', '.join(names[:_SHOWN])}{more}"
