"""MAHNOB-HCI, emotion experiment: 27 participants, sessions with BDF and colour video."""

from __future__ import annotations

from pathlib import Path

from milmer_cli.datasets.listing import DatasetListing
from milmer_cli.settings.schema import DataSettings


def list_mahnob(root: Path, settings: DataSettings) -> DatasetListing:
    """List the recordings of MAHNOB-HCI."""
    raise NotImplementedError
