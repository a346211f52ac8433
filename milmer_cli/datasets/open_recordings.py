"""Open a data set: the folder of DEAP, a manifest, or the folder of another data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from milmer_cli.datasets.amigos.listing import list_amigos
from milmer_cli.datasets.base import Recordings
from milmer_cli.datasets.bids.listing import list_bids
from milmer_cli.datasets.deap.recordings import DeapRecordings
from milmer_cli.datasets.eav.listing import list_eav
from milmer_cli.datasets.listing import DatasetListing
from milmer_cli.datasets.mahnob.listing import list_mahnob
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.datasets.read_options import deap_channels, read_options
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import DataSettings

LISTED: Mapping[str, Callable[[Path, DataSettings], DatasetListing]] = {
    "eav": list_eav,
    "mahnob": list_mahnob,
    "amigos": list_amigos,
    "bids": list_bids,
}
"""Data sets whose reader lists the rows of a manifest: name in commands and flags -> reader."""


def open_recordings(path: Path, settings: DataSettings) -> Recordings:
    """Open a data set.

    Parameters
    ----------
    path
        A folder above DEAP's files, or the CSV file of a manifest.
    settings
        ``participants``; for DEAP also ``source``; what the user states about the EEG files.

    Raises
    ------
    InputError
        ``path`` does not exist, or see `DeapRecordings` and `ManifestRecordings`.
    """
    if path.is_dir():
        channels = deap_channels(settings)
        return DeapRecordings(path, settings.source, settings.participants, channels)
    if not path.exists():
        raise InputError(
            f"There is no data set {path}: expected the folder of DEAP or the file of a manifest.",
            "Check the path; `milmer prepare --manifest-template` prints a manifest.",
        )
    return ManifestRecordings(path, settings.participants, read_options(settings))


def list_dataset(name: str, root: Path, settings: DataSettings) -> DatasetListing:
    """List the recordings of a data set of `LISTED`.

    Parameters
    ----------
    name
        Name of the data set.
    root
        Its folder.
    settings
        What the user states about its files.

    Raises
    ------
    InputError
        The folder has no recordings of the data set.
    """
    return LISTED[name](root, settings)


def open_listing(listing: DatasetListing, settings: DataSettings) -> ManifestRecordings:
    """Open the recordings of a data set without writing its manifest.

    Raises
    ------
    InputError
        See `ManifestRecordings`.
    """
    path = listing.root / "recordings.csv"
    text = listing.manifest_text(listing.root)
    recordings = ManifestRecordings(path, settings.participants, read_options(settings), text)
    recordings.data_set = listing.name
    return recordings
