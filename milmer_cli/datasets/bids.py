"""EEG-BIDS data sets, with video of the participant (draft BEP047)."""

from __future__ import annotations

from pathlib import Path

from milmer_cli.datasets.listing import DatasetListing
from milmer_cli.settings.schema import DataSettings


def list_bids(root: Path, settings: DataSettings) -> DatasetListing:
    """List the recordings of BIDS."""
    raise NotImplementedError
