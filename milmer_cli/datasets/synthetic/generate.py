"""Write all files of a data set, in parallel over participants, videos and image classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from milmer_cli.datasets.synthetic.bdf_writer import write_bdf
from milmer_cli.datasets.synthetic.config import (
    ParticipantTruth,
    SyntheticConfig,
    SyntheticTruth,
    read_truth,
    write_truth,
)
from milmer_cli.datasets.synthetic.eeg_signals import simulate_signals
from milmer_cli.datasets.synthetic.effects import EXPRESSION_CLASSES
from milmer_cli.datasets.synthetic.expression_images import write_expression_images
from milmer_cli.datasets.synthetic.face_video import write_video
from milmer_cli.datasets.synthetic.preprocessed_writer import (
    preprocess_signals,
    write_dat,
    write_mat,
)
from milmer_cli.datasets.synthetic.ratings_writer import write_ratings
from milmer_cli.datasets.synthetic.schedule import draw_truth
from milmer_cli.datasets.synthetic_mark import TRUTH_NAME
from milmer_cli.errors import InputError
from milmer_cli.partial_files import require_no_link
from milmer_cli.progress import SILENT, Progress

UNFINISHED_NAME = "truth-unfinished.json"
FOLDERS = {
    "bdf": "data_original",
    "dat": "data_preprocessed_python",
    "mat": "data_preprocessed_matlab",
}
TASK = "demo data"


def generate_dataset(
    folder: Path, config: SyntheticConfig, progress: Progress = SILENT, workers: int = 0
) -> SyntheticTruth:
    """Write a small data set with known truth, in the folder structure of DEAP.

    Below ``folder``: ``data_original/s01.bdf``, ``data_preprocessed_python/s01.dat``,
    ``data_preprocessed_matlab/s01.mat``, ``face_video/s01/s01_trial01.avi``,
    ``metadata_csv/participant_ratings.csv``, ``expressions/train/CLASS/*.jpg`` and ``truth.json``,
    which is written last. Unlike in DEAP, participants of site B have videos too.

    Parameters
    ----------
    folder
        A new or an empty folder. A finished data set of the same config is kept; an unfinished one
        is written again.
    config
        The same config always gives the same files.
    progress
    workers
        Number of processes; 0 for one per core.

    Returns
    -------
    SyntheticTruth
        The content of truth.json.

    Raises
    ------
    InputError
        ``folder`` contains anything else or is not writable.
    """
    truth = draw_truth(config)
    write_once(
        folder,
        lambda path: read_truth(path).spec == config,
        lambda path: write_truth(path, truth),
        lambda: _write_files(folder, truth, progress, workers),
    )
    return truth


def write_once(
    folder: Path,
    is_own: Callable[[Path], bool],
    write: Callable[[Path], None],
    write_files: Callable[[], None],
) -> None:
    """Write a data set unless it is finished; its ground truth gets its name last.

    Parameters
    ----------
    folder
        Folder of the data set.
    is_own
        Whether a ground-truth file is of the same config.
    write
        Writes the ground truth.
    write_files
        Writes all other files.

    Raises
    ------
    InputError
        ``folder`` contains anything else, also a link, or is not writable.
    """
    with _explained_errors(folder):
        if _find_truth(folder, is_own) == TRUTH_NAME:
            return
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.rglob("*"):
            require_no_link(path)
        write(folder / UNFINISHED_NAME)
        write_files()
        (folder / UNFINISHED_NAME).replace(folder / TRUTH_NAME)


@contextmanager
def _explained_errors(folder: Path) -> Iterator[None]:
    """Raise an InputError if ``folder`` cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"The demo data set cannot be written to {folder}: {error}.",
            "Choose a writable folder on a disk with free space.",
        ) from error


def _find_truth(folder: Path, is_own: Callable[[Path], bool]) -> str | None:
    """Find the ground truth of an earlier run, which proves that the folder is that of the demo.

    Real data sets have the same file names. Therefore nothing is overwritten without this proof.

    Parameters
    ----------
    folder
        Folder of the data set.
    is_own
        Whether a ground-truth file is of the same config.

    Returns
    -------
    str or None
        `TRUTH_NAME` if the data set is finished, `UNFINISHED_NAME` if not, None for a new folder.

    Raises
    ------
    InputError
        ``folder`` contains anything else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    for name in (TRUTH_NAME, UNFINISHED_NAME):
        if (folder / name).exists() and is_own(folder / name):
            return name
    raise InputError(
        f"{folder} already contains files that do not belong to this demo data set.",
        "Choose a new or an empty folder.",
    )


def _write_files(folder: Path, truth: SyntheticTruth, progress: Progress, workers: int) -> None:
    ratings = folder / "metadata_csv" / "participant_ratings.csv"
    ratings.parent.mkdir(exist_ok=True)
    write_ratings(ratings, truth)
    write_in_parallel(list(_file_writers(folder, truth)), progress, workers)
    progress.note(
        f"Wrote {len(truth.participants)} participants with {truth.spec.trials} trials each.",
        "detail",
    )


def write_in_parallel(
    writers: Sequence[Callable[[], None]], progress: Progress, workers: int
) -> None:
    """Call functions that write files, in ``workers`` processes; 0 for one per core."""
    progress.start(TASK, total=len(writers), unit="files")
    parallel = Parallel(n_jobs=workers or -1, return_as="generator_unordered")
    for _ in parallel(delayed(_run_on_one_thread)(writer) for writer in writers):
        progress.advance(TASK)
    progress.done(TASK)


def _file_writers(folder: Path, truth: SyntheticTruth) -> Iterator[Callable[[], None]]:
    """Yield one function for each piece of work that can run in parallel."""
    config = truth.spec
    for participant in truth.participants:
        if config.formats:
            yield partial(_write_eeg_files, folder, config, participant)
        for trial in participant.trials:
            if trial.video is not None:
                path = folder / trial.video
                path.parent.mkdir(parents=True, exist_ok=True)
                yield partial(write_video, path, config, participant, trial)
    if config.expression_images:
        for class_name in EXPRESSION_CLASSES:
            class_folder = folder / "expressions" / "train" / class_name
            yield partial(write_expression_images, class_folder, config, class_name)


def _run_on_one_thread(write: Callable[[], None]) -> None:
    """Write files with one thread of BLAS and of OpenCV.

    The processes already occupy all cores. Moreover, the last bits of a BLAS matrix product depend
    on the number of threads, so only a fixed number gives the same files in every process.
    """
    opencv_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            write()
    finally:
        cv2.setNumThreads(opencv_threads)


def _write_eeg_files(folder: Path, config: SyntheticConfig, participant: ParticipantTruth) -> None:
    signals = simulate_signals(config, participant)
    paths = {
        file_format: folder / FOLDERS[file_format] / f"{participant.name}.{file_format}"
        for file_format in config.formats
    }
    for path in paths.values():
        path.parent.mkdir(exist_ok=True)
    if "bdf" in paths:
        write_bdf(paths["bdf"], config, participant, signals)
    if {"dat", "mat"} & set(paths):
        data, labels = preprocess_signals(config, participant, signals)
        if "dat" in paths:
            write_dat(paths["dat"], data, labels)
        if "mat" in paths:
            write_mat(paths["mat"], data, labels)
