"""What a store contains after `prepare`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from milmer_cli.data.signal_quality import QualitySummary, SignalQuality
from milmer_cli.errors import shorten
from milmer_cli.faces.segment_faces import NO_FACE, OTHER_FACE, TRACKED, VIDEO_UNREADABLE
from milmer_cli.json_files import to_json
from milmer_cli.preparation.plan import ParticipantPlan
from milmer_cli.stage_result import StageResult
from milmer_cli.store.index import PreparedStore
from milmer_cli.store.reader import PreparedParticipant
from milmer_cli.store.schema import QUALITY_FILE

LOW_FACE_COVERAGE = 0.8
"""Below this share of frames with a face, a participant is reported."""
_ADVICE = {
    NO_FACE: (
        "Look at them with `milmer inspect`. If faces are visible, try another faces.detector "
        "(sfd is the most sensitive); if not, correct the start or the file of the video."
    ),
    OTHER_FACE: (
        "Look at them with `milmer inspect`. If another person or a picture is the largest face, "
        "crop the videos to the participant."
    ),
}


@dataclass(frozen=True, repr=False)
class PrepareResult(StageResult):
    """What a store contains after `prepare`.

    Attributes
    ----------
    out
        Folder of the store.
    prepared, unchanged
        Participants whose files were written by this run, and those whose files were up to date.
    excluded
        Participant -> why its recordings cannot be used.
    trials, segments
        Numbers of the participants prepared and unchanged.
    faces_found
        Share of the decoded frames with a face of the participant; NaN without any video.
    faces_tracked
        Share of the decoded frames in which the box is interpolated between two detections.
    face_coverage
        ``faces_found`` for each participant with a video.
    without_video, without_eeg
        Names of these trials, for example ``s03/40``.
    unreadable_videos
        Names of the trials whose video cannot be decoded.
    detector
        Name of the face detector.
    coverage
        Path of coverage.csv.
    quality
        Quality of the EEG.
    quality_figure
        Path of quality.png, the bad channels of each segment.
    """

    format_name: ClassVar[str] = "prepare"

    out: Path
    prepared: tuple[str, ...]
    unchanged: tuple[str, ...]
    excluded: Mapping[str, str]
    trials: int
    segments: int
    faces_found: float
    faces_tracked: float
    face_coverage: Mapping[str, float]
    without_video: tuple[str, ...]
    without_eeg: tuple[str, ...]
    unreadable_videos: tuple[str, ...]
    detector: str
    coverage: Path
    quality: QualitySummary
    quality_figure: Path

    @property
    def complete(self) -> bool:
        """Whether all recordings could be used."""
        return not self.excluded and not self.unreadable_videos

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        values: dict[str, Any] = to_json(self)
        return values

    def summary(self) -> list[tuple[str, str]]:
        """Return (label, value) rows for the terminal."""
        faces = "no video"
        if not np.isnan(self.faces_found):
            tracked = f" ({self.faces_tracked:.1%} tracked)" if self.faces_tracked else ""
            faces = f"{self.faces_found:.1%} of the images{tracked}, by {self.detector}"
        rows = [
            ("participants", f"{len(self.prepared)} prepared, {len(self.unchanged)} unchanged"),
            ("trials", str(self.trials)),
            ("segments", str(self.segments)),
            ("faces found", faces),
        ]
        if len(self.face_coverage) > 1:
            lowest_first = sorted(self.face_coverage.items(), key=lambda item: item[1])
            shares = [f"{name} {share:.1%}" for name, share in lowest_first]
            rows.append(("faces by participant", shorten(shares)))
        rows += self.quality.rows()
        for label, names in (
            ("excluded", tuple(self.excluded)),
            ("without video", self.without_video),
            ("without EEG", self.without_eeg),
            ("unreadable videos", self.unreadable_videos),
        ):
            if names:
                rows.append((label, f"{len(names)}: {shorten(names)}"))
        paths = {
            "coverage": self.coverage,
            "EEG quality over time": self.quality_figure,
            "store": self.out,
        }
        return [*rows, *((label, str(path)) for label, path in paths.items())]


@dataclass(frozen=True, repr=False)
class PrepareDryRunResult(StageResult):
    """What `prepare` would compute.

    Attributes
    ----------
    out
        Folder of the store.
    prepared, unchanged
        Participants whose files would be written, and those whose files are up to date.
    excluded
        Participant -> why its recordings cannot be used.
    trials, segments
        Numbers of the participants prepared and unchanged.
    eeg_parts, face_parts
        Numbers of participants whose EEG would be preprocessed, and of trials whose faces would be
        extracted; all other parts are reused.
    video_s
        Duration of the videos of these trials, in seconds.
    detector
        Name of the face detector.
    """

    format_name: ClassVar[str] = "prepare-dry-run"

    out: Path
    prepared: tuple[str, ...]
    unchanged: tuple[str, ...]
    excluded: Mapping[str, str]
    trials: int
    segments: int
    eeg_parts: int
    face_parts: int
    video_s: float
    detector: str

    @classmethod
    def of(
        cls,
        out: Path,
        plans: Sequence[ParticipantPlan],
        excluded: Mapping[str, str],
        detector: str,
    ) -> PrepareDryRunResult:
        """Count the parts of some plans."""
        return cls(
            out=out,
            prepared=tuple(plan.participant for plan in plans if not plan.unchanged),
            unchanged=tuple(plan.participant for plan in plans if plan.unchanged),
            excluded=excluded,
            trials=sum(len(plan.trials) for plan in plans),
            segments=sum(len(onsets) for plan in plans for onsets in plan.onsets_s.values()),
            eeg_parts=sum(plan.needs_eeg for plan in plans),
            face_parts=sum(len(plan.face_trials) for plan in plans),
            video_s=sum(trial.duration_s for plan in plans for trial in plan.face_trials),
            detector=detector,
        )

    @property
    def complete(self) -> bool:
        """Whether all participants can be used."""
        return not self.excluded

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        values: dict[str, Any] = to_json(self)
        return values

    def summary(self) -> list[tuple[str, str]]:
        """Return (label, value) rows for the terminal."""
        video = f"{self.video_s / 60:.1f} min of video"
        rows = [
            ("participants", f"{len(self.prepared)} to prepare, {len(self.unchanged)} unchanged"),
            ("trials", str(self.trials)),
            ("segments", str(self.segments)),
            ("EEG to preprocess", f"{self.eeg_parts} participants"),
            ("faces to extract", f"{self.face_parts} trials, {video}, by {self.detector}"),
        ]
        if self.excluded:
            rows.append(("excluded", f"{len(self.excluded)}: {shorten(tuple(self.excluded))}"))
        return [*rows, ("store", str(self.out))]


def coverage_warnings(participants: Iterable[PreparedParticipant]) -> Iterator[str]:
    """Yield a sentence for each participant with few faces: why they are missing, what to try."""
    for p in participants:
        share = _share_found(p)
        if not share < LOW_FACE_COVERAGE:
            continue
        missing = p.reason[np.isfinite(p.time) & ~p.found]
        reasons = Counter(str(reason) for reason in missing)
        counts = ", ".join(f"{reason}: {count}" for reason, count in reasons.most_common())
        main_reason = reasons.most_common(1)[0][0]
        yield (
            f"{p.participant}: a face was found in only {share:.0%} of the frames ({counts}). "
            f"{_ADVICE.get(main_reason, _ADVICE[NO_FACE])}"
        )


def _share_found(p: PreparedParticipant) -> float:
    decoded = np.isfinite(p.time)
    return float(p.found[decoded].mean()) if decoded.any() else float("nan")


def summarize(
    store: PreparedStore,
    plans: Sequence[ParticipantPlan],
    excluded: Mapping[str, str],
    detector: str,
    coverage: Path,
    quality: Sequence[SignalQuality],
) -> PrepareResult:
    """Count what a store contains of the planned participants.

    Parameters
    ----------
    store
        The finished store.
    plans
        Plans that this run carried out.
    excluded, detector, coverage
        As in `PrepareResult`.
    quality
        Quality of each participant of the store.
    """
    names = [plan.participant for plan in plans]
    participants = [store.participant(name) for name in names]
    segments = store.segments(names)
    trial_id, first = np.unique(segments.trial_id, return_index=True)
    decoded = np.concatenate([np.isfinite(p.time) for p in participants])
    found = np.concatenate([p.found for p in participants])
    reasons = np.concatenate([p.reason for p in participants])
    shares = {p.participant: _share_found(p) for p in participants}
    with_video = set(segments.trial_id[decoded.any(axis=1)])
    unreadable = np.unique(segments.trial_id[(reasons == VIDEO_UNREADABLE).any(axis=1)])
    return PrepareResult(
        out=store.folder,
        prepared=tuple(plan.participant for plan in plans if not plan.unchanged),
        unchanged=tuple(plan.participant for plan in plans if plan.unchanged),
        excluded=excluded,
        trials=len(trial_id),
        segments=len(segments),
        faces_found=float(found[decoded].mean()) if decoded.any() else float("nan"),
        faces_tracked=float((reasons[decoded] == TRACKED).mean()) if decoded.any() else 0.0,
        face_coverage={name: share for name, share in shares.items() if not np.isnan(share)},
        without_video=tuple(str(name) for name in trial_id if name not in with_video),
        without_eeg=tuple(str(name) for name in trial_id[~segments.eeg_found[first]]),
        unreadable_videos=tuple(str(name) for name in unreadable),
        detector=detector,
        coverage=coverage,
        quality=QualitySummary.of([q for q in quality if q.participant in names]),
        quality_figure=store.folder / QUALITY_FILE,
    )
