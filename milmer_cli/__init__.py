"""Milmer: from EEG recordings and face videos to an emotion model people can trust.

In the order the data flows:

- `milmer_cli.recordings`  raw files -> trials with units
- `milmer_cli.store`       the prepared HDF5 store
- `milmer_cli.data`        ratings -> classes, splits, bags
- `milmer_cli.model`       bags -> class scores
- `milmer_cli.training`    transformers' Trainer around the models
- `milmer_cli.metrics`, `milmer_cli.report`   scores, intervals, pages
- `milmer_cli.stages`      the use cases: prepare, finetune_swin, train, evaluate, predict
- `milmer_cli.cli`         the same on the command line

`load_model` gives a trained model that predicts; importing `milmer_cli` loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from milmer_cli.stages.predict import Predictor

__version__ = "0.1.0"


def load_model(run: str | Path) -> Predictor:
    """Load a trained model: ``load_model("runs/first").predict("face.mp4", "eeg.bdf")``.

    See `milmer_cli.stages.predict.load_model`, which also takes settings.
    """
    from milmer_cli.stages.predict import load_model as load  # here: it brings torch and mne

    return load(run)
