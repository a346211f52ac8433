"""The fine-tuning of a backbone: classifier, images, split and training settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from milmer_cli.data.splits import Fold
from milmer_cli.device import Device
from milmer_cli.faces.detector import FaceDetector
from milmer_cli.fer.crop import cropping_detector
from milmer_cli.fer.dataset import ImageDataset
from milmer_cli.fer.filtering import UsableImages, usable_images
from milmer_cli.fer.labeled_images import LabeledImages
from milmer_cli.fer.model import build_classifier
from milmer_cli.fer.splits import split_images
from milmer_cli.fer.transforms import ImageTransform
from milmer_cli.models.backbones import input_size
from milmer_cli.models.image_processor import ImageProcessor, load_image_processor
from milmer_cli.progress import Progress
from milmer_cli.settings import Settings
from milmer_cli.training.optimization import balanced_class_weights
from milmer_cli.training.training_args import TrainingLog, TrainingSpec


@dataclass(frozen=True, eq=False)
class FinetuneNetwork:
    """What is trained, before any image is decoded.

    Attributes
    ----------
    model
        The backbone with a new head.
    processor, size
        Normalization, and height and width of the images.
    detector
        Crops the faces; None to use whole images.
    """

    model: PreTrainedModel
    processor: ImageProcessor
    size: tuple[int, int]
    detector: FaceDetector | None


@dataclass(frozen=True, eq=False)
class FinetuneTask:
    """A fine-tuning.

    Attributes
    ----------
    usable
        Images that can be used, and excluded ones.
    labels
        (n_images,) class indices.
    fold
        Rows of the training, validation and test set.
    datasets
        The images by set.
    spec
        Training settings.
    """

    usable: UsableImages
    labels: np.ndarray
    fold: Fold
    datasets: Mapping[str, ImageDataset]
    spec: TrainingSpec


def build_network(
    class_names: tuple[str, ...], settings: Settings, device: Device, progress: Progress
) -> FinetuneNetwork:
    """Build the classifier, and load the face detector.

    Parameters
    ----------
    class_names
        In the order of the logits.
    settings
        ``finetune``, ``model.backbone``, ``faces`` and ``seed``.
    device
        Device of the face detector, and whether the model is compiled.
    progress
        Receives notes.

    Raises
    ------
    InputError
        The backbone or the weights of the face detector cannot be used.
    """
    backbone, finetune = settings.model.backbone, settings.finetune
    model = build_classifier(backbone, class_names, finetune, settings.seed)
    processor = load_image_processor(backbone)
    if processor.note:
        progress.note(processor.note, "info")
    size = input_size(backbone, model.config, finetune.image_size)
    device.compile(model.base_model)
    return FinetuneNetwork(model, processor, size, cropping_detector(settings, device, progress))


def build_task(
    network: FinetuneNetwork,
    data_sets: Sequence[LabeledImages],
    class_names: tuple[str, ...],
    settings: Settings,
    device: Device,
    out: Path | None,
    progress: Progress,
) -> FinetuneTask:
    """Decode, crop and split the images.

    Parameters
    ----------
    network
        From `build_network`.
    data_sets, class_names
        The images and their classes.
    settings
        ``finetune``, ``faces``, ``seed`` and ``run``.
    device
        Device and precision.
    out
        Folder for checkpoints, or None to write nothing.
    progress
        Receives the progress and notes.

    Raises
    ------
    InputError
        No image can be used, or a class has too few images.
    """
    finetune = settings.finetune
    usable = usable_images(data_sets, network.detector, settings, progress)
    labels = np.array([class_names.index(image.class_name) for image in usable.images])
    fold = split_images(usable.images, labels, finetune.validation_fraction, settings.seed)
    counts = ", ".join(f"{len(rows)} {name}" for name, rows in fold.sets())
    backbone = settings.model.backbone
    progress.note(f"Fine-tuning {backbone} on {device.describe()}: {counts} images.", "info")
    class_weights = None
    if finetune.class_weights:
        class_counts = np.bincount(labels[fold.train], minlength=len(class_names))
        class_weights = balanced_class_weights(torch.from_numpy(class_counts))
    processor = network.processor
    spec = TrainingSpec(
        learning=finetune,
        run=settings.run,
        seed=settings.seed,
        device=device,
        out=out,
        metric_for_best_model="macro_f1",
        class_weights=class_weights,
        transform=ImageTransform(finetune.augment, processor.mean, processor.std),
        log=TrainingLog(progress, "fine-tune"),
    )
    datasets = {
        name: ImageDataset([usable.images[row] for row in rows], labels[rows], network.size)
        for name, rows in fold.sets()
    }
    return FinetuneTask(usable, labels, fold, datasets, spec)
