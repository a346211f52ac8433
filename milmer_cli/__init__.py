"""Milmer: emotion models for EEG recordings and face videos.

In data-flow order; a package imports only packages above it:

- `errors`: exceptions with a message and a hint, and the parts of messages
- `progress`: the interface through which long work reports its progress
- `process_end`: SIGTERM, and processes that end together with their parent
- `stage_result`: the interface of the results of commands and stages
- `csv_cells`: CSV text without formulas
- `input_files`: open regular files only
- `partial_files`: temporary files of atomic writes
- `images`: open images of listed formats and limited size
- `io`: atomic writes
- `json_files`: JSON documents
- `digests`: digests of values and files
- `run_log`: log.txt of an output folder
- `arrays`: archives of arrays that may be damaged
- `formats`: JSON documents, the versions of their formats and their schemas
- `references`: the works to cite
- `integrity`: checksums that detect damaged files
- `folder_lock`: one process at a time in an output folder
- `parallel`: calls in several processes
- `settings`: schema, presets, YAML and fingerprints of all settings
- `device`: device, precision and compilation
- `metrics`: scores, resampling, significance, calibration
- `eeg`: read, clean and segment EEG
- `video`: decode videos with their timestamps
- `faces`: detect, track and crop faces
- `weights`: list, download and verify the weights of face detectors and backbones
- `datasets`: data sets as trials with units: DEAP, manifests, synthetic data
- `preprocessing`: a trial -> EEG and face images of its segments
- `store`: the prepared HDF5 store
- `models`: `MilmerModel`: a bag of faces and a segment of EEG -> class scores
- `auto_classes`: let transformers' ``AutoConfig`` and ``AutoModel`` find `models`
- `data`: ratings -> classes, splits and bags
- `inference`: batches -> probabilities
- `bundle`: a trained model with everything that a prediction needs
- `training`: the training loop, checkpoints and run folders
- `fer`: facial expression data sets and the fine-tuned face backbone
- `preparation`: plan and jobs of `milmer prepare`
- `inspection`: what `milmer inspect` shows of a store
- `evaluation`: folds, baselines, experiments and their results
- `audit`: leaks and shortcuts in the predictions of models trained anywhere
- `prediction`: onsets, reliability and results for new recordings
- `reports`: pages, figures and annotated videos
- `stages`: one function per command, which sequences calls
- `cli`: the command line
- `site`: the built documentation, made by ``docs/build.py``

To predict recordings from Python::

    from milmer_cli import load_model

    result = load_model("runs/first").predict("face.mp4", "eeg.bdf")

`MilmerModel` and `MilmerConfig` can be imported from here, and after ``import milmer_cli``
transformers' ``AutoModel`` and ``AutoConfig`` load the model folder of a run. See docs/python.md.

Importing `milmer_cli` imports nothing slow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from milmer_cli.auto_classes import register_on_lookup

if TYPE_CHECKING:
    from pathlib import Path

    from milmer_cli.models import MilmerConfig, MilmerModel
    from milmer_cli.stages.predict import TrainedModel

__all__ = ["MilmerConfig", "MilmerModel", "__version__", "load_model"]

__version__ = "0.1.0"

register_on_lookup()


def __getattr__(name: str) -> Any:
    if name not in ("MilmerConfig", "MilmerModel"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from milmer_cli import models  # here: PyTorch and transformers are slow to import

    return getattr(models, name)


def load_model(model: str | Path) -> TrainedModel:
    """Load a trained model; `milmer_cli.stages.predict.load_model` also takes settings.

    The import of `milmer_cli` stays fast: PyTorch and MNE are imported here.

    Parameters
    ----------
    model
        Run folder of ``milmer train``, bundle of ``milmer export`` (folder or zip file),
        ``hf:USER/NAME[@REVISION]`` of the Hugging Face Hub, or ``demo``.
    """
    from milmer_cli.stages.predict import load_model as load

    return load(model)
