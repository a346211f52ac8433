"""A face video and an EEG recording -> emotion over time, and a page.

The files go through the very preparation that the model was trained on: the segments of a trial are
those that `prepare` would store, and so are the probabilities.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from milmer_cli.compute import Compute
from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.recordings.eeg import segment_onsets
from milmer_cli.recordings.trial import EegBlock, VideoSpan
from milmer_cli.report.html import write_page
from milmer_cli.settings import Settings, load_settings
from milmer_cli.stages.predicting.blinks import ClockCheck, check_clocks
from milmer_cli.stages.predicting.film import check_target, film
from milmer_cli.stages.predicting.folder import TimelineFile, check_folder
from milmer_cli.stages.predicting.inference import Inference
from milmer_cli.stages.predicting.modalities import FACE, refuse_useless, shown_to
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
from milmer_cli.stages.predicting.remarks import Remarks
from milmer_cli.stages.predicting.request import Request
from milmer_cli.stages.predicting.signals import (
    Recording,
    SignalReader,
    open_block,
    open_recording,
)
from milmer_cli.stages.predicting.stream import read_ahead, stretches
from milmer_cli.stages.predicting.timing import Timing, find_timing
from milmer_cli.stages.predicting.trust import differences, doubts, rested_on, trust
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
        run, cut = self.run, self.run.settings.eeg
        request.check()
        if out is not None:
            check_folder(out)
        if video_out is not None:
            check_target(video_out, (request.video, request.eeg))
        seen, shown, notes = shown_to(run, request)
        refuse_useless(seen, align_check, video_out is not None)
        recording, block = self._open_eeg(shown, seen)
        timing = find_timing(shown, block, cut.segment_s)

        said = Remarks(progress)
        said.note(*notes, *differences(run, recording, shown), *timing.notes)
        said.warn(*timing.warnings, *doubts(run, seen))
        span = None if shown.video is None else VideoSpan(shown.video, timing.video_onset_s)
        clocks = None
        if align_check and span is not None and recording is not None:
            clocks = self._clocks(span, recording, timing, progress)
        onsets = segment_onsets(timing.duration_s, cut.segment_s, cut.overlap_s)
        reader = self._reader(recording, timing, onsets)
        segments, attention, faces = self._answers(onsets, reader, span, out, progress)
        if not segments:
            raise InputError(
                f"{shown.eeg} holds less than a segment of {run.segment_s:g} s from its onset.",
                "Give a longer recording.",
            )
        if reader is not None:
            said.note(*reader.notes)
            said.warn(*reader.warnings)
        said.warn(*lost_pictures(segments))
        rested, useless = rested_on(run, seen, segments)
        said.warn(*useless)
        result = PredictResult(
            out=out,
            class_names=run.class_names,
            segment_s=run.segment_s,
            segments=tuple(segments),
            channels=run.channels if len(attention) else (),
            attention=attention,
            trust=trust(run, rested),
            timing=timing.to_json(),
            notes=said.all,
            request={"title": request.title, "run": str(run.path), **request.to_json()},
        )
        if out is not None:
            self._write(out, result, faces, clocks, timing)
        if video_out is not None and span is not None:
            film(video_out, span, result, timing.duration_s, progress)
        return result

    def _open_eeg(self, request: Request, seen: str) -> tuple[Recording | None, EegBlock | None]:
        """Open the EEG for the model; only for its times where the model sees faces alone."""
        if request.eeg is None:
            return None, None
        if seen == FACE:
            return None, open_block(request.eeg)
        recording = open_recording(request.eeg, self.run, self.settings.predict, request.eog)
        return recording, recording.block

    def _reader(
        self, recording: Recording | None, timing: Timing, onsets: np.ndarray
    ) -> SignalReader | None:
        if recording is None:
            return None
        cut, limits = self.run.settings.eeg, self.settings.predict
        return SignalReader(recording, timing.eeg_onset_s, onsets, cut, limits, timing.marked)

    def _clocks(
        self,
        span: VideoSpan,
        recording: Recording,
        timing: Timing,
        progress: Progress,
    ) -> ClockCheck:
        check = check_clocks(
            span,
            recording,
            timing.eeg_onset_s,
            timing.duration_s,
            self.run.settings.faces,
            progress,
        )
        progress.note(check.sentence, "info" if check.agrees else "warning")
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
            *timing.facts(),
            ("device", self._device),
        ]
        if clocks is not None:
            clocks.save(out)
        write_page(out / PAGE, page(result, self.run, faces, facts, clocks))
        write_json(out / RESULT, result.to_json())
