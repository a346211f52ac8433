"""AMIGOS: 40 participants, 16 short and 4 long clips, 14 EEG channels."""

from __future__ import annotations

from pathlib import Path

from milmer_cli.datasets.listing import DatasetListing
from milmer_cli.settings.schema import DataSettings


def list_amigos(root: Path, settings: DataSettings) -> DatasetListing:
    """List the recordings of AMIGOS."""
    raise NotImplementedError
