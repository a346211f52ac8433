"""What is said of each segment, whether it is said at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.recordings.faces import OTHER_FACE
from milmer_cli.recordings.video import UNDECODABLE
from milmer_cli.settings.schema import PredictSettings
from milmer_cli.stages.predicting.inference import Answer

TIMELINE, RESULT, PAGE = "timeline.csv", "timeline.json", "report.html"
ABSTAINED, VIDEO_LOST = "abstained", "video_lost"


@dataclass(frozen=True, eq=False)
class Segment:
    """One segment of a recording.

    Attributes
    ----------
    onset_s
        Start, in seconds from the start of the stimulus.
    label
        The most likely class; empty where the model abstained.
    probabilities
        (n_classes,), calibrated.
    faces
        How many of the instances show the participant; None without video.
    box
        (instances, 4) edges of the face, pixels of the upright frame, NaN without one; None without
        video.
    weights
        (instances,) share of the attention of each face; empty without video.
    chosen
        The instances that were kept, best first.
    interpolated
        How many channels are made from their neighbours; None without EEG.
    eeg_good
        Share of the channels that can be used; None without EEG.
    flags
        What a reader should know: ``no_face``, ``few_faces``, ``video_lost``, ``other_person``,
        ``eeg_artefact``, ``eeg_interpolated``, ``unsure``, ``abstained``.
    """

    onset_s: float
    label: str
    probabilities: np.ndarray
    faces: int | None
    box: np.ndarray | None
    weights: np.ndarray
    chosen: tuple[int, ...]
    interpolated: int | None
    eeg_good: float | None
    flags: tuple[str, ...]

    @property
    def confidence(self) -> float:
        """Probability of the most likely class."""
        return float(self.probabilities.max())

    @property
    def abstained(self) -> bool:
        """Whether the segment is too poor to be judged."""
        return not self.label

    @property
    def sides(self) -> tuple[str, str]:
        """Sides of valence and of arousal that the class stands for; empty where it has none."""
        return side(self.label, "valence", "V"), side(self.label, "arousal", "A")


def side(label: str, axis: str, letter: str) -> str:
    """Give ``high``, ``low`` or nothing: where a class lies on an axis, by its name."""
    if label in ("HAHV", "LAHV", "LALV", "HALV"):
        return {"H": "high", "L": "low"}[label[label.index(letter) - 1]]
    return label.split()[0] if label in (f"low {axis}", f"high {axis}") else ""


def judge(answer: Answer, class_names: Sequence[str], limits: PredictSettings) -> Segment:
    """Turn the model's answer into a segment, or an abstention where what it saw is too poor.

    EEG with too many bad channels goes into the model as it is, so the answer is not to be used.
    Without EEG the answer rests on the faces, and too few of them are too little.
    """
    faces, eeg, row = answer.stretch.faces, answer.stretch.eeg, answer.row
    flags, poor = [], False
    if faces is not None:
        share = float(faces.found[row].mean())
        if share < limits.min_faces:
            flags.append("few_faces" if share else "no_face")
            poor |= eeg is None
        if UNDECODABLE in faces.reason[row]:
            flags.append(VIDEO_LOST)
        if OTHER_FACE in faces.reason[row]:
            flags.append("other_person")
    if eeg is not None:
        if eeg.interpolated[row]:
            flags.append("eeg_interpolated")
        if 1 - eeg.good[row] > limits.max_bad_channels:
            flags.append("eeg_artefact")
            poor = True
    if answer.probabilities.max() < limits.min_confidence:
        flags.append("unsure")
        poor = True
    if poor:
        flags.append(ABSTAINED)
    return Segment(
        onset_s=float(answer.stretch.onset[row]),
        label="" if poor else class_names[int(answer.probabilities.argmax())],
        probabilities=answer.probabilities,
        faces=None if faces is None else int(faces.found[row].sum()),
        box=None if faces is None else faces.box[row],
        weights=answer.weights,
        chosen=answer.chosen,
        interpolated=None if eeg is None else int(eeg.interpolated[row]),
        eeg_good=None if eeg is None else float(eeg.good[row]),
        flags=tuple(flags),
    )


def lost_pictures(segments: Sequence[Segment]) -> Iterator[str]:
    """Say where a video should have pictures and none can be decoded."""
    lost = [segment.onset_s for segment in segments if VIDEO_LOST in segment.flags]
    if lost:
        yield (
            f"In {len(lost)} of {len(segments)} segments, from {lost[0]:g} s on, the video should "
            "have pictures that cannot be decoded: it is cut short or damaged."
        )


@dataclass(frozen=True, eq=False)
class PredictResult:
    """What a model says of a recording, segment by segment.

    Attributes
    ----------
    out
        Folder of the prediction; None where nothing was written.
    class_names
        In the order of the probabilities.
    segment_s
        Length of a segment, in seconds.
    segments
        In the order of time.
    channels, attention
        EEG channels, and the mean attention to each over the segments that were judged; empty
        without EEG.
    trust
        How good the model was where it was tested.
    notes
        What differs from the training data, and how the time was found, one sentence each.
    request
        What was asked for, as plain values.
    timing
        Where the stimulus was found in each file, and how, as plain values.
    """

    out: Path | None
    class_names: tuple[str, ...]
    segment_s: float
    segments: tuple[Segment, ...]
    channels: tuple[str, ...]
    attention: np.ndarray
    trust: str
    notes: tuple[str, ...] = ()
    request: dict[str, Any] = field(default_factory=dict)
    timing: dict[str, Any] = field(default_factory=dict)

    @property
    def onset(self) -> np.ndarray:
        """(n_segments,) seconds from the start of the stimulus."""
        return np.array([segment.onset_s for segment in self.segments])

    @property
    def probabilities(self) -> np.ndarray:
        """(n_segments, n_classes)."""
        return np.array([segment.probabilities for segment in self.segments])

    @property
    def abstained(self) -> np.ndarray:
        """(n_segments,) segments too poor to be judged."""
        return np.array([segment.abstained for segment in self.segments], bool)

    @property
    def mean(self) -> np.ndarray | None:
        """(n_classes,) mean probability over the segments that were judged; None without any."""
        judged = self.probabilities[~self.abstained]
        return judged.mean(axis=0) if len(judged) else None

    @property
    def label(self) -> str:
        """The most likely class over the recording; empty where all segments abstained."""
        return "" if self.mean is None else self.class_names[int(self.mean.argmax())]

    @property
    def faces_found(self) -> float:
        """Share of the images in which the participant was found; NaN without video."""
        shares = [
            s.faces / len(s.box) for s in self.segments if s.faces is not None and s.box is not None
        ]
        return float(np.mean(shares)) if shares else float("nan")

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "out": None if self.out is None else str(self.out),
            "classes": list(self.class_names),
            "class": self.label or None,
            "mean": None if self.mean is None else self.mean.tolist(),
            "segment_s": self.segment_s,
            "abstained": int(self.abstained.sum()),
            "trust": self.trust,
            "notes": list(self.notes),
            "eeg_attention": dict(zip(self.channels, self.attention.tolist(), strict=True)),
            "request": self.request,
            "timing": self.timing,
            "segments": [_plain(segment) for segment in self.segments],
        }

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        whole = "the model abstained: too poor to be judged"
        if self.mean is not None:
            whole = f"{self.label}, mean probability {self.mean.max():.1%}"
        count = f"{len(self.segments)} of {self.segment_s:g} s"
        if self.abstained.any():
            count += f", {int(self.abstained.sum())} abstained"
        rows = [("whole recording", whole), ("segments", count)]
        if not np.isnan(self.faces_found):
            rows.append(("faces found", f"{self.faces_found:.1%} of the images"))
        rows.append(("model tested", self.trust))
        if self.out is not None:
            rows.append(("timeline", str(self.out / TIMELINE)))
            rows.append(("page to open", str(self.out / PAGE)))
        return rows


def _plain(segment: Segment) -> dict[str, Any]:
    valence, arousal = segment.sides
    return {
        "onset_s": segment.onset_s,
        "class": segment.label or None,
        "probabilities": segment.probabilities.tolist(),
        "valence": valence or None,
        "arousal": arousal or None,
        "confidence": segment.confidence,
        "faces_found": segment.faces,
        "channels_interpolated": segment.interpolated,
        "eeg_good": segment.eeg_good,
        "flags": list(segment.flags),
        "chosen": list(segment.chosen),
        "weights": segment.weights.tolist(),
    }
