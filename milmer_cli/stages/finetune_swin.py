"""Images of facial expressions -> a fine-tuned backbone for the faces of Milmer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from milmer_cli.device import Device
from milmer_cli.fer.crop import cropping_detector
from milmer_cli.fer.dataset import ImageDataset
from milmer_cli.fer.filtering import usable_images
from milmer_cli.fer.labeled_images import LabeledImages, merge_classes, number_warning
from milmer_cli.fer.metrics import compute_metrics, scored_set
from milmer_cli.fer.model import build_classifier
from milmer_cli.fer.readers.layouts import read_images
from milmer_cli.fer.result import METRICS_KEYS, FinetuneResult
from milmer_cli.fer.splits import describe_separation, split_images
from milmer_cli.fer.transforms import ImageTransform
from milmer_cli.inference.predict_proba import predict_proba
from milmer_cli.models.backbones import input_size
from milmer_cli.models.face_crop import write_face_crop
from milmer_cli.models.image_processor import load_image_processor, write_image_processor
from milmer_cli.progress import SILENT, Progress
from milmer_cli.reports.finetune_output import FILES, write_finetune_output
from milmer_cli.run_log import RunLog
from milmer_cli.settings import Settings
from milmer_cli.training import run_dir
from milmer_cli.training.begin_run import begin_run, require_kept
from milmer_cli.training.distributed import join_processes
from milmer_cli.training.optimization import balanced_class_weights
from milmer_cli.training.train_model import train_model
from milmer_cli.training.training_args import TrainingLog, TrainingSpec


def finetune_swin(
    data: Path | str | Sequence[Path | str],
    out: Path,
    settings: Settings,
    progress: Progress = SILENT,
    *,
    restart: bool = False,
) -> FinetuneResult:
    """Fine-tune a face backbone on images of facial expressions.

    Parameters
    ----------
    data
        One or more data sets (see `fer.readers.layouts.read_images`). Several are merged by the
        names of their classes.
    out
        The model folder. If it already contains the model of this run, its result is returned; an
        unfinished run is resumed.
    settings
        ``finetune``, ``model.backbone``, ``faces`` (with ``finetune.crop``), ``seed``, ``run``.
    progress
    restart
        Remove a run in ``out``, and start again.

    Raises
    ------
    InputError
        A data set cannot be used, or ``out`` contains other files.
    MilmerError
        Training failed.
    """
    device = Device.from_settings(settings.run)
    device.configure_torch()
    process = join_processes(device.type)
    if not process.is_main_process:
        progress = SILENT
    with run_dir.locked_run(out), RunLog(progress) as log:
        return _finetune_swin(data, out, settings, log, restart, device)


def _finetune_swin(
    data: Path | str | Sequence[Path | str],
    out: Path,
    settings: Settings,
    progress: RunLog,
    restart: bool,
    device: Device,
) -> FinetuneResult:
    """Fine-tune in a locked model folder; see `finetune_swin`."""
    process = join_processes(device.type)
    sources = [data] if isinstance(data, str | Path) else data
    data_sets = [read_images(source) for source in sources]
    class_names = merge_classes(data_sets)
    for data_set in data_sets:
        progress.note(data_set.describe(class_names), "info")
        if warning := number_warning(data_set):
            progress.note(warning, "warning")
    identity = _identity(settings, data_sets)
    if restart:
        require_kept(settings.model.backbone, out)
    if begin_run(out, identity, FILES, restart, progress):
        return FinetuneResult(out, *run_dir.read_result(out, METRICS_KEYS))
    if process.is_main_process:
        progress.open(out)

    finetune = settings.finetune
    backbone = settings.model.backbone
    model = build_classifier(backbone, class_names, finetune, settings.seed)
    processor = load_image_processor(backbone)
    if processor.note:
        progress.note(processor.note, "info")
    size = input_size(backbone, model.config, finetune.image_size)
    detector = cropping_detector(settings, device, progress)
    usable = usable_images(data_sets, detector, settings, progress)
    images = usable.images
    labels = np.array([class_names.index(image.class_name) for image in images])
    fold = split_images(images, labels, finetune.validation_fraction, settings.seed)
    counts = ", ".join(f"{len(rows)} {name}" for name, rows in fold.sets())
    progress.note(f"Fine-tuning {backbone} on {device.describe()}: {counts} images.", "info")
    device.compile(model.base_model)
    datasets = {
        name: ImageDataset([images[row] for row in rows], labels[rows], size)
        for name, rows in fold.sets()
    }
    transform = ImageTransform(finetune.augment, processor.mean, processor.std)
    class_weights = None
    if finetune.class_weights:
        class_counts = np.bincount(labels[fold.train], minlength=len(class_names))
        class_weights = balanced_class_weights(torch.from_numpy(class_counts))
    spec = TrainingSpec(
        learning=finetune,
        run=settings.run,
        seed=settings.seed,
        device=device,
        out=out,
        metric_for_best_model="macro_f1",
        class_weights=class_weights,
        transform=transform,
        log=TrainingLog(progress, "fine-tune"),
    )
    history = train_model(model, datasets["training"], datasets["validation"], spec, resume=True)
    scored_on = scored_set(fold)
    probabilities = predict_proba(
        model,
        datasets[scored_on],
        device,
        finetune.batch_size,
        progress,
        transform=transform,
        task="score",
    )
    separation = describe_separation(images, scored_on)
    metrics = {
        **compute_metrics(labels, fold, probabilities, class_names, separation),
        "skipped": len(usable.skipped),
        "training": history.summary("validation_macro_f1"),
    }
    result = FinetuneResult(out, metrics, device.describe())
    if process.is_main_process:
        run_dir.save_model(model, out)
        write_image_processor(out, processor, size)
        write_face_crop(out, usable.is_cropped, settings.faces, detector.name if detector else "")
        write_finetune_output(result, settings, data_sets, history, usable)
        run_dir.finish_run(out, identity, settings.seed, device, class_names, **progress.facts())
    process.wait_for_everyone()
    return result


def _identity(settings: Settings, data_sets: Sequence[LabeledImages]) -> dict[str, Any]:
    values = settings.model_dump(mode="json")
    return {
        "seed": settings.seed,
        "backbone": settings.model.backbone,
        "finetune": values["finetune"],
        "faces": values["faces"] if settings.finetune.crop != "false" else None,
        "data": [images.identity() for images in data_sets],
    }
