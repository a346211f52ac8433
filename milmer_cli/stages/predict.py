"""Predict the emotion of every segment of a recording, and write table, page and video."""

from __future__ import annotations

from pathlib import Path

from milmer_cli.bundle.contents import Bundle
from milmer_cli.bundle.resolve import open_bundle
from milmer_cli.folder_lock import FolderLock
from milmer_cli.prediction.output import require_prediction_folder
from milmer_cli.prediction.predictor import Predictor
from milmer_cli.prediction.request import Outputs, Request
from milmer_cli.prediction.result import TIMELINE, PredictResult
from milmer_cli.progress import SILENT, Progress
from milmer_cli.reports.annotated_video import require_video_target, write_annotated_video
from milmer_cli.reports.prediction import write_prediction
from milmer_cli.run_log import RunLog
from milmer_cli.settings import Settings, load_settings


def predict(
    request: Request,
    model: Path | str,
    outputs: Outputs,
    settings: Settings | None = None,
    *,
    progress: Progress = SILENT,
) -> PredictResult:
    """Predict one recording with a model.

    Parameters
    ----------
    request
        The files and the position of the stimulus.
    model
        See `load_model`.
    outputs
        What is written.
    settings
        Sections ``predict`` and ``run``; by default those of `load_settings`.
    progress
        Advanced by segments.

    Raises
    ------
    InputError
        There is no such model, or see `Predictor.predict`.
    """
    return load_model(model, settings, progress).predict_request(request, outputs, progress)


def load_model(
    model: Path | str, settings: Settings | None = None, progress: Progress = SILENT
) -> TrainedModel:
    """Load a model, for the prediction of any number of recordings.

    Parameters
    ----------
    model
        Run folder of `milmer train`, bundle of `milmer export` (folder or zip file),
        ``hf:USER/NAME[@REVISION]`` of the Hugging Face Hub, or ``demo``.
    settings
        Sections ``predict`` and ``run``; by default those of `load_settings`.
    progress
        Receives a note if the model is downloaded.

    Raises
    ------
    InputError
        There is no such model, it is damaged, or its run has not finished.
    """
    return TrainedModel(open_bundle(model, progress), settings or load_settings())


class TrainedModel:
    """A trained model, as returned by `load_model`.

    Parameters
    ----------
    bundle
        The model and its settings.
    settings
        Sections ``predict`` and ``run``.
    keep_eeg
        As for `Predictor`.
    """

    def __init__(self, bundle: Bundle, settings: Settings, keep_eeg: bool = False) -> None:
        self.bundle = bundle
        self.settings = settings
        self._predictor = Predictor(bundle, settings, keep_eeg)

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
        video_stream: int | None = None,
        video_fps: float | None = None,
        align_check: bool = False,
        video_out: Path | str | None = None,
        progress: Progress = SILENT,
    ) -> PredictResult:
        """Predict the emotion of every segment of a recording.

        Parameters
        ----------
        video, eeg
            Video of the face, and EEG file that MNE reads; None if absent.
        trial, eeg_event, video_onset_s, eeg_onset_s, duration_s, eog
            Position of the stimulus and EOG channels; see `Request`.
        video_stream, video_fps
            Number of the video stream, and frame rate of a video without time stamps; see
            `Request`.
        out, align_check, video_out
            What is written; see `Outputs`. By default nothing.
        progress
            Advanced by segments.

        Raises
        ------
        InputError
            The request is invalid, or a file cannot be read or does not fit the model.
        """
        request = Request(
            video=_path(video),
            eeg=_path(eeg),
            trial=trial,
            eeg_event=None if eeg_event is None else str(eeg_event),
            video_onset_s=video_onset_s,
            eeg_onset_s=eeg_onset_s,
            duration_s=duration_s,
            eog=eog,
            video_stream=video_stream,
            video_fps=video_fps,
        )
        outputs = Outputs(_path(out), align_check, _path(video_out))
        return self.predict_request(request, outputs, progress)

    def predict_request(
        self, request: Request, outputs: Outputs, progress: Progress = SILENT
    ) -> PredictResult:
        """Predict what a request asks for; see `predict`."""
        request.validate()
        if outputs.out is None:
            return self.predict_locked(request, outputs, progress)
        require_prediction_folder(outputs.out)
        with locked_prediction(outputs.out), RunLog(progress) as log:
            return predict_with_log(self, request, outputs, log)

    def predict_locked(
        self, request: Request, outputs: Outputs, progress: Progress = SILENT
    ) -> PredictResult:
        """Predict what a request asks for, into a folder whose lock is held; see `predict`."""
        request.validate()
        if outputs.video_out is not None:
            require_video_target(outputs.video_out, (request.video, request.eeg))
        result = self._predictor.predict(request, outputs, progress)
        if outputs.out is not None:
            write_prediction(outputs.out, result)
        if outputs.video_out is not None:
            write_annotated_video(outputs.video_out, result, progress)
        return result


def predict_with_log(
    model: TrainedModel, request: Request, outputs: Outputs, log: RunLog
) -> PredictResult:
    """Predict into a folder whose lock is held, and write its log.

    After an error the log is written if the prediction had begun to write its table; otherwise the
    folder stays as it was.
    """
    out = outputs.out
    if out is None:
        return model.predict_locked(request, outputs, log)
    earlier = _file_state(out / TIMELINE)
    try:
        return log.record(model.predict_locked(request, outputs, log))
    finally:
        if _file_state(out / TIMELINE) != earlier:
            log.open(out)


def _file_state(path: Path) -> tuple[int, int] | None:
    """Return what differs if another file has the path; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def locked_prediction(out: Path) -> FolderLock:
    """Return the lock of the folder of a prediction, or of the predictions of a manifest."""
    return FolderLock(out, f"The prediction in {out} is being written")


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)
