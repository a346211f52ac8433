"""Images of facial expressions -> a fine-tuned backbone for the faces of Milmer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from milmer_cli.device import Device
from milmer_cli.fer.dry_run import FinetuneDryRunResult, finetune_dry_run
from milmer_cli.fer.labeled_images import LabeledImages, merge_classes, number_warning
from milmer_cli.fer.metrics import compute_metrics, scored_set
from milmer_cli.fer.readers.layouts import read_images
from milmer_cli.fer.result import METRICS_KEYS, FinetuneResult
from milmer_cli.fer.splits import describe_separation
from milmer_cli.fer.task import build_network, build_task
from milmer_cli.inference.predict_proba import predict_proba
from milmer_cli.integrity import folder_checksums
from milmer_cli.models.backbones import DIGESTS, MODEL_FILES
from milmer_cli.models.face_crop import write_face_crop
from milmer_cli.models.image_processor import write_image_processor
from milmer_cli.progress import SILENT, Progress
from milmer_cli.reports.finetune_output import FILES, write_finetune_output
from milmer_cli.run_log import RunLog
from milmer_cli.settings import Settings, load_settings
from milmer_cli.training import run_dir
from milmer_cli.training.begin_run import DESCRIPTIONS, begin_run, check_run, require_kept
from milmer_cli.training.distributed import join_processes
from milmer_cli.training.train_model import train_model


def finetune_swin(
    data: Path | str | Sequence[Path | str],
    out: Path | str,
    settings: Settings | None = None,
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
        ``finetune``, ``model.backbone``, ``faces`` (with ``finetune.crop``), ``seed``, ``run``; by
        default those of `load_settings`.
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
    out, settings = Path(out), settings or load_settings()
    device = Device.from_settings(settings.run).with_torch()
    device.configure_torch()
    process = join_processes(device.type)
    if not process.is_main_process:
        progress = SILENT
    with run_dir.locked_run(out), RunLog(progress) as log:
        return log.record(_finetune_swin(data, out, settings, log, restart, device))


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
    data_sets, class_names = _read(data, progress)
    identity = _identity(settings, data_sets)
    if restart:  # nothing is removed for a training that cannot start
        require_kept(settings.model.backbone, out)
        build_network(class_names, settings, device, SILENT)
    if begin_run(out, identity, FILES, restart, progress):
        return FinetuneResult(
            out, *run_dir.read_result(out, FinetuneResult.format_name, METRICS_KEYS)
        )
    if process.is_main_process:
        progress.open(out)
    network = build_network(class_names, settings, device, progress)
    task = build_task(network, data_sets, class_names, settings, device, out, progress)
    model, datasets, usable = network.model, task.datasets, task.usable
    history = train_model(
        model, datasets["training"], datasets["validation"], task.spec, resume=True
    )
    scored_on = scored_set(task.fold)
    probabilities = predict_proba(
        model,
        datasets[scored_on],
        device,
        settings.finetune.batch_size,
        progress,
        transform=task.spec.transform,
        task="score",
    )
    separation = describe_separation(usable.images, scored_on)
    metrics = {
        **compute_metrics(task.labels, task.fold, probabilities, class_names, separation),
        "skipped": len(usable.skipped),
        "training": history.summary("validation_macro_f1"),
    }
    result = FinetuneResult(out, metrics, device.describe())
    if process.is_main_process:
        detector = network.detector.name if network.detector else ""
        run_dir.save_model(model, out)
        write_image_processor(out, network.processor, network.size)
        write_face_crop(out, usable.is_cropped, settings.faces, detector)
        write_finetune_output(result, settings, data_sets, history, usable)
        facts = {
            "classes": list(class_names),
            **progress.facts(),
            DIGESTS: folder_checksums(out, MODEL_FILES),
        }
        run_dir.finish_run(out, identity, settings.seed, device, **facts)
    process.wait_for_everyone()
    return result


def finetune_swin_dry_run(
    data: Path | str | Sequence[Path | str],
    out: Path,
    settings: Settings,
    progress: Progress = SILENT,
    *,
    restart: bool = False,
) -> FinetuneDryRunResult:
    """Check everything that `finetune_swin` checks, measure a few steps, and write nothing.

    Parameters and errors are those of `finetune_swin`.
    """
    device = Device.from_settings(settings.run).with_torch()
    device.configure_torch()
    data_sets, class_names = _read(data, progress)
    if restart:
        require_kept(settings.model.backbone, out)
    state = check_run(out, _identity(settings, data_sets), restart)
    progress.note(f"{out}: {DESCRIPTIONS[state]}")
    network = build_network(class_names, settings, device, progress)
    task = build_task(network, data_sets, class_names, settings, device, None, progress)
    return finetune_dry_run(network, task, class_names)


def _read(
    data: Path | str | Sequence[Path | str], progress: Progress
) -> tuple[list[LabeledImages], tuple[str, ...]]:
    """Return the data sets and the names of their classes."""
    sources = [data] if isinstance(data, str | Path) else data
    data_sets = [read_images(source) for source in sources]
    class_names = merge_classes(data_sets)
    for data_set in data_sets:
        progress.note(data_set.describe(class_names), "info")
        if warning := number_warning(data_set):
            progress.note(warning, "warning")
    return data_sets, class_names


def _identity(settings: Settings, data_sets: Sequence[LabeledImages]) -> dict[str, Any]:
    values = settings.model_dump(mode="json")
    return {
        "seed": settings.seed,
        "backbone": settings.model.backbone,
        "finetune": values["finetune"],
        "faces": values["faces"] if settings.finetune.crop != "false" else None,
        "data": [images.identity() for images in data_sets],
    }
