"""Open a data set by its path: the folder of DEAP, or a manifest."""

from __future__ import annotations

from pathlib import Path

from milmer_cli.datasets.base import Recordings
from milmer_cli.datasets.deap.recordings import DeapRecordings
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.datasets.read_options import deap_channels, read_options
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import DataSettings


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
