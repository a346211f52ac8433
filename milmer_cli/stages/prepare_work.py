"""The parts of a store, and where they are made: processes of this machine, or a Dask cluster."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import joblib
import numpy as np

from milmer_cli.errors import InputError, MilmerError, WeightsError
from milmer_cli.recordings.eeg import clean, cut_trial
from milmer_cli.recordings.trial import Recordings, Trial
from milmer_cli.settings.schema import Settings
from milmer_cli.stages.prepare_plan import Plan, onsets
from milmer_cli.stages.segments import face_segments, no_face_segments
from milmer_cli.store.layout import ENDING
from milmer_cli.store.lock import is_held
from milmer_cli.store.pieces import TrialPieces
from milmer_cli.store.writing import Header, PreparedTrial, write_participant

UNREADABLE = "video not readable"
_CONNECT_S = 20
_RETRIES = 2


@dataclass(frozen=True)
class Done:
    """A part that was made and saved; ``warning`` is one sentence, or empty."""

    participant: str
    warning: str = ""


class Part(Protocol):
    """A part to be made, by any process that sees the same files: call it. Picklable."""

    @property
    def participant(self) -> str:
        """Whose part it is."""

    def __call__(self) -> Done:
        """Make the part and save it."""


@dataclass(frozen=True)
class Task:
    """What all parts of a participant need.

    Attributes
    ----------
    recordings
        The data set; goes to the workers, so it is small and picklable.
    plan
        Of the participant.
    out
        The store, as an absolute path: workers have other current folders.
    settings
        With the detector named, so that all workers use the same.
    token
        Of the run that holds the store's lock; without it nothing is saved.
    """

    recordings: Recordings
    plan: Plan
    out: Path
    settings: Settings
    token: str

    def pieces(self) -> TrialPieces:
        """Give where the parts are saved.

        Raises
        ------
        MilmerError
            Another run has the store now: this one was killed, and only its worker has outlived it.
        """
        if not is_held(self.out, self.token):
            raise MilmerError(f"Another process prepares in {self.out} now.")
        return TrialPieces(self.out, self.plan.participant, self.plan.fingerprints)


@dataclass(frozen=True)
class _Eeg:
    task: Task

    @property
    def participant(self) -> str:
        return self.task.plan.participant

    def __call__(self) -> Done:
        recordings, plan, settings = self.task.recordings, self.task.plan, self.task.settings
        by_number = {trial.trial: trial for trial in plan.trials}
        channels: tuple[str, ...] = ()
        interpolated: set[str] = set()
        components: tuple[int, ...] = ()
        remarks: dict[str, None] = {}
        cleaned = False
        for block in recordings.eeg_blocks(plan.participant):
            eeg = clean(block, settings.eeg, recordings.channels)
            pieces = self.task.pieces()
            channels = eeg.channels
            interpolated |= set(eeg.interpolated)
            components += eeg.eog_components
            remarks |= dict.fromkeys(eeg.notes)
            cleaned = cleaned or block.cleaned
            for number in block.onset_s:
                if number in by_number:
                    duration = by_number[number].duration_s
                    pieces.save_eeg(number, cut_trial(eeg, number, duration, settings.eeg))
        notes = {
            "interpolated": sorted(interpolated),
            "eog_components": list(components),
            "remarks": list(remarks),
            "cleaned": cleaned,
        }
        # saved last: it says that all of the participant's EEG is there
        self.task.pieces().save_facts({"channels": channels, "notes": notes})
        return Done(plan.participant)


@dataclass(frozen=True)
class _Faces:
    task: Task
    trial: Trial

    @property
    def participant(self) -> str:
        return self.task.plan.participant

    def __call__(self) -> Done:
        trial, settings = self.trial, self.task.settings
        starts, warning = onsets(trial, settings), ""
        try:
            faces = face_segments(trial.video, starts, settings.eeg.segment_s, settings.faces)
        except WeightsError:
            raise
        except InputError as error:  # one broken video of many must not end the night's work
            faces = no_face_segments(len(starts), settings.faces, UNREADABLE)
            where = f"{trial.participant}, trial {trial.trial}"
            warning = f"{where}: {error.message} The trial has no faces."
        self.task.pieces().save_faces(trial.trial, faces)
        return Done(trial.participant, warning)


def parts_of(task: Task) -> list[Part]:
    """List what is to be made for a participant, the EEG first."""
    eeg: list[Part] = [_Eeg(task)] if task.plan.make_eeg else []
    return [*eeg, *(_Faces(task, trial) for trial in task.plan.make_faces)]


def run_parts(parts: Sequence[Part], workers: int, scheduler: str) -> Iterator[Done]:
    """Make parts side by side and yield each as it is done.

    Parameters
    ----------
    parts
        What to make; begun in this order.
    workers
        Processes of this machine.
    scheduler
        Address of a Dask scheduler whose workers see the same files; empty for this machine.

    Raises
    ------
    InputError
        A part cannot be made, or there is no cluster at ``scheduler``.
    """
    if scheduler:
        yield from _on_cluster(parts, scheduler)
        return
    # one part a batch: joblib would otherwise hold finished ones back
    parallel = joblib.Parallel(workers, return_as="generator_unordered", batch_size=1)
    yield from parallel(joblib.delayed(part)() for part in parts)


def n_workers(settings: Settings, parts: int) -> int:
    """How many processes of this machine make so many parts."""
    return min(settings.run.workers or joblib.cpu_count(), max(1, parts))


def _on_cluster(parts: Sequence[Part], scheduler: str) -> Iterator[Done]:
    try:
        import distributed  # optional: the extra `cluster`
    except ImportError as error:
        raise InputError(
            "run.scheduler needs the package distributed, which is not installed.",
            "pip install 'milmer-cli[cluster]'",
        ) from error
    address = urlsplit(scheduler)
    try:
        # tried first: a client that found nobody takes most of a minute to give up
        socket.create_connection((address.hostname or "", address.port or 0), _CONNECT_S).close()
        client = distributed.Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"There is no Dask scheduler at {scheduler}.",
            "Start one with `dask scheduler`, workers with `dask worker`, and give the address it "
            "prints, as in tcp://host:8786.",
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_CONNECT_S)
        except TimeoutError as error:
            raise InputError(
                f"The Dask scheduler at {scheduler} has no worker.",
                f"Start some with `dask worker {scheduler}` where Milmer is installed.",
            ) from error
        # pure=False: a part is made for what it saves, so an equal one is not "known" already
        futures = [client.submit(part, pure=False, retries=_RETRIES) for part in parts]
        try:
            for future in distributed.as_completed(futures, loop=client.loop):
                yield _result_of(future)
        finally:
            client.cancel([future for future in futures if not future.done()])


def _result_of(future: object) -> Done:
    try:
        done: Done = future.result()  # type: ignore[attr-defined]
    except (MilmerError, KeyboardInterrupt):
        raise
    except Exception as error:  # whatever a cluster can do to a task
        raise MilmerError(
            f"A part could not be made on the cluster: {type(error).__name__}: {error}",
            "Look at the workers' log; run the same command again to go on.",
        ) from error
    return done


def put_together(plan: Plan, out: Path, settings: Settings, detector: str) -> dict[str, Any]:
    """Write a participant's file from its parts; returns the notes that are kept in it."""
    pieces = TrialPieces(out, plan.participant, plan.fingerprints)
    facts = pieces.load_facts() or {"channels": (), "notes": {}}
    header = Header(
        participant=plan.participant,
        sfreq=settings.eeg.sfreq_hz,
        # without EEG the rows are NaN, and as wide as everybody's
        channels=tuple(facts["channels"]) or plan.channels,
        segment_s=settings.eeg.segment_s,
        instances=settings.faces.instances,
        face_size=settings.faces.size,
        settings=kept_settings(settings),
        fingerprints=plan.fingerprints,
        detector=detector,
        notes=facts["notes"],
    )
    trials = [_load(trial, pieces, settings) for trial in plan.trials]
    write_participant(out / f"{plan.participant}{ENDING}", header, trials)
    pieces.clear()
    return dict(facts["notes"])


def kept_settings(settings: Settings) -> dict[str, Any]:
    """Give the settings that a store is made with, as plain values."""
    return settings.model_dump(mode="json", include={"eeg", "faces"})


def _load(trial: Trial, pieces: TrialPieces, settings: Settings) -> PreparedTrial:
    starts = onsets(trial, settings)
    eeg = pieces.load_eeg(trial.trial) if trial.has_eeg else None
    faces = pieces.load_faces(trial.trial) if trial.video else None
    if eeg is not None and len(eeg) < len(starts):  # the recording ends within the trial
        if faces is None:
            starts = starts[: len(eeg)]
        else:
            lost = np.full((len(starts) - len(eeg), *eeg.shape[1:]), np.nan, np.float32)
            eeg = np.concatenate([eeg, lost])
    return PreparedTrial(
        trial.trial, trial.stimulus, trial.ratings, starts, eeg, faces, trial.label or ""
    )
