"""A face video and an EEG recording -> emotion over time, and a page.

The files go through the very preparation that the model was trained on: the segments of a trial are
those that `prepare` would store, and so are the probabilities.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from milmer_cli.compute import Compute
from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.recordings.bdf import read_bdf, stimulus_marks
from milmer_cli.recordings.eeg import clean, cut_trial, open_eeg, segment_onsets
from milmer_cli.recordings.trial import EegBlock, VideoSpan
from milmer_cli.recordings.video import Video
from milmer_cli.report.html import ChosenFace, PredictionReport, prediction_page, write_page
from milmer_cli.report.prediction_figures import Timeline
from milmer_cli.settings import Settings
from milmer_cli.stages.segments import face_segments
from milmer_cli.store.images import EncodedFaces, decode_face
from milmer_cli.training.predictions import softmax
from milmer_cli.training.runfolder import METRICS, Run, versions, write_json, write_text

TASK = "predict"
TIMELINE, RESULT, PAGE = "timeline.csv", "timeline.json", "report.html"
WHOLE = 0
"""Number of the only trial of a recording that is not one of DEAP's."""


@dataclass(frozen=True, eq=False)
class PredictResult:
    """What a model says of a recording, segment by segment.

    Attributes
    ----------
    out
        Folder of the prediction.
    class_names
        In the order of the probabilities.
    onset
        (n_segments,) seconds from the start of the stimulus.
    segment_s
        Length of a segment, in seconds.
    probabilities
        (n_segments, n_classes).
    weights
        (n_segments, instances) weight of each face image in its segment.
    found
        (n_segments, instances) whether there was a face.
    trust
        How good the model was where it was tested.
    """

    out: Path
    class_names: tuple[str, ...]
    onset: np.ndarray
    segment_s: float
    probabilities: np.ndarray
    weights: np.ndarray
    found: np.ndarray
    trust: str

    @property
    def mean(self) -> np.ndarray:
        """(n_classes,) mean probability over the recording."""
        return self.probabilities.mean(axis=0)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "out": str(self.out),
            "classes": list(self.class_names),
            "mean": self.mean.tolist(),
            "trust": self.trust,
            "segments": [
                {
                    "onset_s": float(self.onset[row]),
                    "class": self.class_names[int(self.probabilities[row].argmax())],
                    "probabilities": self.probabilities[row].tolist(),
                    "faces_found": int(self.found[row].sum()),
                    "weights": self.weights[row].tolist(),
                }
                for row in range(len(self.onset))
            ],
        }

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        top = int(self.mean.argmax())
        return [
            ("whole recording", f"{self.class_names[top]}, mean probability {self.mean[top]:.1%}"),
            ("segments", f"{len(self.onset)} of {self.segment_s:g} s"),
            ("faces found", f"{self.found.mean():.1%} of the images"),
            ("model tested", self.trust),
            ("timeline", str(self.out / TIMELINE)),
            ("page to open", str(self.out / PAGE)),
        ]


@dataclass(frozen=True, eq=False)
class _Segments:
    """A recording as the model takes it: equal-length arrays over segments."""

    onset: np.ndarray
    eeg: np.ndarray
    faces: EncodedFaces

    def __len__(self) -> int:
        return len(self.onset)

    def images(self, row: int, size: int) -> np.ndarray:
        """(instances, size, size, 3) uint8; zeros where no face was found."""
        instances = self.faces.found.shape[1]
        encoded = self.faces.images[row * instances : (row + 1) * instances]
        empty = np.zeros((size, size, 3), np.uint8)
        return np.stack([decode_face(image) if image else empty for image in encoded])


def predict(
    video: Path,
    eeg: Path,
    run: Path,
    out: Path,
    settings: Settings,
    *,
    trial: int | None = None,
    video_onset_s: float | None = None,
    eeg_onset_s: float | None = None,
    progress: Progress = SILENT,
) -> PredictResult:
    """Predict the emotion of every segment of a recording.

    Parameters
    ----------
    video, eeg
        The recording: a video of the face, and an EEG file that mne reads.
    run
        The run folder of the model.
    out
        Folder of the prediction.
    settings
        Sections ``predict`` and ``run``; how the files are prepared is the run's.
    trial
        DEAP: which trial the video shows; its stimulus is found by the status codes of the BDF.
    video_onset_s, eeg_onset_s
        Start of the stimulus in each file, in seconds; where not given the start of the file, or
        what ``trial`` says.

    Raises
    ------
    InputError
        A file cannot be read or does not fit the model, or nothing is left to predict.
    """
    trained = Run.open(run)
    compute = Compute.choose(settings.run)
    compute.activate()
    block, duration_s = _eeg_block(eeg, trial, eeg_onset_s)
    onset_s = video_onset_s or 0.0
    shown_s = Video(video).duration_s - onset_s
    if shown_s <= 0:
        raise InputError(f"{video} ends before --video-onset {onset_s:g} s.", "Check the onset.")
    if trial is None and abs(shown_s - duration_s) >= trained.segment_s:
        progress.note(
            f"The EEG lasts {duration_s:.1f} s from its onset and the video {shown_s:.1f} s: "
            "what both show is used.",
            "warning",
        )
        duration_s = min(duration_s, shown_s)
    segments = _segments(trained, block, duration_s, VideoSpan(video, onset_s), eeg, progress)
    probabilities, weights, chosen = _run_model(trained, segments, compute, settings, progress)
    result = PredictResult(
        out=out,
        class_names=trained.class_names,
        onset=segments.onset,
        segment_s=trained.segment_s,
        probabilities=probabilities,
        weights=weights,
        found=segments.faces.found,
        trust=_trust(trained),
    )
    write_text(out / TIMELINE, _timeline_csv(result, chosen))
    write_json(out / RESULT, result.to_json())
    write_page(out / PAGE, prediction_page(_page(result, chosen, segments, trained, video, eeg)))
    return result


def _eeg_block(eeg: Path, trial: int | None, onset_s: float | None) -> tuple[EegBlock, float]:
    """Open the recording; its block holds one trial, `WHOLE`, of the returned length in seconds."""
    if trial is None:
        raw = open_eeg(eeg)
        start = onset_s or 0.0
        left_s = raw.n_times / float(raw.info["sfreq"]) - start
        if left_s <= 0:
            raise InputError(f"{eeg} ends before --eeg-onset {start:g} s.", "Check the onset.")
        return EegBlock(raw, {WHOLE: start}), left_s
    block = read_bdf(eeg)
    marks = dict(enumerate(stimulus_marks(block.raw), start=1))
    if trial not in marks:
        raise InputError(
            f"{eeg} marks {len(marks)} stimuli, so there is no trial {trial}.",
            "Check --trial, or give --eeg-onset instead.",
        )
    mark = marks[trial]
    start = mark.onset_s if onset_s is None else onset_s
    if mark.duration_s is None:
        raise InputError(
            f"{eeg} does not say when the stimulus of trial {trial} ends.",
            "Give --eeg-onset instead of --trial.",
        )
    return EegBlock(block.raw, {WHOLE: start}, eog=block.eog), mark.duration_s


def _segments(
    run: Run,
    block: EegBlock,
    duration_s: float,
    video: VideoSpan,
    eeg: Path,
    progress: Progress,
) -> _Segments:
    cut = run.settings.eeg
    cleaned = clean(block, cut, run.channels)
    for note in cleaned.notes:
        progress.note(note, "detail")
    signals = cut_trial(cleaned, WHOLE, duration_s, cut)
    if not len(signals):
        raise InputError(
            f"{eeg} and the video share {duration_s:.1f} s, less than a segment of "
            f"{cut.segment_s:g} s.",
            "Check --eeg-onset and --video-onset.",
        )
    onsets = segment_onsets(duration_s, cut.segment_s, cut.overlap_s)[: len(signals)]
    faces = face_segments(video, onsets, cut.segment_s, run.settings.faces)
    return _Segments(onsets, signals, faces)


def _run_model(
    run: Run, segments: _Segments, compute: Compute, settings: Settings, progress: Progress
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give each segment's probabilities, instance weights and chosen instances (-1 for none)."""
    model = run.load_model().to(compute.device)
    instances = segments.faces.found.shape[1]
    probabilities, weights, chosen = [], [], []
    progress.start(TASK, total=len(segments), unit="segments")
    for start in range(0, len(segments), settings.predict.batch_size):
        rows = range(start, min(start + settings.predict.batch_size, len(segments)))
        batch = {
            "eeg": torch.from_numpy(segments.eeg[rows.start : rows.stop]),
            "faces": torch.from_numpy(np.stack([segments.images(r, run.face_size) for r in rows])),
            "faces_found": torch.from_numpy(segments.faces.found[rows.start : rows.stop]),
        }
        with torch.inference_mode(), compute.autocast():
            said = model(**{name: value.to(compute.device) for name, value in batch.items()})
        probabilities.append(softmax(said.logits.float().cpu().double().numpy()))
        weights.append(_array(said.instance_weights, (len(rows), instances), 0.0))
        chosen.append(_array(said.chosen, (len(rows), run.settings.model.num_select), -1))
        progress.advance(TASK, len(rows))
    progress.done(TASK)
    return np.concatenate(probabilities), np.concatenate(weights), np.concatenate(chosen)


def _array(values: torch.Tensor | None, shape: tuple[int, int], missing: float) -> np.ndarray:
    if values is None:
        return np.full(shape, missing)
    return values.cpu().numpy() if values.dtype == torch.int64 else values.float().cpu().numpy()


def _trust(run: Run) -> str:
    metrics = json.loads((run.path / METRICS).read_text(encoding="utf-8"))
    return str(metrics["headline"])


def _timeline_csv(result: PredictResult, chosen: np.ndarray) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"p_{name}" for name in result.class_names]
    writer.writerow(["onset_s", "class", *names, "faces_found", "chosen_instances"])
    for row, probabilities in enumerate(result.probabilities):
        writer.writerow(
            [
                f"{result.onset[row]:g}",
                result.class_names[int(probabilities.argmax())],
                *(f"{p:.6f}" for p in probabilities),
                int(result.found[row].sum()),
                " ".join(str(index) for index in chosen[row] if index >= 0),
            ]
        )
    return text.getvalue()


def _page(
    result: PredictResult,
    chosen: np.ndarray,
    segments: _Segments,
    run: Run,
    video: Path,
    eeg: Path,
) -> PredictionReport:
    timeline = Timeline(
        onset=result.onset,
        segment_s=result.segment_s,
        probabilities=result.probabilities,
        class_names=result.class_names,
        faces_found=result.found.mean(axis=1),
        eeg_found=np.ones(len(result.onset), bool),
        abstained=np.zeros(len(result.onset), bool),
    )
    return PredictionReport(
        title=f"{video.name} and {eeg.name}",
        timeline=timeline,
        faces=list(_chosen_faces(result, chosen, segments, run.face_size)),
        trust=result.trust,
        settings=run.settings.model_dump(mode="json"),
        facts=[
            ("video", str(video)),
            ("EEG", str(eeg)),
            ("run", str(run.path)),
            ("label rule", run.label_rule),
            *versions().items(),
        ],
    )


def _chosen_faces(
    result: PredictResult, chosen: np.ndarray, segments: _Segments, size: int
) -> Iterator[list[ChosenFace]]:
    for row in range(len(segments)):
        images = segments.images(row, size)
        yield [
            ChosenFace(images[index], float(result.weights[row, index]))
            for index in chosen[row]
            if index >= 0
        ]
