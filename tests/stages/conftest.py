"""A small data set and its prepared store."""

from __future__ import annotations

from pathlib import Path

import pytest

from milmer_cli.datasets.deap.recordings import DeapRecordings
from milmer_cli.datasets.synthetic import SyntheticConfig, generate_dataset
from milmer_cli.settings import load_settings
from milmer_cli.stages.prepare import prepare

PREPARE_SMALL = ["eeg.segment_s=2", "faces.instances=2", "faces.image_size=64", "run.workers=1"]


@pytest.fixture(autouse=True)
def _loopback_only(loopback_only: None) -> None:
    """No stage downloads anything."""


@pytest.fixture(scope="session")
def deap(made_once) -> Path:
    """A DEAP-like data set: s01 and s29, three trials each; the last of s29 has no video."""
    spec = SyntheticConfig(
        participants=2, trials=3, stimulus_s=4.0, formats=("bdf", "dat", "mat"), expression_images=0
    )
    return made_once("prepare-data", lambda folder: generate_dataset(folder, spec, workers=1))


@pytest.fixture(scope="session")
def prepared(made_once, deap) -> Path:
    """Its store, prepared without interruption with `PREPARE_SMALL`."""
    settings = load_settings(overrides=PREPARE_SMALL)
    return made_once("prepare-store", lambda out: prepare(DeapRecordings(deap), out, settings))
