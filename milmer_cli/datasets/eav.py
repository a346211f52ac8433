"""EAV: 42 participants, 200 trials of 20 s, five emotions, listening and speaking."""

from __future__ import annotations

from pathlib import Path

from milmer_cli.datasets.listing import DatasetListing
from milmer_cli.settings.schema import DataSettings


def list_eav(root: Path, settings: DataSettings) -> DatasetListing:
    """List the recordings of EAV."""
    raise NotImplementedError
