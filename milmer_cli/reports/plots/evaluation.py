"""Figures of an evaluation and of a training. Accuracies are always shown with chance level."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from milmer_cli.reports.plots.style import (
    ACCENT,
    GRID,
    HIGHLIGHT,
    INK,
    MUTED,
    NARROW_IN,
    WARNING,
    add_axes,
    add_legend_below,
    apply_style,
    new_figure,
    null_label,
    save_figure,
    shorten_name,
    wrap_name,
)
from milmer_cli.settings.schema import Protocol

if TYPE_CHECKING:
    from milmer_cli.metrics import Scores
    from milmer_cli.training.history import History

PROTOCOLS = get_args(Protocol)


@apply_style
def plot_learning_curve(
    history: History, path: Path, validation_set: str, majority_rate: float | None = None
) -> None:
    """Plot loss and accuracy over epochs and write the figure to a file.

    Parameters
    ----------
    history
        Metrics of all epochs; the selected epoch is marked.
    path
        Output file; the suffix determines the format.
    validation_set
        Protocol of the split, or a description of the validation set, for the title.
    majority_rate
        Accuracy on the validation set of predicting the majority class of the training set.
    """
    figure = new_figure(8.6, 3.4)
    loss_axes, accuracy_axes = add_axes(figure, 1, 2, 1), add_axes(figure, 1, 2, 2)
    numbers = [epoch.epoch for epoch in history.epochs]
    marker = "o" if len(numbers) < 25 else ""
    for ax, metric in ((loss_axes, "loss"), (accuracy_axes, "accuracy")):
        for name, color in (("train", MUTED), ("validation", ACCENT)):
            values = [getattr(epoch, f"{name}_{metric}") for epoch in history.epochs]
            ax.plot(numbers, values, color=color, marker=marker, markersize=3, label=name)
        ax.axvline(history.best_epoch, color=HIGHLIGHT, linewidth=1, linestyle="--")
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y", color=GRID, linewidth=0.8)
    loss_axes.set_title("Loss", loc="left")
    loss_axes.legend(frameon=False)
    if validation_set in PROTOCOLS:
        leaky = ", LEAKY" if validation_set == "segment" else ""
        validation_set = f"{validation_set} protocol{leaky}"
    accuracy_axes.set_title(f"Accuracy ({validation_set})", loc="left")
    accuracy_axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    accuracy_axes.set_ylim(0, 1)
    if majority_rate is not None:
        accuracy_axes.axhline(
            majority_rate, color=INK, linewidth=1, linestyle=":", label="majority class"
        )
    accuracy_axes.plot([], [], color=HIGHLIGHT, linewidth=1, linestyle="--", label="selected epoch")
    accuracy_axes.legend(frameon=False)
    save_figure(figure, path)


@apply_style
def plot_confusion_matrix(
    matrix: np.ndarray, class_names: Sequence[str], truth_label: str
) -> Figure:
    """Plot a confusion matrix: counts, with the share of each true class in text and color.

    Parameters
    ----------
    matrix
        (n_classes, n_classes) counts, rows are true classes.
    class_names
        Names of the classes.
    truth_label
        Axis label of the true classes, for example "rated by the participant".
    """
    figure = new_figure(NARROW_IN, NARROW_IN * 0.86)
    ax = add_axes(figure)
    n_classes = len(class_names)
    support = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, support, out=np.zeros(matrix.shape), where=support > 0)
    for row in range(n_classes):
        for column in range(n_classes):
            share = float(shares[row, column])
            ax.fill_between(
                [column - 0.48, column + 0.48],
                row - 0.48,
                row + 0.48,
                color=ACCENT,
                alpha=0.04 + 0.46 * share,
                linewidth=0,
            )
            weight = "bold" if row == column else "normal"
            percent = f"{100 * share:.0f} %" if support[row] else "-"
            ax.text(column, row - 0.1, percent, ha="center", va="center", weight=weight)
            count = f"{matrix[row, column]:d}"
            ax.text(column, row + 0.2, count, ha="center", va="center", fontsize=8.5)
    ax.set_xlim(-0.5, n_classes - 0.5)
    ax.set_ylim(n_classes - 0.5, -0.5)
    labels = [wrap_name(name) for name in class_names]
    ax.set_xticks(range(n_classes), labels)
    ax.set_yticks(range(n_classes), labels)
    ax.tick_params(length=0, labelcolor=INK)
    ax.set_xlabel("predicted")
    ax.set_ylabel(truth_label)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return figure


@apply_style
def plot_participant_accuracies(scores: Scores) -> Figure:
    """Plot the accuracy over trials of each participant, majority rates, null distribution."""
    participants = scores.participants
    figure = new_figure(NARROW_IN, max(1.9, 1.25 + 0.2 * len(participants)))
    ax = add_axes(figure)
    rows = np.arange(len(participants))
    ax.axvspan(*_chance(scores), color=MUTED, alpha=0.18, linewidth=0, label=null_label(scores))
    mean = scores.participant_trial_accuracy["mean"]
    ax.axvline(mean, color=ACCENT, linewidth=1, linestyle="--", label="mean of participants")
    ax.scatter(
        [participant.trial_majority_rate for participant in participants],
        rows,
        marker="|",
        s=90,
        color=INK,
        linewidth=1.2,
        label="majority class of participant",
        zorder=3,
    )
    accuracies = [participant.trial_accuracy for participant in participants]
    ax.scatter(accuracies, rows, s=34, color=ACCENT, label="accuracy", zorder=4)
    ax.set_yticks(rows, [shorten_name(participant.name) for participant in participants])
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.set_ylim(len(participants) - 0.4, -0.6)
    _format_accuracy_axis(ax)
    add_legend_below(figure, ax)
    return figure


@apply_style
def plot_protocol_ladder(
    results: Sequence[tuple[str, Scores]],
    marks: Mapping[str, str] = MappingProxyType({"segment": "LEAKY"}),
) -> Figure:
    """Plot the accuracy over trials under each protocol, its interval and null distribution.

    Parameters
    ----------
    results
        Protocol and scores, from leaky to strict.
    marks
        Protocol -> what its result is marked with; none if not contained.
    """
    figure = new_figure(NARROW_IN, 1.35 + 0.55 * len(results))
    ax = add_axes(figure)
    for row, (protocol, scores) in enumerate(results):
        accuracy, is_marked = scores.trial_accuracy, protocol in marks
        color = WARNING if is_marked else ACCENT
        ax.fill_between(
            _chance(scores),
            row - 0.36,
            row + 0.36,
            color=MUTED,
            alpha=0.18,
            linewidth=0,
            label=null_label(scores) if row == 0 else None,
        )
        ax.plot(
            [scores.trial_majority.reference, scores.trial_majority.reference],
            [row - 0.36, row + 0.36],
            color=INK,
            linewidth=1.2,
            linestyle=":",
            label="majority class" if row == 0 else None,
        )
        if not math.isnan(accuracy.low):
            ax.plot([accuracy.low, accuracy.high], [row, row], color=color, linewidth=2.2)
        ax.plot(accuracy.value, row, marker="X" if is_marked else "o", markersize=8, color=color)
        majority = scores.trial_majority.reference
        extent = [accuracy.value, accuracy.high, scores.chance.high_trial, majority]
        ax.annotate(
            f"{100 * accuracy.value:.1f} %",
            (max(x for x in extent if not math.isnan(x)), row),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
        )
    labels = [
        protocol.replace("-", "-\n") + (f"\n({marks[protocol]})" if protocol in marks else "")
        for protocol, _ in results
    ]
    ax.set_yticks(range(len(results)), labels)
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.set_ylim(len(results) - 0.45, -0.65)
    _format_accuracy_axis(ax, right=1.2)
    add_legend_below(figure, ax)
    return figure


def _chance(scores: Scores) -> tuple[float, float]:
    return scores.chance.low_trial, scores.chance.high_trial


def _format_accuracy_axis(ax: Axes, right: float = 1.02) -> None:
    ax.set_xlim(0, right)
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("accuracy over trials")
    ax.grid(axis="x", color=GRID, linewidth=0.8)
    ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_bounds(0, 1)
