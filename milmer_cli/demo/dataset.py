"""Make the files of a data set, participant by participant and video by video, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
from joblib import Parallel, delayed

from milmer_cli.demo.bdf import write_bdf
from milmer_cli.demo.eeg import make_signals
from milmer_cli.demo.expressions import write_expressions
from milmer_cli.demo.patterns import EXPRESSION_CLASSES
from milmer_cli.demo.plan import plan
from milmer_cli.demo.preprocessed import preprocess, write_dat, write_mat
from milmer_cli.demo.ratings import write_ratings
from milmer_cli.demo.spec import (
    TRUTH_NAME,
    DemoSpec,
    DemoTruth,
    ParticipantTruth,
    TrialTruth,
    read_truth,
    write_truth,
)
from milmer_cli.demo.video import film
from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress

UNFINISHED_NAME = "truth-unfinished.json"
FOLDERS = {
    "bdf": "data_original",
    "dat": "data_preprocessed_python",
    "mat": "data_preprocessed_matlab",
}
TASK = "demo data"


def make_demo_data(
    folder: Path, spec: DemoSpec, progress: Progress = SILENT, workers: int = 0
) -> DemoTruth:
    """Make a small data set with known truth, its files laid out like DEAP's when unzipped.

    Below ``folder``: ``data_original/s01.bdf``, ``data_preprocessed_python/s01.dat``,
    ``data_preprocessed_matlab/s01.mat``, ``face_video/s01/s01_trial01.avi``,
    ``metadata_csv/participant_ratings.csv``, ``expressions/train/CLASS/*.jpg`` and ``truth.json``,
    which is written last. Unlike in DEAP, participants of site B have videos too.

    Parameters
    ----------
    folder
        A new or an empty folder. A finished set of the same spec is left as it is; an unfinished
        one of the same spec is made again.
    spec
        What to make. Same spec, same files.
    workers
        Processes side by side; 0 for one a core.

    Raises
    ------
    InputError
        When ``folder`` holds anything else or cannot be written to.
    """
    truth = plan(spec)
    try:
        if _is_finished(folder, spec):
            return truth
        folder.mkdir(parents=True, exist_ok=True)
        write_truth(folder / UNFINISHED_NAME, truth)
        _make(folder, truth, progress, workers)
        (folder / UNFINISHED_NAME).replace(folder / TRUTH_NAME)
    except OSError as error:
        raise InputError(
            f"The demo data set cannot be written to {folder}: {error}.",
            "Name a folder that can be written to, on a disk with free space.",
        ) from error
    return truth


def _is_finished(folder: Path, spec: DemoSpec) -> bool:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    for name in (TRUTH_NAME, UNFINISHED_NAME):
        if (folder / name).exists() and read_truth(folder / name).spec == spec:
            return name == TRUTH_NAME
    # A real DEAP has the same file names: nothing is ever written over that is not known to be
    # ours.
    raise InputError(
        f"{folder} already holds something else than this demo data set.",
        "Name a new or an empty folder.",
    )


def _make(folder: Path, truth: DemoTruth, progress: Progress, workers: int) -> None:
    spec = truth.spec
    ratings = folder / "metadata_csv" / "participant_ratings.csv"
    ratings.parent.mkdir(exist_ok=True)
    write_ratings(ratings, truth)
    jobs = list(_jobs(folder, truth))
    progress.start(TASK, total=len(jobs), unit="files")
    parallel = Parallel(n_jobs=workers or -1, return_as="generator_unordered")
    for _ in parallel(delayed(job)(*arguments) for job, *arguments in jobs):
        progress.advance(TASK)
    progress.done(TASK)
    progress.note(
        f"Made {len(truth.participants)} participants with {spec.trials} trials each.", "detail"
    )


def _jobs(
    folder: Path, truth: DemoTruth
) -> Iterator[tuple[Callable[..., None], *tuple[object, ...]]]:
    for participant in truth.participants:
        if truth.spec.formats:
            yield _record, folder, truth.spec, participant
        for trial in participant.trials:
            if trial.video is not None:
                yield _film, folder / trial.video, truth.spec, participant, trial
    if truth.spec.expression_images:
        for name in EXPRESSION_CLASSES:
            yield write_expressions, folder / "expressions" / "train" / name, truth.spec, name


def _record(folder: Path, spec: DemoSpec, participant: ParticipantTruth) -> None:
    signals = make_signals(spec, participant)
    paths = {kind: folder / FOLDERS[kind] / f"{participant.name}.{kind}" for kind in spec.formats}
    for path in paths.values():
        path.parent.mkdir(exist_ok=True)
    if "bdf" in paths:
        write_bdf(paths["bdf"], spec, participant, signals)
    if {"dat", "mat"} & set(paths):
        data, labels = preprocess(spec, participant, signals)
        if "dat" in paths:
            write_dat(paths["dat"], data, labels)
        if "mat" in paths:
            write_mat(paths["mat"], data, labels)


def _film(path: Path, spec: DemoSpec, participant: ParticipantTruth, trial: TrialTruth) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # one process a core already
    try:
        film(path, spec, participant, trial)
    finally:
        cv2.setNumThreads(threads)
