"""Write a copy of EAV, MAHNOB-HCI, AMIGOS or BIDS, in parallel over its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from milmer_cli.datasets.synthetic.generate import (
    write_in_parallel,
    write_once,
)
from milmer_cli.datasets.synthetic.listed.amigos_writer import amigos_files, plan_amigos
from milmer_cli.datasets.synthetic.listed.bids_writer import bids_files, plan_bids
from milmer_cli.datasets.synthetic.listed.eav_writer import eav_files, plan_eav
from milmer_cli.datasets.synthetic.listed.mahnob_writer import mahnob_files, plan_mahnob
from milmer_cli.datasets.synthetic.listed.truth import (
    ListedConfig,
    ListedTruth,
    read_listed_truth,
    write_listed_truth,
)
from milmer_cli.progress import SILENT, Progress

FileWriters = Callable[[Path, ListedTruth], Iterator[Callable[[], None]]]
PLANS: Mapping[str, tuple[Callable[[ListedConfig], ListedTruth], FileWriters]] = {
    "eav": (plan_eav, eav_files),
    "mahnob": (plan_mahnob, mahnob_files),
    "amigos": (plan_amigos, amigos_files),
    "bids": (plan_bids, bids_files),
}
"""Data set -> its ground truth, and the functions that write its files."""


def plan_listed(config: ListedConfig) -> ListedTruth:
    """Return the ground truth of a data set without writing a file."""
    return PLANS[config.data_set][0](config)


def generate_listed(
    folder: Path, config: ListedConfig, progress: Progress = SILENT, workers: int = 0
) -> ListedTruth:
    """Write a small data set with known truth, in the format of EAV, MAHNOB-HCI, AMIGOS or BIDS.

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
    ListedTruth
        The content of truth.json, which is written last.

    Raises
    ------
    InputError
        ``folder`` contains anything else or is not writable.
    """
    truth = plan_listed(config)
    writers = PLANS[config.data_set][1]
    write_once(
        folder,
        lambda path: read_listed_truth(path).config == config,
        lambda path: write_listed_truth(path, truth),
        lambda: write_in_parallel(list(writers(folder, truth)), progress, workers),
    )
    return truth
