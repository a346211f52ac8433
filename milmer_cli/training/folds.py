"""One training on one part of a split: what `train` does once, and `evaluate` for every fold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch.utils.data import Dataset
from transformers import set_seed

from milmer_cli.compute import Compute
from milmer_cli.data.dataset import Bag, Bags, collate
from milmer_cli.data.labels import class_names
from milmer_cli.data.splits import Fold
from milmer_cli.model import MilmerModel, build_model
from milmer_cli.progress import SILENT, Level, Progress
from milmer_cli.settings import Settings
from milmer_cli.store import PreparedStore, Segments
from milmer_cli.training.history import History
from milmer_cli.training.material import check_classes
from milmer_cli.training.predictions import predict_probabilities
from milmer_cli.training.tokens import TokenBags, face_token_files, token_folder
from milmer_cli.training.trainer import fit


def new_model(
    store: PreparedStore, segments: Segments, settings: Settings, compute: Compute
) -> MilmerModel:
    """Build the model for the segments of a store; the same one for the same seed."""
    set_seed(settings.seed)
    everybody = [store.participant(str(name)) for name in np.unique(segments.participant)]
    first = max(everybody, key=lambda participant: len(participant.channels))
    model = build_model(
        settings.model,
        class_names(settings.data.target, segments.label),
        n_channels=len(first.channels),
        n_samples=first.n_samples,
        instances=first.instances,
    )
    compute.compile(model.backbone)
    return model


def bags_of(
    model: MilmerModel,
    store: PreparedStore,
    segments: Segments,
    labels: np.ndarray,
    indices: np.ndarray,
    settings: Settings,
    compute: Compute,
    progress: Progress = SILENT,
    out: Path | None = None,
) -> Dataset[Bag]:
    """Give some segments as a data set: with face tokens where the backbone is frozen.

    Parameters
    ----------
    model
        Whose backbone makes the tokens.
    store, segments, labels, indices
        As for `Bags`.
    settings
        ``model.freeze_backbone`` and ``model.modalities`` decide what is read.
    compute, progress
        For tokens that are not there yet.
    out
        Where to keep tokens when the store's folder may not be written.
    """
    modalities = settings.model.modalities
    if not settings.model.freeze_backbone or modalities == "eeg":
        return Bags(store, segments, labels, indices, modalities)
    names = [str(name) for name in np.unique(segments.participant)]
    folder = token_folder(store.folder, out)
    files = face_token_files(model, store, names, folder, compute, progress)
    return TokenBags(store, segments, labels, indices, modalities, files)


def train_fold(
    store: PreparedStore,
    segments: Segments,
    labels: np.ndarray,
    fold: Fold,
    settings: Settings,
    out: Path | None,
    compute: Compute,
    progress: Progress = SILENT,
    *,
    resume: bool = False,
    task: str = "train",
    level: Level = "detail",
) -> tuple[MilmerModel, History]:
    """Train a new model on the training part of a fold, its epoch chosen on the validation part.

    Parameters
    ----------
    store, segments, labels
        As for `Bags`.
    fold
        Its test part is not touched.
    settings
        ``seed``, ``data``, ``model``, ``train`` and ``run`` are used.
    out
        Folder for ``checkpoints/``; None keeps nothing on disk.
    compute, progress
        Where to run; whom to tell.
    resume
        Go on from the last checkpoint in ``out``.
    task, level
        What the task is called; how loud the line about each epoch is.

    Returns
    -------
    MilmerModel, History
        The model has the weights of the best epoch.

    Raises
    ------
    MilmerError
        As for `fit`; `InputError` when the training part has one class only.
    """
    names = class_names(settings.data.target, segments.label)
    check_classes(fold, labels, names, progress)
    if len(fold.train) < settings.train.batch_size:
        progress.note(
            f"The training part has {len(fold.train)} segments, fewer than a batch of "
            f"{settings.train.batch_size}: each epoch is a single step.",
            "warning",
        )
    model = new_model(store, segments, settings, compute)
    train_data, validation_data = (
        bags_of(model, store, segments, labels, rows, settings, compute, progress, out)
        for rows in (fold.train, fold.validation)
    )
    history = fit(
        model,
        train_data,
        validation_data,
        settings,
        out,
        compute,
        progress,
        resume,
        class_counts=np.bincount(labels[fold.train], minlength=len(names)),
        collate=collate,
        task=task,
        level=level,
    )
    return model, history


def probabilities_of(
    model: MilmerModel,
    store: PreparedStore,
    segments: Segments,
    labels: np.ndarray,
    indices: np.ndarray,
    settings: Settings,
    compute: Compute,
    progress: Progress = SILENT,
) -> np.ndarray:
    """Probabilities of some segments from a model of `train_fold`, (n, n_classes) float64."""
    return predict_probabilities(
        model,
        Bags(store, segments, labels, indices, settings.model.modalities),
        compute,
        settings.samples_at_once,
        progress,
        collate=collate,
    )
