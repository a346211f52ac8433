"""Bookkeeping of a batch: identity, completion and summary row of each recording."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from milmer_cli.bundle.contents import Bundle
from milmer_cli.csv_cells import csv_text
from milmer_cli.datasets.read_options import read_options
from milmer_cli.digests import digest
from milmer_cli.eeg.io import open_eeg, source_files
from milmer_cli.errors import InputError, shorten
from milmer_cli.json_files import read_json, write_json
from milmer_cli.prediction.output import DONE, SUMMARY
from milmer_cli.prediction.rating_comparison import RatingComparison
from milmer_cli.prediction.request import Request
from milmer_cli.prediction.result import NO_MEANING, PAGE, RESULT, ModelSummary, PredictResult
from milmer_cli.settings import Settings
from milmer_cli.stage_result import StageResult

_TRAINED_ON = {"training", "validation"}

_SUMMARY_CELLS = (
    *("segments", "abstained", "faces_found", "flags", "eeg_onset_s", "rated_class", "sets"),
    *("error", "video", "eeg"),
)
"""Columns of the summary table after the probabilities."""


@dataclass(frozen=True)
class SummaryRow:
    """Outcome of one recording.

    Attributes
    ----------
    video, eeg
        The files; empty if absent.
    label
        Most likely class; empty after an abstention or an error.
    mean
        Mean probability of each class; None without a label.
    segments, abstained
        Number of segments, and of those with an abstention.
    faces_found
        Share of the images with a face; None without video.
    flags
        Flags of any segment, sorted.
    eeg_onset_s
        Start of the stimulus in the EEG, in seconds; None without EEG or after an error.
    sets
        As `PredictResult.sets`; None also after an error.
    error
        Why the recording could not be predicted; empty otherwise.
    """

    video: str
    eeg: str
    label: str = ""
    mean: Sequence[float] | None = None
    segments: int = 0
    abstained: int = 0
    faces_found: float | None = None
    flags: Sequence[str] = ()
    eeg_onset_s: float | None = None
    sets: Sequence[str] | None = None
    error: str = ""

    @classmethod
    def from_result(cls, result: PredictResult) -> SummaryRow:
        """Summarize a prediction."""
        return cls(
            *_file_names(result.request),
            label=result.label,
            mean=None if result.mean is None else result.mean.tolist(),
            segments=len(result.segments),
            abstained=int(result.abstained.sum()),
            faces_found=None if result.face_share is None else result.faces_found,
            flags=sorted({flag for segment in result.segments for flag in segment.flags}),
            eeg_onset_s=None if result.timing.eeg is None else result.timing.eeg_onset_s,
            sets=result.sets,
        )

    @classmethod
    def from_error(cls, request: Request, error: str) -> SummaryRow:
        """Summarize a failure."""
        return cls(*_file_names(request), error=error)

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the column names of the table."""
        values = dataclasses.asdict(self)
        return {"class": values.pop("label"), **values}


def _file_names(request: Request) -> tuple[str, str]:
    video, eeg = request.video, request.eeg
    return "" if video is None else str(video), "" if eeg is None else str(eeg)


@dataclass(frozen=True, repr=False)
class BatchResult(StageResult):
    """Outcome of a batch.

    Attributes
    ----------
    out
        Folder with one folder per recording, and the summary table.
    rows
        Name of the recording -> its row, in the order of the manifest.
    kept
        Recordings that were predicted before and have not changed.
    class_names
        In the order of the probabilities.
    model
        The model and its performance on its test set.
    comparison
        Comparison with the ratings; None without ratings.
    """

    format_name: ClassVar[str] = "predict-manifest"

    out: Path
    rows: Mapping[str, SummaryRow]
    kept: tuple[str, ...]
    class_names: tuple[str, ...]
    model: ModelSummary
    comparison: RatingComparison | None = None

    @property
    def failed(self) -> tuple[str, ...]:
        """Recordings that could not be predicted."""
        return tuple(name for name, row in self.rows.items() if row.error)

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Recordings in the training or validation set of the model."""
        return tuple(
            name
            for name, row in self.rows.items()
            if {"training", "validation"} & set(row.sets or ())
        )

    @property
    def complete(self) -> bool:
        """Whether all recordings were predicted."""
        return not self.failed

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "out": str(self.out),
            "kept": list(self.kept),
            "failed": list(self.failed),
            "model": self.model.name,
            "weights_sha256": self.model.weights_sha256,
            "synthetic": self.model.synthetic,
            "test_score": self.model.test_score,
            "test_scope": self.model.test_scope or None,
            "ratings": self._comparison_json(),
            "recordings": [{"name": name, **row.to_json()} for name, row in self.rows.items()],
        }

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        predicted = f"{len(self.rows) - len(self.failed)} predicted"
        if self.kept:
            predicted += f", {len(self.kept)} of them in an earlier run"
        rows = [("recordings", predicted)]
        if self.failed:
            names = shorten(self.failed)
            rows.append(("failed", f"{names}; the same command retries them and keeps the others"))
        if self.model.synthetic:
            rows.append(("result", NO_MEANING))
        rows.append(("test score of the model", self.model.test_score))
        if self.model.test_scope:
            rows.append(("tested on", self.model.test_scope))
        if self.trained_on:
            count = f"{len(self.trained_on)} of {len(self.rows)} recordings are in its training"
            rows.append(("warning", f"{count} or validation set: {shorten(self.trained_on)}"))
        if self.comparison is not None:
            rows.append(("comparison with the ratings", self.comparison.sentences))
        return [*rows, ("table", str(self.out / SUMMARY)), ("report", str(self.out / PAGE))]

    def _comparison_json(self) -> dict[str, Any] | None:
        if self.comparison is None:
            return None
        rates = {
            "accuracy": self.comparison.accuracy,
            "majority_rate": self.comparison.majority_rate,
        }
        return dataclasses.asdict(self.comparison) | rates


def prediction_identity(request: Request, bundle: Bundle, settings: Settings) -> str:
    """Digest of everything that determines a prediction: request, files, model and settings."""
    files = [] if request.video is None else [request.video]
    if request.eeg is not None:
        files += _eeg_files(request.eeg)
    return digest(
        request.to_json(),
        {str(file): [file.stat().st_size, file.stat().st_mtime_ns] for file in files},
        bundle.digest,
        settings.predict,
        settings.quality.model_dump(exclude_unset=True),
        read_options(settings.data) if request.eeg else None,
    )


def _eeg_files(path: Path) -> list[Path]:
    """Return the files of a recording, including BrainVision's markers."""
    markers = path.with_suffix(".vmrk")
    try:
        files = [*source_files(path, open_eeg(path)), markers]
    except InputError:
        return [path]
    return [file for file in files if file.is_file()]


def finished_row(folder: Path, identity: str) -> SummaryRow | None:
    """Return the row of a complete prediction with this identity; None without one."""
    if not all((folder / name).is_file() for name in (DONE, RESULT, PAGE)):
        return None
    try:
        done = read_json(folder / DONE)
        return SummaryRow(**done["row"]) if done["identity"] == identity else None
    except (InputError, KeyError, TypeError):  # damaged, or of another version
        return None


def mark_finished(folder: Path, identity: str, row: SummaryRow) -> None:
    """Record that a prediction is complete."""
    write_json(folder / DONE, {"identity": identity, "row": dataclasses.asdict(row)})


def summary_columns(class_names: Sequence[str]) -> list[str]:
    """Return the columns of the summary table."""
    return ["name", "class", *(f"p_{name}" for name in class_names), *_SUMMARY_CELLS]


def summary_table(
    rows: Mapping[str, SummaryRow], class_names: Sequence[str], rated: Mapping[str, str]
) -> str:
    """Return the summary table as CSV text.

    Parameters
    ----------
    rows
        Name of a recording -> its row.
    class_names
        In the order of the probabilities.
    rated
        Name of a recording -> the class of its rating, for those that have one.
    """
    table: list[list[object]] = [[*summary_columns(class_names)]]
    for name, row in rows.items():
        mean = [f"{p:.6f}" for p in row.mean] if row.mean else [""] * len(class_names)
        cells = row.to_json() | {
            "flags": " ".join(row.flags),
            "faces_found": "" if row.faces_found is None else f"{row.faces_found:.4f}",
            "rated_class": rated.get(name, ""),
            "sets": " ".join(row.sets or ()),
            "eeg_onset_s": "" if row.eeg_onset_s is None else f"{row.eeg_onset_s:g}",
        }
        table.append([name, row.label, *mean, *(cells[column] for column in _SUMMARY_CELLS)])
    return csv_text(table)


def compare_with_ratings(
    rows: Mapping[str, SummaryRow], rated: Mapping[str, str]
) -> RatingComparison | None:
    """Compare predictions with ratings.

    Parameters
    ----------
    rows
        Name of a recording -> its prediction.
    rated
        Name of a recording -> the class of its rating, for those that have one.

    Returns
    -------
    RatingComparison or None
        None if no recording has both.
    """
    pairs = {name: row for name, row in rows.items() if name in rated and not row.error}
    predicted = {name: row for name, row in pairs.items() if row.label}
    if not predicted:
        return None
    counts = Counter(rated[name] for name in predicted)
    majority_class, majority = counts.most_common(1)[0]
    sets = [row.sets for row in predicted.values()]
    known = [own for own in sets if own is not None]
    return RatingComparison(
        n=len(predicted),
        correct=sum(row.label == rated[name] for name, row in predicted.items()),
        majority_class=majority_class,
        majority=majority,
        abstained=len(pairs) - len(predicted),
        trained_on=sum(bool({"training", "validation"} & set(own)) for own in known)
        if known
        else None,
    )
