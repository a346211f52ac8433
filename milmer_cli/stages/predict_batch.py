"""Predict all recordings of a manifest, in parallel, and write one table of the results."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import joblib
import torch

from milmer_cli.bundle.contents import SYNTHETIC, Bundle
from milmer_cli.bundle.resolve import open_bundle
from milmer_cli.datasets.read_options import read_options
from milmer_cli.device import Device
from milmer_cli.errors import InputError, MilmerError
from milmer_cli.io import atomic_write
from milmer_cli.parallel import run_parallel
from milmer_cli.partial_files import require_no_link
from milmer_cli.prediction.batch import (
    BatchResult,
    SummaryRow,
    compare_with_ratings,
    finished_row,
    mark_finished,
    prediction_identity,
    summary_table,
)
from milmer_cli.prediction.event_requests import event_requests
from milmer_cli.prediction.manifest import read_rated_classes, read_requests
from milmer_cli.prediction.output import (
    SUMMARY,
    remove_prediction,
    require_batch_folder,
    require_prediction_folder,
)
from milmer_cli.prediction.reliability import summarize_model
from milmer_cli.prediction.request import Outputs, Request
from milmer_cli.prediction.result import PAGE
from milmer_cli.progress import SILENT, Progress
from milmer_cli.reports.prediction_batch import batch_page
from milmer_cli.run_log import RunLog, command_line
from milmer_cli.settings import Settings, load_settings
from milmer_cli.stages.predict import TrainedModel, locked_prediction, predict_with_log

TASK = "predict"


def predict_batch(
    manifest: Path | str,
    model: Path | str,
    out: Path | str,
    settings: Settings | None = None,
    *,
    progress: Progress = SILENT,
) -> BatchResult:
    """Predict all recordings of a manifest; finished and unchanged predictions are kept.

    Parameters
    ----------
    manifest
        See `milmer_cli.prediction.manifest.read_requests`.
    model
        See `milmer_cli.stages.predict.load_model`.
    out
        Gets one folder per recording, the summary table, rewritten after each recording, and a
        page of all recordings.
    settings
        Sections ``predict`` and ``run``, by default those of `load_settings`; ``run.workers``
        recordings are predicted in parallel.
    progress
        Advanced by recordings.

    Returns
    -------
    BatchResult
        A recording that cannot be predicted is listed in ``failed`` and does not stop the others.

    Raises
    ------
    InputError
        The manifest is invalid, there is no such model, or ``out`` contains something else.
    """
    manifest, out = Path(manifest), Path(out)
    settings = settings or load_settings()
    require_batch_folder(out)
    with locked_prediction(out), RunLog(progress) as log:
        return log.record(_predict_batch(manifest, model, out, settings, log))


def _predict_batch(
    manifest: Path, model: Path | str, out: Path, settings: Settings, progress: RunLog
) -> BatchResult:
    """Predict into a locked folder; see `predict_batch`."""
    requests, notes = read_requests(manifest)
    for note in notes:
        progress.note(note)
    opened = open_bundle(model, progress)
    rated = read_rated_classes(manifest, opened.settings.data)
    return _predict_requests(requests, rated, opened, out, settings, progress)


def predict_events(
    request: Request,
    model: Path | str,
    out: Path,
    settings: Settings,
    *,
    progress: Progress = SILENT,
) -> BatchResult:
    """Predict each occurrence of an event of a recording.

    Parameters
    ----------
    request
        See `milmer_cli.prediction.event_requests`.
    model, out, settings, progress
        As for `predict_batch`.

    Raises
    ------
    InputError
        The request is invalid, there is no such model, or ``out`` contains something else.
    """
    request.validate()
    require_batch_folder(out)
    with locked_prediction(out), RunLog(progress) as log:
        opened = open_bundle(model, log)
        options = replace(read_options(settings.data), eeg_channels=opened.channels)
        requests = event_requests(request, options)
        return log.record(_predict_requests(requests, {}, opened, out, settings, log))


def _predict_requests(
    requests: Mapping[str, Request],
    rated: Mapping[str, str],
    opened: Bundle,
    out: Path,
    settings: Settings,
    progress: RunLog,
) -> BatchResult:
    """Predict recordings into a locked folder, each into the folder of its name.

    ``rated`` are the classes of the ratings, for the recordings that have one.
    """
    model = summarize_model(opened, opened.settings.model.modalities)
    if opened.synthetic:
        progress.note(SYNTHETIC, "warning")
    identities = {
        name: prediction_identity(request, opened, settings) for name, request in requests.items()
    }
    finished = {name: finished_row(out / name, identity) for name, identity in identities.items()}
    rows = {name: row for name, row in finished.items() if row is not None}
    kept = tuple(rows)
    for name in kept:
        progress.note(f"{name}: predicted in an earlier run, kept.", "detail")
    workers, threads = _parallelism(settings, len(requests) - len(kept))
    jobs = [
        joblib.delayed(_predict_recording)(
            (opened, settings, threads, command_line()), request, out / name, identities[name]
        )
        for name, request in requests.items()
        if name not in rows
    ]
    atomic_write(out / SUMMARY, summary_table(rows, opened.class_names, rated))
    progress.open(out)
    progress.start(TASK, total=len(jobs), unit="recordings")
    for folder, row in run_parallel(jobs, workers):
        rows[folder.name] = row
        rows = {name: rows[name] for name in requests if name in rows}
        atomic_write(out / SUMMARY, summary_table(rows, opened.class_names, rated))
        progress.advance(TASK)
        if row.error:
            progress.note(f"{folder.name}: {row.error}", "warning")
    progress.done(TASK)
    comparison = compare_with_ratings(rows, rated)
    result = BatchResult(out, rows, kept, opened.class_names, model, comparison)
    atomic_write(out / PAGE, batch_page(result, rated))
    return result


def _parallelism(settings: Settings, n_recordings: int) -> tuple[int, int]:
    """Return the number of workers, and of threads per worker."""
    cores = joblib.cpu_count()
    on_cpu = Device.from_settings(settings.run).type == "cpu"
    workers = settings.run.workers or (cores if on_cpu else 1)
    workers = max(1, min(workers, n_recordings))
    return workers, max(1, cores // workers)


@functools.lru_cache(maxsize=1)
def _load_model(path: Path, name: str, digest: str, settings: Settings) -> TrainedModel:
    """Load the model once per worker process; ``digest`` is that of its bundle."""
    bundle = Bundle.open(path, name)
    if bundle.digest != digest:
        raise InputError(
            f"The model {name} was replaced during the prediction.", "Run the same command again."
        )
    return TrainedModel(bundle, settings, keep_eeg=True)


def _predict_recording(
    model: tuple[Bundle, Settings, int, str], request: Request, out: Path, identity: str
) -> tuple[Path, SummaryRow]:
    """Predict one recording in a worker process; an error becomes a row."""
    torch.set_num_threads(model[2])
    try:
        require_no_link(out)
        require_prediction_folder(out)
        with locked_prediction(out):
            return out, _predict_locked(model, request, out, identity)
    except MilmerError as error:
        return out, SummaryRow.from_error(request, str(error))


def _predict_locked(
    model: tuple[Bundle, Settings, int, str], request: Request, out: Path, identity: str
) -> SummaryRow:
    """Predict one recording into a folder whose lock is held."""
    bundle, settings, _, command = model
    try:
        loaded = _load_model(bundle.path, bundle.name, bundle.digest, settings)
        with RunLog(SILENT, command) as log:
            result = predict_with_log(loaded, request, Outputs(out), log)
    except Exception as error:  # a library may raise anything for a damaged file
        remove_prediction(out)  # an earlier prediction must not remain beside an error
        message = str(error)
        if not isinstance(error, MilmerError):
            message = f"{request.title} cannot be predicted: {type(error).__name__}: {error}."
        return SummaryRow.from_error(request, message)
    row = SummaryRow.from_result(result)
    mark_finished(out, identity, row)
    return row
