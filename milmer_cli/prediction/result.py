"""Result of a prediction: created once, written as table and JSON, and shown by the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from milmer_cli.prediction.request import Request
from milmer_cli.prediction.sync_check import SyncCheck
from milmer_cli.prediction.timing import StimulusTiming
from milmer_cli.stage_result import StageResult

if TYPE_CHECKING:
    from milmer_cli.metrics.calibration import ReliabilityPair

TIMELINE, RESULT, PAGE = "timeline.csv", "timeline.json", "report.html"
SYNC_FIGURE = "align-check.png"
ABSTAINED, VIDEO_LOST = "abstained", "video_lost"
NO_MEANING = "without meaning: the model was trained on synthetic data"
NOT_ABOVE_CHANCE = "the model is not shown to be above chance on its test set"


@dataclass(frozen=True, eq=False)
class SegmentPrediction:
    """Prediction for one segment.

    Attributes
    ----------
    onset_s
        Start, in seconds from the start of the stimulus.
    label
        Most likely class; empty if the model abstained.
    probabilities
        (n_classes,), calibrated.
    faces_found
        Number of instances with a face of the participant; None without video.
    boxes
        (n_instances, 4) left, top, right, bottom of the face in pixels of the upright frame, NaN
        without a face; None without video.
    instance_weights
        (n_instances,) attention weight of each face; empty without video.
    selected
        Selected instances, the highest score first.
    interpolated
        Number of interpolated channels; None without EEG.
    eeg_good
        Share of usable channels; None without EEG.
    flags
        ``no_face``, ``few_faces``, ``video_lost``, ``other_person``, ``eeg_artifact``,
        ``eeg_interpolated``, ``unsure``, ``abstained``.
    """

    onset_s: float
    label: str
    probabilities: np.ndarray
    faces_found: int | None
    boxes: np.ndarray | None
    instance_weights: np.ndarray
    selected: tuple[int, ...]
    interpolated: int | None
    eeg_good: float | None
    flags: tuple[str, ...]

    @property
    def confidence(self) -> float:
        """Probability of the most likely class."""
        return float(self.probabilities.max())

    @property
    def abstained(self) -> bool:
        """Whether the quality of the segment is too low for a prediction."""
        return not self.label

    @property
    def face_share(self) -> float | None:
        """Share of the instances with a face of the participant; None without video."""
        if self.faces_found is None or self.boxes is None:
            return None
        return self.faces_found / len(self.boxes)

    @property
    def sides(self) -> tuple[str, str]:
        """Sides of valence and of arousal of the class: ``high``, ``low``, or empty."""
        return side_of_class(self.label, "valence"), side_of_class(self.label, "arousal")

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        valence, arousal = self.sides
        return {
            "onset_s": self.onset_s,
            "class": self.label or None,
            "probabilities": self.probabilities.tolist(),
            "valence": valence or None,
            "arousal": arousal or None,
            "confidence": self.confidence,
            "faces_found": self.faces_found,
            "channels_interpolated": self.interpolated,
            "eeg_good": self.eeg_good,
            "flags": list(self.flags),
            "selected_instances": list(self.selected),
            "instance_weights": self.instance_weights.tolist(),
        }


def side_of_class(label: str, axis: str) -> str:
    """Return the side of a class on an axis, derived from its name.

    Parameters
    ----------
    label
        Name of the class: a quadrant (``HALV``), ``low valence``, or any other name.
    axis
        ``valence`` or ``arousal``.

    Returns
    -------
    str
        ``high``, ``low``, or empty if the class has no side on this axis.
    """
    if label in ("HAHV", "LAHV", "LALV", "HALV"):
        letter = label[label.index(axis[0].upper()) - 1]
        return {"H": "high", "L": "low"}[letter]
    return label.split()[0] if label in (f"low {axis}", f"high {axis}") else ""


@dataclass(frozen=True, eq=False)
class SelectedFace:
    """A face that the model selected.

    Attributes
    ----------
    image
        (height, width, 3) uint8 RGB.
    weight
        Its attention weight.
    """

    image: np.ndarray
    weight: float


@dataclass(frozen=True, eq=False)
class ModelSummary:
    """The model of a prediction, and its performance on its test set.

    Attributes
    ----------
    name
        Where the model is from: a path, ``hf:USER/NAME@COMMIT`` or ``demo``.
    test_score
        Score on the test set with the modalities of the prediction, in one line.
    test_scope
        Whose data the test set contains, and what to do for a new person; empty if unknown.
    above_chance
        Whether that score is significantly above chance.
    label_rule
        How ratings became classes, in words.
    settings
        Settings of the model, as plain values.
    reliability
        Calibration on the test set: before and after temperature scaling; None if unknown.
    temperature
        Temperature fitted on the validation set; None without.
    weights_sha256
        SHA-256 of the weights.
    synthetic
        Whether the model was trained on synthetic data.
    """

    name: str
    test_score: str
    test_scope: str = ""
    above_chance: bool = False
    label_rule: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    reliability: ReliabilityPair | None = None
    temperature: float | None = None
    weights_sha256: str = ""
    synthetic: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class PredictResult(StageResult):
    """Prediction for a recording, segment by segment.

    Attributes
    ----------
    request
        What was predicted.
    timing
        Position of the stimulus in each file.
    model
        The model and its performance on its test set.
    class_names
        In the order of the probabilities.
    segment_s
        Duration of a segment, in seconds.
    segments
        In the order of time; at least one.
    channels
        EEG channels of ``eeg_attention``; empty without EEG.
    eeg_attention
        (n_channels,) attention to each channel, mean over the segments without abstention.
    notes
        Warnings and notes, one sentence or two each.
    out
        Folder of the prediction; None if nothing was written.
    device
        Description of the device.
    faces
        Segment index -> selected faces, for the segments that the page shows.
    sync
        Synchronization check, if it was requested.
    sets
        Sets of the model (``training``, ``validation``, ``test``) that contain a part of the
        recording; None if the model does not record its files.
    """

    format_name: ClassVar[str] = "prediction"

    request: Request
    timing: StimulusTiming
    model: ModelSummary
    class_names: tuple[str, ...]
    segment_s: float
    segments: tuple[SegmentPrediction, ...]
    channels: tuple[str, ...] = ()
    eeg_attention: np.ndarray = field(default_factory=lambda: np.zeros(0))
    notes: tuple[str, ...] = ()
    out: Path | None = None
    device: str = ""
    faces: Mapping[int, Sequence[SelectedFace]] = field(default_factory=dict)
    sync: SyncCheck | None = None
    sets: tuple[str, ...] | None = None

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
        """(n_segments,) bool."""
        return np.array([segment.abstained for segment in self.segments], bool)

    @property
    def predicted(self) -> np.ndarray:
        """(n_segments,) index of the most likely class; -1 for abstention."""
        return np.where(self.abstained, -1, self.probabilities.argmax(axis=1))

    @property
    def face_share(self) -> np.ndarray | None:
        """(n_segments,) share of the instances with a face; None without video."""
        if self.segments[0].faces_found is None:
            return None
        return np.array([segment.face_share for segment in self.segments], float)

    @property
    def eeg_good(self) -> np.ndarray | None:
        """(n_segments,) share of usable EEG channels; None without EEG."""
        if self.segments[0].eeg_good is None:
            return None
        return np.array([segment.eeg_good for segment in self.segments], float)

    @property
    def mean(self) -> np.ndarray | None:
        """(n_classes,) mean over the segments without abstention; None if there are none."""
        kept = self.probabilities[~self.abstained]
        return kept.mean(axis=0) if len(kept) else None

    @property
    def label(self) -> str:
        """Class with the highest mean probability; empty if all segments abstained."""
        return "" if self.mean is None else self.class_names[int(self.mean.argmax())]

    @property
    def faces_found(self) -> float:
        """Share of all images with a face of the participant; NaN without video."""
        return float("nan") if self.face_share is None else float(np.mean(self.face_share))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "out": None if self.out is None else str(self.out),
            "classes": list(self.class_names),
            "class": self.label or None,
            "mean": None if self.mean is None else self.mean.tolist(),
            "segment_s": self.segment_s,
            "abstained": int(self.abstained.sum()),
            "test_score": self.model.test_score,
            "test_scope": self.model.test_scope or None,
            "in_sets": None if self.sets is None else list(self.sets),
            "model_above_chance": self.model.above_chance,
            "synthetic": self.model.synthetic,
            "notes": list(self.notes),
            "eeg_attention": dict(zip(self.channels, self.eeg_attention.tolist(), strict=True)),
            "request": {
                "title": self.request.title,
                "model": self.model.name,
                "weights_sha256": self.model.weights_sha256,
                **self.request.to_json(),
            },
            "timing": self.timing.to_json(),
            "segments": [segment.to_json() for segment in self.segments],
        }

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        recording = "abstained: the quality or the confidence of all segments is too low"
        if self.mean is not None:
            recording = f"{self.label}, mean probability {self.mean.max():.1%}"
            if self.model.synthetic:
                recording += f"; {NO_MEANING}"
            elif not self.model.above_chance:
                recording += f"; {NOT_ABOVE_CHANCE}"
        count = f"{len(self.segments)} of {self.segment_s:g} s"
        if self.abstained.any():
            count += f", {int(self.abstained.sum())} abstained"
        rows = [("recording", recording), ("segments", count)]
        if not np.isnan(self.faces_found):
            rows.append(("faces found", f"{self.faces_found:.1%} of the images"))
        rows.append(("test score of the model", self.model.test_score))
        if self.model.test_scope:
            rows.append(("tested on", self.model.test_scope))
        if self.out is not None:
            rows.append(("timeline", str(self.out / TIMELINE)))
            rows.append(("report", str(self.out / PAGE)))
        return rows

    def provenance(self) -> Iterator[tuple[str, str]]:
        """Rows of label and value: inputs, timing, device and label rule."""
        yield "model", self.model.name
        yield "SHA-256 of the weights", self.model.weights_sha256
        yield from ((name, str(value)) for name, value in self.request.to_json().items())
        yield from self.timing.summary()
        yield "device", self.device
        yield "label rule", self.model.label_rule
