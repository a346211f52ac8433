"""What has to be computed for a participant; everything that is still valid is reused.

A participant's file has three parts, each with a fingerprint of everything it depends on: ``eeg``,
``faces`` and ``rows`` (ratings, class names, stimuli, sessions, conditions). A part is computed
again if its fingerprint changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.datasets.base import Recordings, Trial
from milmer_cli.digests import quick_file_digest
from milmer_cli.eeg.segment import segment_onsets
from milmer_cli.errors import InputError
from milmer_cli.progress import Progress
from milmer_cli.settings.schema import EegSettings, FacesSettings, Settings
from milmer_cli.settings.write import fingerprint
from milmer_cli.store.cache import TrialCache
from milmer_cli.store.checksums import is_readable
from milmer_cli.store.reader import PreparedParticipant
from milmer_cli.store.schema import EEG_VERSION, PARTICIPANT_SUFFIX

_SETTINGS_OF = {
    "eeg": {f"eeg.{name}" for name in EegSettings.model_fields},
    "faces": {
        *(f"faces.{name}" for name in FacesSettings.model_fields),
        "eeg.segment_s",
        "eeg.overlap_s",
    },
}
"""Settings that the parts depend on."""


@dataclass(frozen=True, eq=False)
class ParticipantPlan:
    """What has to be computed for a participant.

    Attributes
    ----------
    participant
        Name of the participant.
    trials
        Trials with at least one segment, in order of presentation.
    onsets_s
        Trial number -> (n_segments,) onsets of the segments, in seconds after stimulus onset.
    channels
        EEG channels to store; empty for those of the recording.
    fingerprints
        Fingerprints of ``eeg``, ``faces`` and ``rows``.
    needs_eeg
        Whether the EEG has to be preprocessed.
    face_trials
        Trials whose faces have to be extracted.
    unchanged
        Whether the file exists and is up to date.
    message
        One sentence on what is computed again or resumed; may be empty.
    warnings
        One sentence for each trial whose EEG cannot be used.
    """

    participant: str
    trials: tuple[Trial, ...]
    onsets_s: Mapping[int, np.ndarray]
    channels: tuple[str, ...]
    fingerprints: Mapping[str, str]
    needs_eeg: bool = False
    face_trials: tuple[Trial, ...] = ()
    unchanged: bool = False
    message: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def n_jobs(self) -> int:
        """Number of jobs: one for the EEG and one for the faces of each trial."""
        return self.needs_eeg + len(self.face_trials)


def plan_participant(
    recordings: Recordings, participant: str, out: Path, settings: Settings, detector: str
) -> ParticipantPlan:
    """Decide what has to be computed for a participant, and write nothing.

    Parameters
    ----------
    recordings
        The data set.
    participant
        Name of the participant.
    out
        The store.
    settings
        Sections ``eeg`` and ``faces``.
    detector
        Name of the face detector.

    Raises
    ------
    InputError
        The recordings of the participant are damaged or inconsistent, or contain no segment.
    """
    onsets_s, trials, warnings = {}, [], []
    for trial in recordings.trials(participant):
        if trial.eeg_problem:
            warnings.append(trial.eeg_problem)
        onsets = segment_onsets(trial.duration_s, settings.eeg)
        if (trial.has_eeg or trial.video) and len(onsets):
            trials.append(trial)
            onsets_s[trial.trial] = onsets
    if not trials:
        raise InputError(
            f"No trial of {participant} contains a segment of {settings.eeg.segment_s:g} s of EEG "
            f"or video. {warnings[0] if warnings else ''}".rstrip(),
            "Reduce eeg.segment_s, or exclude the participant with data.participants.",
        )
    fingerprints = _fingerprints(recordings, participant, trials, onsets_s, settings, detector)
    plan = ParticipantPlan(
        participant,
        tuple(trials),
        onsets_s,
        recordings.channels or (),
        fingerprints,
        warnings=tuple(warnings),
    )
    return _compare_with_store(plan, out, settings)


def limit_band(
    settings: Settings, pass_band_hz: tuple[float, float] | None, progress: Progress
) -> Settings:
    """Limit ``eeg.band_hz`` to frequencies that all recordings of the store contain.

    A model must not be trained on recordings of different bands, and the band is stored, so predict
    filters a raw recording in the same way.

    Parameters
    ----------
    settings
        As requested.
    pass_band_hz
        Pass band of recordings that were already filtered, in Hz; None if there are none.
    progress
        Receives a note if the band changes.

    Raises
    ------
    InputError
        The two bands have no frequency in common.
    """
    # the layout "published" filters after its reshape, when frequencies have no meaning
    if pass_band_hz is None or settings.eeg.layout == "published":
        return settings
    low, high = settings.eeg.band_hz
    band = max(low, pass_band_hz[0]), min(high, pass_band_hz[1])
    if band == (low, high):
        return settings
    if band[0] >= band[1]:
        raise InputError(
            f"eeg.band_hz is {low:g} to {high:g} Hz, but DEAP's preprocessed files contain "
            f"{pass_band_hz[0]:g} to {pass_band_hz[1]:g} Hz.",
            "Use --source bdf, or another eeg.band_hz.",
        )
    progress.note(
        f"All EEG of the store has the band {band[0]:g} to {band[1]:g} Hz, because DEAP's "
        "preprocessed files contain no other frequencies."
    )
    eeg = settings.eeg.model_copy(update={"band_hz": band})
    return settings.model_copy(update={"eeg": eeg})


def stored_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that are written into the store, as JSON values."""
    return settings.model_dump(mode="json", include={"eeg", "faces"})


def keep_valid_parts(plan: ParticipantPlan, out: Path) -> None:
    """Move what a plan reuses of an existing file to the `TrialCache`.

    The new file is assembled from the cache. The lock of the store is held.
    """
    cache = TrialCache(out, plan.participant, plan.fingerprints)
    if plan.unchanged:
        cache.clear()  # a previous run was killed right after it had written the file
    elif previous := _open_previous(out, plan.participant):
        _cache_valid_parts(previous, plan, cache)


def _compare_with_store(plan: ParticipantPlan, out: Path, settings: Settings) -> ParticipantPlan:
    """Complete a plan with what the existing file and the cache already contain."""
    previous = _open_previous(out, plan.participant)
    stored = {} if previous is None else previous.fingerprints
    if stored == plan.fingerprints:
        return replace(plan, unchanged=True)
    cache = TrialCache(out, plan.participant, plan.fingerprints)
    eeg_is_valid = stored.get("eeg") == plan.fingerprints["eeg"]
    faces_are_valid = stored.get("faces") == plan.fingerprints["faces"]
    videos = [trial for trial in plan.trials if trial.video]
    has_eeg = any(trial.has_eeg for trial in plan.trials)
    needs_eeg = has_eeg and not eeg_is_valid and cache.load_eeg_metadata() is None
    face_trials = tuple(
        trial for trial in videos if not (faces_are_valid or cache.has("faces", trial.trial))
    )
    if previous is not None:
        message = _describe_changes(previous, plan.fingerprints, settings)
    else:
        n_total = has_eeg + len(videos)
        n_done = n_total - needs_eeg - len(face_trials)
        message = f"resumes, {n_done} of {n_total} parts are already finished." if n_done else ""
    return replace(plan, needs_eeg=needs_eeg, face_trials=face_trials, message=message)


def _fingerprints(
    recordings: Recordings,
    participant: str,
    trials: Sequence[Trial],
    onsets_s: Mapping[int, np.ndarray],
    settings: Settings,
    detector: str,
) -> dict[str, str]:
    inputs = recordings.eeg_inputs(participant)
    rows = [_row(trial) for trial in trials]
    # the stimulus selects the row of a preprocessed array (DEAP's .dat and .mat files)
    eeg = [f"{t.trial} {t.stimulus} {len(onsets_s[t.trial])}" for t in trials if t.has_eeg]
    videos = [
        f"{t.trial} {len(onsets_s[t.trial])} {t.video.onset_s!r} "
        f"{t.video.options.stream} {t.video.options.fps} {quick_file_digest(t.video.path)}"
        for t in trials
        if t.video
    ]
    channels = ";".join(recordings.channels or ())
    files = [quick_file_digest(path) for path in inputs.files]
    timing = [settings.eeg.segment_s, settings.eeg.overlap_s]
    return {
        "rows": fingerprint(*rows),
        # a file of format 1 has no quality, so its EEG is preprocessed again
        "eeg": fingerprint(
            settings.eeg, channels, *inputs.parameters, *eeg, *files, f"format {EEG_VERSION}"
        ),
        "faces": fingerprint(settings.faces, detector, *timing, *videos),
    }


def _row(trial: Trial) -> str:
    """Describe what is stored of a trial without its EEG and faces."""
    text = f"{trial.trial} {trial.stimulus} {trial.ratings} {trial.label}"
    # files that were written before there were sessions and conditions remain up to date
    named = {"session": trial.session, "condition": trial.condition}
    return text + "".join(f" {name} {value!r}" for name, value in named.items() if value)


def _open_previous(out: Path, participant: str) -> PreparedParticipant | None:
    """Open the file of a previous run; None if there is none, or it is not readable."""
    path = out / f"{participant}{PARTICIPANT_SUFFIX}"
    if not path.exists() or not is_readable(out, participant):
        return None
    try:
        return PreparedParticipant.open(path)
    except InputError:
        return None  # damaged or of another format: it is replaced


def _cache_valid_parts(
    previous: PreparedParticipant, plan: ParticipantPlan, cache: TrialCache
) -> None:
    """Copy the parts of a file whose fingerprints are still valid into the cache."""
    with previous:
        if previous.fingerprints.get("faces") == plan.fingerprints["faces"]:
            for trial in plan.trials:
                if trial.video and not cache.has("faces", trial.trial):
                    cache.save_faces(trial.trial, previous.trial_faces(trial.trial))
        eeg_valid = previous.fingerprints.get("eeg") == plan.fingerprints["eeg"]
        if eeg_valid and cache.load_eeg_metadata() is None:
            for trial in plan.trials:
                rows = np.flatnonzero(previous.trial == trial.trial)
                found = np.flatnonzero(previous.eeg_found[rows])
                if len(found):  # rows before the last one are NaN in gaps of the recording
                    rows = rows[: found[-1] + 1]
                    cache.save_eeg(trial.trial, previous.eeg[rows], previous.quality[rows])
            cache.save_eeg_metadata({"channels": previous.channels, "notes": previous.notes})


def _describe_changes(
    previous: PreparedParticipant, fingerprints: Mapping[str, str], settings: Settings
) -> str:
    """Describe the changes since a file was written and the parts that are computed again."""
    changed_settings = {
        f"{section}.{key}": f"{section}.{key} was {old!r} and is {new!r}"
        for section, values in stored_settings(settings).items()
        for key, new in values.items()
        if (old := previous.settings.get(section, {}).get(key)) != new
    }
    changed = {
        part for part in fingerprints if previous.fingerprints.get(part) != fingerprints[part]
    }
    reasons = list(changed_settings.values())
    if previous.format < EEG_VERSION:
        reasons.append(f"the file has format {previous.format}")
    for part, files in (("eeg", "EEG files"), ("faces", "videos")):
        if part == "eeg" and previous.format < EEG_VERSION:
            continue
        if part in changed and not changed_settings.keys() & _SETTINGS_OF[part]:
            reasons.append(f"the {files} or trials changed")
    if "rows" in changed:
        reasons.append("sessions, conditions, ratings, class names or stimuli changed")
    eeg = "the EEG is preprocessed again" if "eeg" in changed else "the EEG is reused"
    faces = "the faces are extracted again" if "faces" in changed else "the faces are reused"
    return f"{'; '.join(reasons)}: {eeg}, {faces}."
