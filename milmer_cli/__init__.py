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
"""

__version__ = "0.1.0"
