"""A face video and an EEG recording -> emotion over time, and a page.

The files go through the very preparation that the model was trained on: the segments of a trial are
those that `prepare` would store, and so are the probabilities.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from milmer_cli.compute import Compute
from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.recordings.eeg import segment_onsets
from milmer_cli.recordings.trial import VideoSpan
from milmer_cli.report.html import write_page
from milmer_cli.settings import Settings, load_settings
from milmer_cli.stages.predicting.blinks import ClockCheck, check_clocks
from milmer_cli.stages.predicting.film import check_target, film
from milmer_cli.stages.predicting.folder import TimelineFile, check_folder, clear
from milmer_cli.stages.predicting.inference import Inference
from milmer_cli.stages.predicting.outcome import (
    PAGE,
    RESULT,
    TIMELINE,
    PredictResult,
    Segment,
    judge,
    lost_pictures,
)
from milmer_cli.stages.predicting.page import chosen_faces, page, shown_rows
from milmer_cli.stages.predicting.request import Request
from milmer_cli.stages.predicting.signals import (
    Recording,
    SignalReader,
    open_block,
    open_recording,
)
from milmer_cli.stages.predicting.stream import read_ahead, stretches
from milmer_cli.stages.predicting.timing import Timing, find_timing
from milmer_cli.stages.predicting.trust import differences, doubts, trust
from milmer_cli.training.runfolder import Run, write_json

__all__ = ["PredictResult", "Predictor", "Segment", "load_model", "predict"]

TASK = "predict"


def load_model(run: Path | str, settings: Settings | None = None) -> Predictor:
    """Load a trained model, ready to predict any number of recordings.

    Parameters
    ----------
    run
        A run folder of `milmer train`.
    settings
        Sections ``predict`` and ``run``; by default those of `load_settings`.

    Raises
    ------
    InputError
        It is no run folder, or the run has not finished.
    """
    return Predictor(Run.open(run), settings or load_settings())


def predict(
    video: Path | None,
    eeg: Path | None,
    run: Path,
    out: Path,
    settings: Settings,
    *,
    trial: int | None = None,
    eeg_event: str | None = None,
    video_onset_s: float | None = None,
    eeg_onset_s: float | None = None,
    duration_s: float | None = None,
    eog: str = "",
    align_check: bool = False,
    video_out: Path | None = None,
    progress: Progress = SILENT,
) -> PredictResult:
    """Predict the emotion of every segment of one recording; see `Predictor.predict`."""
    return load_model(run, settings).predict(
        video,
        eeg,
        out=out,
        trial=trial,
        eeg_event=eeg_event,
        video_onset_s=video_onset_s,
        eeg_onset_s=eeg_onset_s,
        duration_s=duration_s,
        eog=eog,
        align_check=align_check,
        video_out=video_out,
        progress=progress,
    )


class Predictor:
    """A trained model, ready to predict.

    Parameters
    ----------
    run
        The run it comes from; how recordings are prepared is the run's.
    settings
        Sections ``predict`` and ``run``.
    """

    def __init__(self, run: Run, settings: Settings) -> None:
        self.run = run
        self.settings = settings
        compute = Compute.choose(settings.run)
        compute.activate()
        self._inference = Inference(
            run.load_model(), compute, run.face_size, settings.predict.batch_size
        )
        self._device = compute.describe()

    def predict(
        self,
        video: Path | str | None = None,
        eeg: Path | str | None = None,
        *,
        out: Path | str | None = None,
        trial: int | None = None,
        eeg_event: str | int | None = None,
        video_onset_s: float | None = None,
        eeg_onset_s: float | None = None,
        duration_s: float | None = None,
        eog: str = "",
        align_check: bool = False,
        video_out: Path | str | None = None,
        progress: Progress = SILENT,
    ) -> PredictResult:
        """Predict the emotion of every segment of a recording.

        Memory does not grow with the length of the recording.

        Parameters
        ----------
        video, eeg
            A video of the face, and an EEG file that mne reads; None for one that is absent.
        out
            Folder for timeline.csv (a row as soon as it is known), timeline.json and report.html;
            None writes nothing.
        trial
            DEAP: which trial the video shows; its stimulus is found by the status codes of the BDF.
        eeg_event
            The stimulus starts at this code of the trigger channel, or annotation; ``trial`` then
            says at which of several.
        video_onset_s, eeg_onset_s
            Start of the stimulus in each file, in seconds. Where neither is given nor marked, and
            both files say when they were begun, these times are used.
        duration_s
            How much to predict; by default what both files show.
        eog
            EEG channels that show the eyes, as in ``EXG1-EXG2;EXG3-EXG4``.
        align_check
            Compare blinks in the video with the EEG, and draw it: ``align-check.png``.
        video_out
            Write the video with the face box, the class and a running plot, and its sound.
        progress
            Advanced by segments.

        Raises
        ------
        InputError
            A file cannot be read or does not fit the model, or nothing is left to predict.
        """
        request = Request(
            video=None if video is None else Path(video),
            eeg=None if eeg is None else Path(eeg),
            trial=trial,
            eeg_event=None if eeg_event is None else str(eeg_event),
            video_onset_s=video_onset_s,
            eeg_onset_s=eeg_onset_s,
            duration_s=duration_s,
            eog=eog,
        )
        return self.predict_request(
            request,
            None if out is None else Path(out),
            align_check,
            None if video_out is None else Path(video_out),
            progress,
        )

    def predict_request(
        self,
        request: Request,
        out: Path | None,
        align_check: bool = False,
        video_out: Path | None = None,
        progress: Progress = SILENT,
    ) -> PredictResult:
        """Predict what a `Request` asks for; see `predict`."""
        run = self.run
        request.check()
        if out is not None:
            check_folder(out)
        if video_out is not None:
            check_target(video_out, (request.video, request.eeg))
        asked, request, notes = request, *self._seen(request)
        recording, block = None, None
        if request.eeg is not None and self._knows != "face":
            recording = open_recording(request.eeg, run, self.settings.predict, request.eog)
            block = recording.block
        elif request.eeg is not None:
            block = open_block(request.eeg)
        timing = find_timing(request, block)
        onsets = self._onsets(request, timing)
        seen = "both" if request.video and recording else "eeg" if recording else "face"
        notes += [*differences(run, recording, request), *timing.notes]
        for note in notes:
            progress.note(note)
        warnings = list(doubts(run, seen))
        for note in warnings:
            progress.note(note, "warning")
        if out is not None:
            clear(out)
        span = None if request.video is None else VideoSpan(request.video, timing.video_onset_s)
        clocks = self._clocks(span, recording, timing, out, progress) if align_check else None
        reader = None
        if recording is not None:
            limits = self.settings.predict
            reader = SignalReader(
                recording, timing.eeg_onset_s, onsets, run.settings.eeg, limits, timing.marked
            )
        segments, attention, faces = self._answers(onsets, reader, span, out, progress)
        if not segments:
            raise InputError(
                f"{request.title} hold less than a segment of {run.segment_s:g} s.",
                "Check --eeg-onset and --video-onset.",
            )
        late = [*(reader.warnings if reader else ()), *lost_pictures(segments)]
        for note in late:
            progress.note(note, "warning")
        result = PredictResult(
            out=out,
            class_names=run.class_names,
            segment_s=run.segment_s,
            segments=tuple(segments),
            channels=run.channels if len(attention) else (),
            attention=attention,
            trust=trust(run, seen),
            notes=(*late, *warnings, *notes, *(reader.notes if reader else ())),
            request={"title": asked.title, "run": str(run.path), **asked.to_json()},
        )
        if out is not None:
            self._write(out, result, faces, clocks, timing)
        if video_out is not None and span is not None:
            film(video_out, span, result, timing.duration_s, progress)
        return result

    @property
    def _knows(self) -> str:
        """``both``, ``eeg`` or ``face``: what the model was trained on."""
        return self.run.settings.model.modalities if self.run.channels else "face"

    def _seen(self, request: Request) -> tuple[Request, list[str]]:
        """Leave out a modality that the model does not take."""
        if self._knows == "eeg":
            if request.eeg is None:
                raise InputError(
                    f"The model of {self.run.path} sees EEG only, and there is none.",
                    "Give an EEG recording, or another --model.",
                )
            if request.video is not None:
                note = "The model sees EEG only: the video is not read."
                return replace(request, video=None), [note]
        if self._knows == "face":
            if request.video is None:
                raise InputError(
                    f"The model of {self.run.path} sees faces only, and there is no video.",
                    "Give a video, or another --model.",
                )
            if request.eeg is not None:
                note = "The model sees faces only: of the EEG only the times are read."
                return request, [note]
        return request, []

    def _onsets(self, request: Request, timing: Timing) -> np.ndarray:
        cut = self.run.settings.eeg
        onsets = segment_onsets(timing.duration_s, cut.segment_s, cut.overlap_s)
        if not len(onsets):
            raise InputError(
                f"{request.title} hold {timing.duration_s:.1f} s of the stimulus, less than a "
                f"segment of {cut.segment_s:g} s.",
                "Check --eeg-onset and --video-onset.",
            )
        return onsets

    def _clocks(
        self,
        span: VideoSpan | None,
        recording: Recording | None,
        timing: Timing,
        out: Path | None,
        progress: Progress,
    ) -> ClockCheck:
        if span is None or recording is None:
            raise InputError("--align-check compares a video with EEG, and one of them is absent.")
        check = check_clocks(
            span,
            recording,
            timing.eeg_onset_s,
            timing.duration_s,
            self.run.settings.faces,
            progress,
        )
        progress.note(check.sentence, "info" if check.agrees else "warning")
        if out is not None:
            check.save(out)
        return check

    def _answers(
        self,
        onsets: np.ndarray,
        reader: SignalReader | None,
        span: VideoSpan | None,
        out: Path | None,
        progress: Progress,
    ) -> tuple[list[Segment], np.ndarray, dict[int, list]]:
        """Judge segment after segment; of their images only those for the page are kept."""
        run, limits = self.run, self.settings.predict
        segments: list[Segment] = []
        attention, judged = np.zeros(0), 0
        faces: dict[int, list] = {}
        shown = shown_rows(len(onsets)) if out is not None and span is not None else frozenset()
        progress.note(f"{len(onsets)} segments on {self._device}.", "detail")
        progress.start(TASK, total=len(onsets), unit="segments")
        with ExitStack() as stack:
            table = None
            if out is not None:
                table = stack.enter_context(TimelineFile(out / TIMELINE, run.class_names))
            source = read_ahead(stretches(onsets, reader, span, run.settings))
            stack.enter_context(closing(source))
            for answer in stack.enter_context(closing(self._inference.answers(source))):
                segment = judge(answer, run.class_names, limits)
                if answer.attention is not None and not segment.abstained:
                    judged += 1
                    attention = attention if len(attention) else np.zeros(len(answer.attention))
                    attention += (answer.attention - attention) / judged
                if len(segments) in shown:
                    faces[len(segments)] = chosen_faces(answer)
                segments.append(segment)
                if table is not None:
                    table.add(segment)
                progress.advance(TASK)
        progress.done(TASK)
        return segments, attention, faces

    def _write(
        self,
        out: Path,
        result: PredictResult,
        faces: dict[int, list],
        clocks: ClockCheck | None,
        timing: Timing,
    ) -> None:
        facts = [
            *((name, str(value)) for name, value in result.request.items() if name != "title"),
            ("start of the stimulus in the video", f"{timing.video_onset_s:g} s"),
            ("start of the stimulus in the EEG", f"{timing.eeg_onset_s:g} s"),
            ("device", self._device),
        ]
        write_page(out / PAGE, page(result, self.run, faces, facts, clocks))
        write_json(out / RESULT, result.to_json())
