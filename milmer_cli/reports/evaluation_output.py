"""Write the files of an evaluation: metrics, predictions, splits, settings, figures, page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from milmer_cli.csv_cells import csv_text
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.split_file import ProtocolFolds, save_splits
from milmer_cli.evaluation.baselines import MAIN
from milmer_cli.evaluation.fold_predictions import Predictions
from milmer_cli.evaluation.results import EvaluationResult
from milmer_cli.formats import write_document
from milmer_cli.io import atomic_write
from milmer_cli.reports.evaluation import confusion_figure, evaluation_page, ladder_figure
from milmer_cli.reports.plots.style import save_figure
from milmer_cli.settings import dump_yaml

METRICS, PREDICTIONS, OTHERS = "metrics.json", "predictions.csv", "predictions-others.csv"
SPLITS, SETTINGS, PAGE = "splits.json", "settings.yaml", "report.html"
LADDER, CONFUSION = "ladder.png", "confusion.png"


def write_evaluation(
    out: Path,
    result: EvaluationResult,
    predictions: Predictions,
    splits: Sequence[ProtocolFolds],
    labeled: LabeledSegments,
) -> None:
    """Write all files of an evaluation.

    Parameters
    ----------
    out
        Folder of the evaluation.
    result
        What metrics.json, the figures and the page contain.
    predictions
        Predictions of all models.
    splits
        Folds, for ``--splits`` of later evaluations.
    labeled
        The segments and their labels.
    """
    write_document(out / METRICS, "evaluation", result.to_json())
    atomic_write(out / PREDICTIONS, _predictions_csv(result, predictions, labeled, [MAIN]))
    trained = next(iter(predictions.values()))
    if others := [name for name in trained if name != MAIN]:
        atomic_write(out / OTHERS, _predictions_csv(result, predictions, labeled, others))
    save_splits(out / SPLITS, splits, labeled)
    atomic_write(out / SETTINGS, dump_yaml(result.settings))
    save_figure(ladder_figure(result), out / LADDER)
    for protocol in result.protocols:
        name = CONFUSION if protocol is result.main else f"confusion-{protocol.protocol}.png"
        save_figure(confusion_figure(protocol), out / name)
    atomic_write(out / PAGE, evaluation_page(result))


def prediction_columns(class_names: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Return the columns of predictions.csv; ``texts`` are session and condition, if known."""
    return [
        *("participant", "trial", "stimulus", *texts, "onset_s", "truth", "predicted"),
        *(f"p_{name}" for name in class_names),
        *("fold", "seed", "protocol", "leaky", "transductive", "model"),
    ]


def _predictions_csv(
    result: EvaluationResult,
    predictions: Predictions,
    labeled: LabeledSegments,
    models: Sequence[str],
) -> str:
    """Write one row per segment, protocol, seed and model.

    The columns session and condition are left out if the data set has none.
    """
    segments, names = labeled.segments, labeled.class_names
    texts = [name for name in ("session", "condition") if np.any(getattr(segments, name) != "")]
    table: list[list[object]] = [[*prediction_columns(names, texts)]]
    leaky = {p.protocol: "LEAKY" if p.leaky else "no" for p in result.protocols}
    transductive = "TRANSDUCTIVE" if result.settings.model.transductive else "no"
    for protocol, by_model in predictions.items():
        for model in models:
            for item, fold_result in by_model[model].pairs():
                for row, p in zip(item.fold.test, fold_result.probabilities, strict=True):
                    table.append(
                        [
                            segments.participant[row],
                            segments.trial[row],
                            segments.stimulus[row],
                            *(getattr(segments, name)[row] for name in texts),
                            f"{segments.onset[row]:g}",
                            names[labeled.labels[row]],
                            names[int(p.argmax())],
                            *(f"{probability:.6f}" for probability in p),
                            item.number,
                            item.seed,
                            protocol,
                            leaky[protocol],
                            transductive,
                            model,
                        ]
                    )
    return csv_text(table)
