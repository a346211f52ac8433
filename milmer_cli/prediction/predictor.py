"""Prediction for one recording, from its files to the result.

The files are preprocessed exactly as the training data were: for a trial that was also prepared,
the segments and the probabilities equal those of `milmer evaluate --run`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from milmer_cli.bundle.contents import SYNTHETIC, Bundle
from milmer_cli.datasets.read_options import read_options
from milmer_cli.device import Device
from milmer_cli.eeg.channels import average_reference
from milmer_cli.eeg.io import EegBlock, ReadOptions
from milmer_cli.eeg.segment import segment_onsets
from milmer_cli.errors import InputError
from milmer_cli.inference.backbone_engine import backbone_engine
from milmer_cli.prediction.abstention import no_faces, predict_or_abstain, undecodable_frames
from milmer_cli.prediction.chunks import iter_chunks, prefetch
from milmer_cli.prediction.eeg_scaling import eeg_scaling
from milmer_cli.prediction.eeg_segments import EegSegmentReader
from milmer_cli.prediction.messages import Messages
from milmer_cli.prediction.modalities import Modalities, require_modalities, select_modalities
from milmer_cli.prediction.output import TimelineWriter, require_prediction_folder
from milmer_cli.prediction.recording import EegRecording, open_block, open_recording
from milmer_cli.prediction.reliability import (
    check_metrics,
    single_modality_warnings,
    summarize_model,
    usable_modalities,
)
from milmer_cli.prediction.request import Outputs, Request
from milmer_cli.prediction.result import (
    TIMELINE,
    PredictResult,
    SegmentPrediction,
    SelectedFace,
)
from milmer_cli.prediction.segment_inference import SegmentInference, SegmentOutput
from milmer_cli.prediction.sync_check import SyncCheck, check_sync
from milmer_cli.prediction.timing import StimulusTiming, locate_stimulus
from milmer_cli.prediction.training_differences import training_differences
from milmer_cli.prediction.training_overlap import (
    overlap_warnings,
    prediction_source,
    sets_of,
)
from milmer_cli.preprocessing import LastRecording, select_face_video
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import Settings
from milmer_cli.video.frames import VideoSpan

TASK = "predict"
MAX_FACE_SEGMENTS = 60
"""Segments whose faces the page shows; evenly spaced in a longer recording."""


class Predictor:
    """A trained model that predicts recordings.

    Parameters
    ----------
    bundle
        The model. Its settings determine the preprocessing.
    settings
        Sections ``predict`` and ``run``; of ``data``, how EEG files are read (`read_options`); of
        ``quality``, what was given explicitly: the rest of the quality rule is that of the model;
        of ``faces``, the folder with the weights of the detector.
    keep_eeg
        Whether the last preprocessed EEG is kept, for other stimuli of the same recording.
    """

    def __init__(self, bundle: Bundle, settings: Settings, keep_eeg: bool = False) -> None:
        check_metrics(bundle)
        given = settings.quality.model_dump(exclude_unset=True)
        quality = bundle.settings.quality.model_copy(update=given)
        weights = {"weights_dir": settings.faces.weights_dir}  # it differs between machines
        faces = bundle.settings.faces.model_copy(update=weights)
        own = bundle.settings.model_copy(update={"quality": quality, "faces": faces})
        self.bundle = bundle.with_settings(own)
        self.settings = settings
        self._last_eeg = LastRecording() if keep_eeg else None
        device = Device.from_settings(settings.run)
        device.configure_torch()
        self._model = bundle.load_model()
        self._inference = SegmentInference(
            self._model, device, bundle.face_size, settings.predict.batch_size
        )
        self._device = device

    def predict(
        self, request: Request, outputs: Outputs, progress: Progress = SILENT
    ) -> PredictResult:
        """Predict every segment of a recording; memory does not grow with its duration.

        Of the outputs, only timeline.csv is written here, one row per segment.

        Parameters
        ----------
        request
            The files and the position of the stimulus.
        outputs
            What is to be written.
        progress
            Advanced by segments.

        Raises
        ------
        InputError
            The request is invalid, or a file cannot be read or does not fit the model.
        """
        request.validate()
        if outputs.out is not None:
            require_prediction_folder(outputs.out)
        messages = Messages(progress)
        if self.bundle.synthetic:
            messages.warn(SYNTHETIC)
        inputs = self._open(request, outputs, messages)
        sync = self._check_sync(inputs, progress) if outputs.align_check else None
        predictions = self._predict_segments(inputs, outputs.out, progress)
        usable = self._check_quality(inputs, predictions.segments, messages)
        return PredictResult(
            request=replace(request, video_stream=inputs.request.video_stream),
            timing=inputs.timing,
            model=summarize_model(self.bundle, usable),
            class_names=self.bundle.class_names,
            segment_s=self.bundle.segment_s,
            segments=tuple(predictions.segments),
            channels=self.bundle.channels if len(predictions.eeg_attention) else (),
            eeg_attention=predictions.eeg_attention,
            notes=messages.all,
            out=outputs.out,
            device=predictions.device,
            faces=predictions.faces,
            sync=sync,
            sets=inputs.sets,
        )

    def _open(self, request: Request, outputs: Outputs, messages: Messages) -> _Inputs:
        """Open the files, locate the stimulus, and report what the user should know of both."""
        bundle = self.bundle
        modalities, used, notes = select_modalities(bundle, request)
        require_modalities(modalities, outputs)
        if used.video is not None:
            used = self._select_video_stream(used, used.video, messages)
        recording, block = self._open_eeg(used, modalities)
        messages.note(*notes, *training_differences(bundle, recording))
        timing = locate_stimulus(used, block, bundle.settings.eeg.segment_s, messages)
        messages.warn(*single_modality_warnings(bundle, modalities))
        source = prediction_source(used, block, timing)
        known = bundle.sources()
        messages.warn(*overlap_warnings(source, known or ()))
        onsets = segment_onsets(timing.duration_s, bundle.settings.eeg)
        reader = None
        if recording is not None:
            messages.warn(*average_reference(bundle.channels)[1])
            eeg, quality, last = bundle.settings.eeg, bundle.settings.quality, self._last_eeg
            scaling, sentence = eeg_scaling(bundle.settings.model, self._model)
            messages.note(*filter(None, [sentence]))
            reader = EegSegmentReader(recording, timing, onsets, eeg, quality, scaling, last)
        video = None
        if used.video is not None:
            video = VideoSpan(used.video, timing.video_onset_s, used.video_options)
        sets = None if known is None else sets_of(source, known)
        return _Inputs(used, modalities, timing, onsets, recording, reader, video, sets)

    def _select_video_stream(self, request: Request, video: Path, messages: Messages) -> Request:
        """Select the stream with a face; report this, and what else the user should know."""
        stated = VideoSpan(video, request.video_onset_s or 0.0, request.video_options)
        selected, notes = select_face_video(stated, self.bundle.settings.faces, self._device.type)
        messages.note(*notes)
        return replace(request, video_stream=selected.options.stream)

    def _open_eeg(
        self, request: Request, modalities: Modalities
    ) -> tuple[EegRecording | None, EegBlock | None]:
        """Open the EEG; of a model of faces, only to locate the stimulus."""
        if request.eeg is None:
            return None, None
        options = request.read_options(read_options(self.settings.data))
        if modalities == "face":
            return None, open_block(request.eeg, options=ReadOptions(array=options.array))
        recording = open_recording(request.eeg, self.bundle, request.eog, options)
        return recording, recording.block

    def _check_sync(self, inputs: _Inputs, progress: Progress) -> SyncCheck | None:
        if inputs.video is None or inputs.recording is None:  # excluded by require_modalities
            return None
        faces, device = self.bundle.settings.faces, self._device.type
        check = check_sync(inputs.video, inputs.recording, inputs.timing, faces, device, progress)
        progress.note(check.sentence, "info" if check.synchronous else "warning")
        return check

    def _check_quality(
        self, inputs: _Inputs, segments: Sequence[SegmentPrediction], messages: Messages
    ) -> Modalities:
        """Report what the preprocessing found; return the modalities that were usable."""
        if not segments:
            raise InputError(
                f"{inputs.request.eeg} contains less than one segment of "
                f"{self.bundle.segment_s:g} s after its onset.",
                "Give a longer recording.",
            )
        if inputs.eeg is not None:
            messages.note(*inputs.eeg.notes)
            messages.warn(*inputs.eeg.warnings)
        messages.warn(*undecodable_frames(segments), *no_faces(segments))
        usable, warnings = usable_modalities(self.bundle, inputs.modalities, segments)
        messages.warn(*warnings)
        return usable

    def _predict_segments(
        self, inputs: _Inputs, out: Path | None, progress: Progress
    ) -> _Predictions:
        bundle, onsets = self.bundle, inputs.onsets
        min_confidence = self.settings.predict.min_confidence
        predictions = _Predictions()
        with_faces = out is not None and inputs.video is not None
        shown = segments_with_faces(len(onsets)) if with_faces else frozenset()
        progress.start(TASK, total=len(onsets), unit="segments")
        with ExitStack() as stack:
            n_with_faces = 0 if inputs.video is None else len(onsets)
            engine = stack.enter_context(
                backbone_engine(self._model, self._device, n_with_faces, progress)
            )
            table = None
            if out is not None:
                table = stack.enter_context(TimelineWriter(out / TIMELINE, bundle.class_names))
            stop = threading.Event()
            chunks = prefetch(
                iter_chunks(
                    onsets, inputs.eeg, inputs.video, bundle.settings, self._device.type, stop
                ),
                stop,
            )
            stack.enter_context(closing(chunks))
            for output in stack.enter_context(closing(self._inference.run(chunks))):
                segment = predict_or_abstain(output, bundle.class_names, min_confidence)
                predictions.add(segment, output, len(predictions.segments) in shown)
                if table is not None:
                    table.write(segment)
                progress.advance(TASK)
            with_openvino = engine is not None and engine.used
            used = replace(self._device, inference="openvino" if with_openvino else "torch")
        predictions.device = used.describe()
        progress.done(TASK)
        progress.note(f"{len(onsets)} segments on {predictions.device}.", "detail")
        return predictions


@dataclass(frozen=True, eq=False)
class _Inputs:
    """Opened files of a request and the segments to predict.

    Attributes
    ----------
    request
        The request without a video that is not used.
    modalities
        What the model receives.
    timing, onsets
        Position of the stimulus; (n_segments,) start of each segment in it, in seconds.
    recording, eeg
        The EEG and the reader of its segments; None if the model receives no EEG.
    video
        None if the model receives no video.
    sets
        Sets of the model that contain the recording; None if it does not record its files.
    """

    request: Request
    modalities: Modalities
    timing: StimulusTiming
    onsets: np.ndarray
    recording: EegRecording | None
    eeg: EegSegmentReader | None
    video: VideoSpan | None
    sets: tuple[str, ...] | None


@dataclass
class _Predictions:
    """Segments so far; of their images and attention, only what the result contains."""

    segments: list[SegmentPrediction] = field(default_factory=list)
    eeg_attention: np.ndarray = field(default_factory=lambda: np.zeros(0))
    faces: dict[int, Sequence[SelectedFace]] = field(default_factory=dict)
    device: str = ""
    _averaged: int = 0

    def add(self, segment: SegmentPrediction, output: SegmentOutput, keep_faces: bool) -> None:
        if keep_faces:
            self.faces[len(self.segments)] = selected_faces(output)
        self.segments.append(segment)
        if output.eeg_attention is not None and not segment.abstained:
            self._average(output.eeg_attention)

    def _average(self, attention: np.ndarray) -> None:
        """Update the running mean."""
        self._averaged += 1
        if not len(self.eeg_attention):
            self.eeg_attention = np.zeros(len(attention))
        self.eeg_attention += (attention - self.eeg_attention) / self._averaged


def segments_with_faces(n_segments: int) -> frozenset[int]:
    """Choose the segments whose faces are kept: at most `MAX_FACE_SEGMENTS`, evenly spaced."""
    rows = np.linspace(0, n_segments - 1, min(n_segments, MAX_FACE_SEGMENTS)).round()
    return frozenset(int(row) for row in rows)


def selected_faces(output: SegmentOutput) -> list[SelectedFace]:
    """Return the faces that the model selected in a segment."""
    images = output.chunk.images(output.row)
    return [
        SelectedFace(image, float(output.instance_weights[index]))
        for index in output.selected
        if (image := images[index]) is not None
    ]
