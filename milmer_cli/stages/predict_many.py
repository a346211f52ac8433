"""Many recordings -> a folder with a prediction each, and one table of them all."""

from __future__ import annotations

import csv
import functools
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import torch

from milmer_cli.compute import Compute
from milmer_cli.errors import InputError, MilmerError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.recordings.channels import few
from milmer_cli.recordings.eeg import open_eeg
from milmer_cli.recordings.eeg_files import files_of
from milmer_cli.settings import Settings
from milmer_cli.stages.predict import Predictor
from milmer_cli.stages.predicting.folder import (
    DONE,
    SUMMARY,
    check_folder,
    check_folder_of_many,
    clear,
)
from milmer_cli.stages.predicting.outcome import PAGE, RESULT
from milmer_cli.stages.predicting.request import Request
from milmer_cli.stages.predicting.table import read_recordings
from milmer_cli.training.runfolder import Run, write_json, write_text

TASK = "predict"


@dataclass(frozen=True)
class ManyResult:
    """What became of many recordings.

    Attributes
    ----------
    out
        Folder with a folder for each, and `SUMMARY`.
    rows
        Name of the recording -> its row of `SUMMARY`.
    kept
        Recordings that were predicted before and have not changed.
    """

    out: Path
    rows: Mapping[str, Mapping[str, Any]]
    kept: tuple[str, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Recordings that could not be predicted; their rows say why."""
        return tuple(name for name, row in self.rows.items() if row["error"])

    @property
    def complete(self) -> bool:
        """Whether all could be predicted."""
        return not self.failed

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        rows = [{"name": name, **row} for name, row in self.rows.items()]
        return {
            "out": str(self.out),
            "kept": list(self.kept),
            "failed": list(self.failed),
            "recordings": rows,
        }

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        done = f"{len(self.rows) - len(self.failed)} predicted"
        if self.kept:
            done += f", {len(self.kept)} of them before"
        rows = [("recordings", done)]
        if self.failed:
            said = f"{few(self.failed)}; the same command tries them again and keeps the others"
            rows.append((f"{len(self.failed)} failed", said))
        return [*rows, ("table", str(self.out / SUMMARY))]


def predict_many(
    manifest: Path, run: Path, out: Path, settings: Settings, *, progress: Progress = SILENT
) -> ManyResult:
    """Predict all recordings of a table, side by side; what is there and unchanged is kept.

    Parameters
    ----------
    manifest
        See `milmer_cli.stages.predicting.table.read_recordings`.
    run
        The run folder of the model.
    out
        Gets a folder for each recording, and `SUMMARY`, written anew as each is finished.
    settings
        Sections ``predict`` and ``run``; ``run.workers`` recordings at a time.
    progress
        Advanced by recordings.

    Returns
    -------
    ManyResult
        With ``failed``: one recording that cannot be predicted stops no other.

    Raises
    ------
    InputError
        The table has mistakes, ``run`` is no run folder, or ``out`` holds something else.
    """
    check_folder_of_many(out)
    requests = read_recordings(manifest)
    trained = Run.open(run)
    compute = Compute.choose(settings.run)
    identities = {name: _identity(request, trained, settings) for name, request in requests.items()}
    rows: dict[str, dict[str, Any]] = {}
    for name, identity in identities.items():
        if (row := _finished(out / name, identity)) is not None:
            rows[name] = row
    kept = tuple(rows)
    for name in kept:
        progress.note(f"{name}: predicted before, kept.", "detail")
    todo = [name for name in requests if name not in rows]
    cores = joblib.cpu_count()
    workers = settings.run.workers or (cores if compute.device == "cpu" else 1)
    workers = max(1, min(workers, len(todo)))
    jobs = [
        joblib.delayed(_one)(
            trained.path, settings, requests[name], out / name, identities[name], cores // workers
        )
        for name in todo
    ]
    write_text(out / SUMMARY, _table(rows, trained.class_names))
    progress.start(TASK, total=len(todo), unit="recordings")
    for folder, row in joblib.Parallel(n_jobs=workers, return_as="generator_unordered")(jobs):
        rows[folder.name] = row
        rows = {name: rows[name] for name in requests if name in rows}
        write_text(out / SUMMARY, _table(rows, trained.class_names))
        progress.advance(TASK)
        if row["error"]:
            progress.note(f"{folder.name}: {row['error']}", "warning")
    progress.done(TASK)
    return ManyResult(out, rows, kept)


@functools.lru_cache(maxsize=1)
def _predictor(run: Path, settings: Settings) -> Predictor:
    """Load the model, once a process."""
    return Predictor(Run.open(run), settings)


def _one(
    run: Path,
    settings: Settings,
    request: Request,
    out: Path,
    identity: dict[str, Any],
    threads: int,
) -> tuple[Path, dict[str, Any]]:
    """Predict one recording, in a worker process."""
    torch.set_num_threads(max(1, threads))
    try:
        check_folder(out)
    except MilmerError as error:
        return out, _row(request, error=str(error))
    try:
        result = _predictor(run, settings).predict_request(request, out)
    except Exception as error:  # whatever a library trips over: the others go on
        clear(out)  # the table says that it failed, so no older answer may stay beside it
        known = isinstance(error, MilmerError)
        said = f"{request.title} cannot be predicted: {type(error).__name__}: {error}."
        return out, _row(request, error=str(error) if known else said)
    mean = None if result.mean is None else result.mean.tolist()
    row = _row(
        request,
        label=result.label,
        mean=mean,
        segments=len(result.segments),
        abstained=int(result.abstained.sum()),
        faces_found=result.faces_found,
        flags=sorted({flag for segment in result.segments for flag in segment.flags}),
    )
    write_json(out / DONE, {"identity": identity, "row": row})
    return out, row


def _row(
    request: Request,
    label: str = "",
    mean: list[float] | None = None,
    segments: int = 0,
    abstained: int = 0,
    faces_found: float = float("nan"),
    flags: list[str] | None = None,
    error: str = "",
) -> dict[str, Any]:
    return {
        "video": "" if request.video is None else str(request.video),
        "eeg": "" if request.eeg is None else str(request.eeg),
        "class": label,
        "mean": mean,
        "segments": segments,
        "abstained": abstained,
        "faces_found": None if faces_found != faces_found else faces_found,
        "flags": flags or [],
        "error": error,
    }


def _identity(request: Request, run: Run, settings: Settings) -> dict[str, Any]:
    """Collect what a prediction depends on: files, model, thresholds."""
    files = [] if request.video is None else [request.video]
    if request.eeg is not None:
        files += _eeg_files(request.eeg)
    return {
        "request": request.to_json(),
        "files": {str(file): [file.stat().st_size, file.stat().st_mtime_ns] for file in files},
        "run": [str(run.path.resolve()), run.environment.get("finished")],
        "predict": settings.predict.model_dump(mode="json"),
    }


def _eeg_files(path: Path) -> list[Path]:
    """Give all files that the EEG is read from, with the marks of BrainVision."""
    markers = path.with_suffix(".vmrk")
    try:
        files = [*files_of(path, open_eeg(path)), *([markers] if markers.is_file() else [])]
    except InputError:
        return [path]
    return [file for file in files if file.is_file()]


def _finished(folder: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """Give the row of a prediction that is there, whole, and would come out the same."""
    if not all((folder / name).is_file() for name in (DONE, RESULT, PAGE)):
        return None
    try:
        done = json.loads((folder / DONE).read_text(encoding="utf-8"))
        same = done["identity"] == json.loads(json.dumps(identity))
        row: dict[str, Any] = done["row"]
    except (ValueError, KeyError, TypeError):
        return None
    return row if same else None


def _table(rows: Mapping[str, Mapping[str, Any]], class_names: tuple[str, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"p_{name}" for name in class_names]
    after = ("segments", "abstained", "faces_found", "flags", "error", "video", "eeg")
    writer.writerow(["name", "class", *names, *after])
    for name, row in rows.items():
        mean = row["mean"] or [None] * len(names)
        told = {**row, "flags": " ".join(row["flags"])}
        if told["faces_found"] is not None:
            told["faces_found"] = f"{told['faces_found']:.4f}"
        shares = ["" if share is None else f"{share:.6f}" for share in mean]
        writer.writerow([name, row["class"], *shares, *(told[column] for column in after)])
    return text.getvalue()
