"""Training on one fold: `train` does it once, `evaluate` for every fold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import set_seed

from milmer_cli.data.augmentation import BagAugmentation
from milmer_cli.data.dataset import Bag, BagDataset
from milmer_cli.data.feature_cache import TokenBagDataset, token_folder
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.split_checks import check_training_classes
from milmer_cli.data.splits import Fold
from milmer_cli.device import Device
from milmer_cli.inference.face_token_cache import cache_face_tokens
from milmer_cli.inference.predict_proba import predict_proba
from milmer_cli.models import MilmerModel, build_model
from milmer_cli.models.face_crop import describe_other_crop
from milmer_cli.models.image_processor import load_image_processor
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import Settings
from milmer_cli.store import PreparedStore
from milmer_cli.training.eeg_alignment import save_alignment
from milmer_cli.training.eeg_amplitude import standardize_amplitude
from milmer_cli.training.history import History
from milmer_cli.training.optimization import balanced_class_weights
from milmer_cli.training.train_model import train_model
from milmer_cli.training.training_args import TrainingLog, TrainingSpec


def new_model(labeled: LabeledSegments, settings: Settings, device: Device) -> MilmerModel:
    """Build an untrained model for the segments of a store; equal seeds give equal weights."""
    set_seed(settings.seed)
    names = [str(name) for name in np.unique(labeled.segments.participant)]
    participants = [labeled.store.participant(name) for name in names]
    # a participant without EEG has no channels
    largest = max(participants, key=lambda participant: len(participant.channels))
    model = build_model(
        settings.model,
        labeled.class_names,
        n_channels=len(largest.channels),
        n_samples=largest.n_samples,
        num_instances=largest.instances,
        sfreq_hz=largest.sfreq,
        band_hz=settings.eeg.band_hz,
    )
    device.compile(model.backbone)
    return model


def note_face_input(settings: Settings, store: PreparedStore, progress: Progress) -> None:
    """Report how the faces differ from the images with which the backbone was trained.

    A note says if their normalization is assumed, because the backbone does not define it; a
    warning, if they are cropped in another way than the images of ``milmer finetune-swin``.

    Parameters
    ----------
    settings
        Resolved: ``faces`` is that of the store.
    store
        Its participants name the face detector.
    progress
        Receives the messages.
    """
    backbone = settings.model.backbone
    if settings.model.modalities == "eeg":
        return
    if note := load_image_processor(backbone).note:
        progress.note(note, "info")
    detectors = {store.participant(name).detector for name in store.participants}
    for detector in sorted(detectors - {""}):
        if warning := describe_other_crop(backbone, settings.faces, detector):
            progress.note(warning, "warning")


def open_bags(
    model: MilmerModel,
    labeled: LabeledSegments,
    indices: np.ndarray,
    settings: Settings,
    device: Device,
    out: Path | None = None,
    progress: Progress = SILENT,
) -> Dataset[Bag]:
    """Open segments as a data set, with cached face tokens if the backbone is frozen.

    Parameters
    ----------
    model
        Its backbone computes the tokens that are not cached yet.
    labeled, indices
        As for `BagDataset`.
    settings
        ``model.freeze_backbone`` and ``model.modalities`` are used.
    device
        Device that computes the tokens.
    out
        Folder of the cache if the folder of the store is not writable.
    progress
        Receives the progress of the computation.
    """
    modalities = settings.model.modalities
    if not settings.model.freeze_backbone or modalities == "eeg":
        return BagDataset(labeled, indices, modalities)
    names = [str(name) for name in np.unique(labeled.segments.participant)]
    folder = token_folder(labeled.store.folder, out)
    files = cache_face_tokens(model, labeled.store, names, folder, device, progress)
    return TokenBagDataset(labeled, indices, modalities, files)


def fit_fold(
    labeled: LabeledSegments,
    fold: Fold,
    settings: Settings,
    device: Device,
    out: Path | None = None,
    log: TrainingLog = TrainingLog(),  # noqa: B008 (frozen)
) -> tuple[MilmerModel, History]:
    """Train a new model on the training set of a fold; the validation set selects the epoch.

    Parameters
    ----------
    labeled
        The segments.
    fold
        Rows of ``labeled``; the test set is not read.
    settings
        ``seed``, ``data``, ``model``, ``train`` and ``run`` are used.
    device
        Device and precision.
    out
        Folder for ``checkpoints/``, or None to write nothing. If it contains a checkpoint, the
        training continues from it.
    log
        Progress display and messages.

    Returns
    -------
    MilmerModel, History
        The model has the weights of the best epoch.

    Raises
    ------
    MilmerError
        As for `train_model`; `InputError` if the training set contains one class only.
    """
    check_training_set(labeled, fold, settings, log.progress)
    model = new_model(labeled, settings, device)
    standardize_amplitude(model, labeled, fold.train)
    save_alignment(model, labeled)
    train_data, validation_data = (
        open_bags(model, labeled, rows, settings, device, out, log.progress)
        for rows in (fold.train, fold.validation)
    )
    spec = training_spec(labeled, fold, settings, device, out, log)
    resume = True  # without a checkpoint in `out`, the training starts from the beginning
    return model, train_model(model, train_data, validation_data, spec, resume)


def check_training_set(
    labeled: LabeledSegments, fold: Fold, settings: Settings, progress: Progress
) -> None:
    """Check the classes of a training set, and warn if it is smaller than a batch.

    Raises
    ------
    InputError
        The training set contains one class only.
    """
    check_training_classes(fold, labeled, progress)
    if len(fold.train) < settings.train.batch_size:
        progress.note(
            f"The training set has {len(fold.train)} segments, fewer than train.batch_size="
            f"{settings.train.batch_size}: each epoch is a single step.",
            "warning",
        )


def training_spec(
    labeled: LabeledSegments,
    fold: Fold,
    settings: Settings,
    device: Device,
    out: Path | None = None,
    log: TrainingLog = TrainingLog(),  # noqa: B008 (frozen)
) -> TrainingSpec:
    """Return the definition of the training on a fold; the parameters are those of `fit_fold`."""
    class_weights = None
    if settings.train.class_weights:
        counts = np.bincount(labeled.labels[fold.train], minlength=len(labeled.class_names))
        class_weights = balanced_class_weights(torch.from_numpy(counts))
    return TrainingSpec(
        learning=settings.train,
        run=settings.run,
        seed=settings.seed,
        device=device,
        out=out,
        class_weights=class_weights,
        transform=BagAugmentation(settings.train.augment),
        log=log,
    )


def predict_segments(
    model: MilmerModel,
    labeled: LabeledSegments,
    indices: np.ndarray,
    settings: Settings,
    device: Device,
    progress: Progress = SILENT,
) -> np.ndarray:
    """Probabilities of segments, (n, n_classes) float64, from a model of `fit_fold`."""
    return predict_proba(
        model,
        BagDataset(labeled, indices, settings.model.modalities),
        device,
        settings.inference_batch_size,
        progress,
        task="score",
    )
