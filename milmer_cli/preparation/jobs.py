"""The units of work of `prepare`: the EEG of a participant, and the faces of a trial.

A job saves its result in the `TrialCache`, so an interrupted run loses only the jobs in progress.
When all jobs of a participant are done, its file is assembled from the cache and appears
atomically.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.datasets.base import Recordings, Trial
from milmer_cli.datasets.synthetic_mark import is_synthetic
from milmer_cli.digests import content_digest
from milmer_cli.eeg.io import signal_digests
from milmer_cli.eeg.quality import EegQuality
from milmer_cli.errors import InputError, MilmerError, WeightsError
from milmer_cli.faces.detector import uses_gpu
from milmer_cli.faces.segment_faces import VIDEO_UNREADABLE, SegmentFaces
from milmer_cli.folder_lock import is_holder
from milmer_cli.preparation.plan import ParticipantPlan, stored_settings
from milmer_cli.preparation.worker_device import worker_device
from milmer_cli.preprocessing import iter_face_segments, segment_eeg, select_face_video
from milmer_cli.settings.schema import Settings
from milmer_cli.store.cache import TrialCache
from milmer_cli.store.checksums import record_checksum
from milmer_cli.store.schema import PARTICIPANT_SUFFIX
from milmer_cli.store.sources import TrialSource
from milmer_cli.store.writer import Header, PreparedTrial, write_participant
from milmer_cli.video.frames import VideoSpan


@dataclass(frozen=True)
class JobResult:
    """A finished job.

    Attributes
    ----------
    participant
        Name of the participant.
    warning
        One sentence, or an empty string.
    problem
        Why the participant cannot be prepared, or None.
    """

    participant: str
    warning: str = ""
    problem: InputError | None = None


@dataclass(frozen=True)
class JobContext:
    """What all jobs of a participant need. It is sent to the workers, so it is small and picklable.

    Attributes
    ----------
    recordings
        The data set.
    plan
        Plan of the participant.
    out
        Absolute path of the store; workers can have another working directory.
    settings
        Settings with a named face detector, so that all workers use the same one.
    lock_token
        Token of the run that holds the lock of the store; see `folder_lock`.
    """

    recordings: Recordings
    plan: ParticipantPlan
    out: Path
    settings: Settings
    lock_token: str

    def open_cache(self) -> TrialCache:
        """Return the cache of the participant for writing.

        Raises
        ------
        MilmerError
            Another run holds the lock: the run of this worker was killed, and the worker outlived
            it.
        """
        if not is_holder(self.out, self.lock_token):
            raise MilmerError(f"The store {self.out} is now being prepared by another process.")
        return TrialCache(self.out, self.plan.participant, self.plan.fingerprints)


@dataclass(frozen=True)
class EegJob:
    """Preprocess the EEG of a participant."""

    context: JobContext

    @property
    def participant(self) -> str:
        """Name of the participant."""
        return self.context.plan.participant

    def __call__(self) -> JobResult:
        """Run the job and cache its result."""
        try:
            self._preprocess()
        except InputError as error:  # a damaged recording must not stop the other participants
            return JobResult(self.participant, problem=error)
        return JobResult(self.participant)

    def _preprocess(self) -> None:
        context = self.context
        durations_s = {trial.trial: trial.duration_s for trial in context.plan.trials}
        channels: tuple[str, ...] = ()
        interpolated: set[str] = set()
        eog_components: list[int] = []
        eog_variance: list[float | None] = []
        eog_method: list[str] = []
        sources: dict[str, dict[str, Any]] = {}
        messages: dict[str, None] = {}
        warnings: dict[str, None] = {}
        preprocessed = False
        for block in context.recordings.eeg_blocks(self.participant):
            segmented = segment_eeg(
                block, durations_s, context.settings.eeg, context.recordings.channels
            )
            cache = context.open_cache()
            for trial, segments in segmented.trials.items():
                cache.save_eeg(trial, segments, segmented.quality[trial])
            channels = segmented.channels
            interpolated |= set(segmented.interpolated)
            eog_components += segmented.recording.eog_components
            eog_variance.append(segmented.recording.eog_variance)
            eog_method.append(segmented.recording.eog_method)
            digests = signal_digests(block.raw)
            sources |= {
                str(trial): TrialSource(durations_s[trial], digests, block.onset_s[trial]).to_json()
                for trial in segmented.trials
            }
            messages |= dict.fromkeys(segmented.recording.notes)
            warnings |= dict.fromkeys(segmented.recording.warnings)
            preprocessed = preprocessed or block.pass_band_hz is not None
        notes: dict[str, Any] = {
            "interpolated": sorted(interpolated),
            "eog_components": eog_components,
            "eog_variance": eog_variance,
            "eog_method": eog_method,
            "sources": sources,
            "messages": [*warnings, *messages],
            "preprocessed": preprocessed,
        }
        if warnings:
            notes["warnings"] = list(warnings)
        if any(map(is_synthetic, context.recordings.eeg_inputs(self.participant).files)):
            notes["synthetic"] = True
        # saved last: it marks the EEG of the participant as complete
        context.open_cache().save_eeg_metadata({"channels": channels, "notes": notes})


@dataclass(frozen=True)
class FacesJob:
    """Extract the faces of one trial."""

    context: JobContext
    trial: Trial
    video: VideoSpan

    @property
    def participant(self) -> str:
        """Name of the participant."""
        return self.trial.participant

    def __call__(self) -> JobResult:
        """Run the job and cache its result."""
        settings, trial = self.context.settings, self.trial
        onsets_s, warning = self.context.plan.onsets_s[trial.trial], ""
        device = worker_device(settings.run) if uses_gpu(settings.faces) else "cpu"
        where = f"{trial.participant}, trial {trial.trial}"
        try:
            video, notes = select_face_video(self.video, settings.faces, device)
            warning = f"{where}: {' '.join(notes)}" if notes else ""
            chunks = iter_face_segments(
                video, onsets_s, settings.eeg.segment_s, settings.faces, device
            )
            faces = SegmentFaces.concatenate(list(chunks))
        except WeightsError:
            raise
        except InputError as error:  # a damaged video must not stop the preparation of the others
            if not self.video.path.is_file():
                return JobResult(trial.participant, problem=_disappeared(self.video.path))
            n_segments, n_instances = len(onsets_s), settings.faces.instances
            faces = SegmentFaces.missing(n_segments, n_instances, VIDEO_UNREADABLE)
            warning = f"{where}: {error.message} The trial has no faces. {error.hint}".rstrip()
        self.context.open_cache().save_faces(trial.trial, faces)
        return JobResult(trial.participant, warning)


def _disappeared(video: Path) -> InputError:
    return InputError(
        f"The video {video} disappeared while it was prepared.",
        "Check the disk or the network, and run the same command again to resume.",
    )


Job = EegJob | FacesJob
"""A callable and picklable unit of work. It can run in any process that has access to the files."""


def jobs_of(context: JobContext) -> list[Job]:
    """Return the jobs of a participant, the EEG first."""
    eeg: list[Job] = [EegJob(context)] if context.plan.needs_eeg else []
    faces = [FacesJob(context, t, t.video) for t in context.plan.face_trials if t.video]
    return [*eeg, *faces]


def assemble_participant(
    plan: ParticipantPlan, out: Path, settings: Settings, detector: str
) -> dict[str, Any]:
    """Write the file of a participant from the cache.

    Returns
    -------
    dict
        The ``notes`` of the file; see `store.writer.Header`.
    """
    cache = TrialCache(out, plan.participant, plan.fingerprints)
    metadata = cache.load_eeg_metadata() or {"channels": (), "notes": {}}
    notes = {**metadata["notes"], "sources": _sources(plan, metadata["notes"].get("sources", {}))}
    videos = (trial.video.path for trial in plan.trials if trial.video is not None)
    if notes.get("synthetic") or any(map(is_synthetic, videos)):
        notes["synthetic"] = True
    header = Header(
        participant=plan.participant,
        sfreq=settings.eeg.sfreq_hz,
        # without EEG, the rows are NaN and have the channels of the other participants
        channels=tuple(metadata["channels"]) or plan.channels,
        segment_s=settings.eeg.segment_s,
        instances=settings.faces.instances,
        face_size=settings.faces.image_size,
        settings=stored_settings(settings),
        fingerprints=plan.fingerprints,
        detector=detector,
        notes=notes,
    )
    trials = [_load_trial(trial, plan.onsets_s[trial.trial], cache) for trial in plan.trials]
    path = out / f"{plan.participant}{PARTICIPANT_SUFFIX}"
    record_checksum(out, plan.participant, write_participant(path, header, trials))
    cache.clear()
    return notes


def _sources(
    plan: ParticipantPlan, of_eeg: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Add the videos to the sources of the EEG, as JSON values by trial."""
    sources = {}
    for trial in plan.trials:
        known = of_eeg.get(str(trial.trial))
        source = TrialSource.from_json(known) if known else TrialSource(trial.duration_s)
        if trial.video is not None:
            with contextlib.suppress(InputError):  # removed meanwhile: the trial has no faces
                digest = content_digest(trial.video.path)
                source = replace(source, video=digest, video_onset_s=trial.video.onset_s)
        sources[str(trial.trial)] = source.to_json()
    return sources


def _load_trial(trial: Trial, onsets_s: np.ndarray, cache: TrialCache) -> PreparedTrial:
    """Load a trial from the cache.

    If the EEG recording ends within the trial, segments with faces only are kept (their EEG is
    NaN), and segments without either are dropped.
    """
    cached = cache.load_eeg(trial.trial) if trial.has_eeg else None
    eeg, quality = cached or (None, None)
    faces = cache.load_faces(trial.trial) if trial.video else None
    if eeg is not None and quality is not None and len(eeg) < len(onsets_s):
        n_missing = len(onsets_s) - len(eeg)
        if faces is None:
            onsets_s = onsets_s[: len(eeg)]
        else:
            eeg = np.concatenate([eeg, np.full((n_missing, *eeg.shape[1:]), np.nan, np.float32)])
            missing = EegQuality.missing(n_missing, eeg.shape[1])
            quality = EegQuality.concatenate([quality, missing])
    label = trial.label or ""
    return PreparedTrial(
        trial.trial,
        trial.stimulus,
        trial.ratings,
        onsets_s,
        eeg,
        faces,
        label,
        quality,
        trial.session,
        trial.condition,
    )
