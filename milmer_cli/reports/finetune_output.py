"""Write the results of `finetune-swin`: metrics, figures, table of excluded images, model card."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milmer_cli.csv_cells import csv_text
from milmer_cli.fer.filtering import UsableImages
from milmer_cli.fer.labeled_images import LabeledImages
from milmer_cli.fer.model_card import model_card
from milmer_cli.fer.result import FinetuneResult
from milmer_cli.formats import write_document
from milmer_cli.io import atomic_write
from milmer_cli.reports.plots.evaluation import plot_confusion_matrix, plot_learning_curve
from milmer_cli.reports.plots.style import save_figure
from milmer_cli.settings import Settings, dump_yaml
from milmer_cli.training import run_dir
from milmer_cli.training.history import History

CONFUSION, CARD, SKIPPED = "confusion.png", "README.md", "skipped.csv"
FILES = (
    *(run_dir.SETTINGS, run_dir.REQUESTED_SETTINGS, run_dir.METRICS, run_dir.HISTORY),
    *(run_dir.CURVE, run_dir.TENSORBOARD, CONFUSION, CARD, SKIPPED),
    *("config.json", "model.safetensors", "preprocessor_config.json", "face_crop.json"),
)
"""What a fine-tuning writes besides environment.json and the checkpoints."""
SKIPPED_COLUMNS = ("image", "reason")


def write_finetune_output(
    result: FinetuneResult,
    settings: Settings,
    data_sets: Sequence[LabeledImages],
    history: History,
    usable: UsableImages,
) -> None:
    """Write everything but the model and environment.json to ``result.out``."""
    out, metrics = result.out, result.metrics
    requested = dump_yaml(settings, exclude_unset=True)
    atomic_write(out / run_dir.REQUESTED_SETTINGS, requested)
    atomic_write(out / run_dir.SETTINGS, dump_yaml(settings))
    history.write_csv(out / run_dir.HISTORY)
    own_set = "own validation set" if metrics["scored_on"] == "test" else "validation"
    plot_learning_curve(history, out / run_dir.CURVE, own_set)
    matrix, class_names = np.array(metrics["confusion"]), tuple(metrics["classes"])
    figure = plot_confusion_matrix(matrix, class_names, truth_label="labeled in the data set")
    save_figure(figure, out / CONFUSION)
    if usable.skipped:
        atomic_write(out / SKIPPED, csv_text([SKIPPED_COLUMNS, *usable.skipped]))
    write_document(out / run_dir.METRICS, result.format_name, metrics)
    card = model_card(result, data_sets, usable.is_cropped, settings)
    atomic_write(out / CARD, card)
