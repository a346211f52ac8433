"""Figures of an evaluation and of a training. Every function draws one and returns it or writes it.

Accuracies are never drawn without what chance gives.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from milmer_cli.report.theme import (
    ACCENT,
    CLASS_COLOURS,
    GRID,
    INK,
    MUTED,
    add_axes,
    house_style,
    new_figure,
    save,
)
from milmer_cli.settings.schema import Protocol as ProtocolName

if TYPE_CHECKING:
    from milmer_cli.metrics import Scores

PROTOCOLS = get_args(ProtocolName)

SMALL_IN = 4.8
"""Width of a figure that is read on a phone, in inches of 72 points."""

WORST, AMBER = CLASS_COLOURS[3], CLASS_COLOURS[0]


class Epoch(Protocol):
    """What a learning curve needs to know of an epoch: its number from 1, losses and accuracies."""

    @property
    def epoch(self) -> int: ...  # noqa: D102
    @property
    def train_loss(self) -> float: ...  # noqa: D102
    @property
    def train_accuracy(self) -> float: ...  # noqa: D102
    @property
    def validation_loss(self) -> float: ...  # noqa: D102
    @property
    def validation_accuracy(self) -> float: ...  # noqa: D102


class History(Protocol):
    """A finished training: its epochs, and the one that was kept."""

    @property
    def epochs(self) -> Sequence[Epoch]: ...  # noqa: D102

    @property
    def best_epoch(self) -> int: ...  # noqa: D102


@house_style
def learning_curve(
    history: History, path: Path, protocol: str, majority: float | None = None
) -> None:
    """Draw loss and accuracy over epochs, and write the picture to ``path``.

    Parameters
    ----------
    history
        The epochs; the one that was kept is marked.
    path
        Where to; the suffix says the format.
    protocol
        What keeps training and validation apart, or in words what the validation part is; stands
        beside the accuracy.
    majority
        Accuracy of always naming the commonest training class, on the validation part.
    """
    figure = new_figure(8.6, 3.4)
    axes = add_axes(figure, 1, 2, 1), add_axes(figure, 1, 2, 2)
    number = [epoch.epoch for epoch in history.epochs]
    for ax, what in zip(axes, ("loss", "accuracy"), strict=True):
        for part, colour in (("train", MUTED), ("validation", ACCENT)):
            values = [getattr(epoch, f"{part}_{what}") for epoch in history.epochs]
            few = "o" if len(number) < 25 else ""
            ax.plot(number, values, color=colour, marker=few, markersize=3, label=part)
        ax.axvline(history.best_epoch, color=AMBER, linewidth=1, linestyle="--")
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y", color=GRID, linewidth=0.8)
    axes[0].set_title("Loss", loc="left")
    axes[0].legend(frameon=False)
    leaky = ", LEAKY" if protocol == "segment" else ""
    kind = f"{protocol} protocol{leaky}" if protocol in PROTOCOLS else protocol
    axes[1].set_title(f"Accuracy ({kind})", loc="left")
    axes[1].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[1].set_ylim(0, 1)
    if majority is not None:
        axes[1].axhline(majority, color=INK, linewidth=1, linestyle=":", label="majority class")
    axes[1].plot([], [], color=AMBER, linewidth=1, linestyle="--", label="kept epoch")
    axes[1].legend(frameon=False)
    save(figure, path)


@house_style
def confusion(
    matrix: np.ndarray, class_names: Sequence[str], truth: str = "rated by the participant"
) -> Figure:
    """Draw a confusion matrix: counts, and shade by the share of each true class.

    Parameters
    ----------
    matrix
        (n_classes, n_classes) counts, rows the truth.
    class_names
        Names of the classes.
    truth
        Where the true classes come from.
    """
    figure = new_figure(SMALL_IN, SMALL_IN * 0.86)
    ax = add_axes(figure)
    n = len(class_names)
    support = matrix.sum(axis=1, keepdims=True)
    share = np.divide(matrix, support, out=np.zeros(matrix.shape), where=support > 0)
    for row in range(n):
        for column in range(n):
            strength = float(share[row, column])
            ax.fill_between(
                [column - 0.48, column + 0.48],
                row - 0.48,
                row + 0.48,
                color=ACCENT,
                alpha=0.04 + 0.46 * strength,
                linewidth=0,
            )
            bold = "bold" if row == column else "normal"
            percent = f"{100 * strength:.0f} %" if support[row] else "-"
            ax.text(column, row - 0.1, percent, ha="center", va="center", weight=bold)
            ax.text(
                column,
                row + 0.2,
                f"{matrix[row, column]:d}",
                ha="center",
                va="center",
                fontsize=8.5,
            )
    ax.set_xlim(-0.5, n - 0.5)
    ax.set_ylim(n - 0.5, -0.5)
    ax.set_xticks(range(n), [name.replace(" ", "\n") for name in class_names])
    ax.set_yticks(range(n), [name.replace(" ", "\n") for name in class_names])
    ax.tick_params(length=0, labelcolor=INK)
    ax.set_xlabel("predicted")
    ax.set_ylabel(truth)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return figure


@house_style
def participants(scores: Scores) -> Figure:
    """Draw the accuracy of every participant over the chance band, with their majority rates."""
    people = scores.participants
    figure = new_figure(SMALL_IN, max(1.9, 1.25 + 0.2 * len(people)))
    ax = add_axes(figure)
    rows = np.arange(len(people))
    chance_band(ax, scores)
    mean = scores.spread[0]
    ax.axvline(mean, color=ACCENT, linewidth=1, linestyle="--", label="mean of participants")
    ax.scatter(
        [person.majority for person in people],
        rows,
        marker="|",
        s=90,
        color=INK,
        linewidth=1.2,
        label="their majority class",
        zorder=3,
    )
    ax.scatter([p.accuracy for p in people], rows, s=34, color=ACCENT, label="accuracy", zorder=4)
    ax.set_yticks(rows, [person.name for person in people])
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.set_ylim(len(people) - 0.4, -0.6)
    _percent_axis(ax)
    legend_below(figure, ax)
    return figure


def chance_band(ax: Axes, scores: Scores) -> None:
    """Shade the accuracies that shuffled labels give, along the x axis."""
    ax.axvspan(
        scores.chance.low,
        scores.chance.high,
        color=MUTED,
        alpha=0.18,
        linewidth=0,
        label="chance band",
    )


@house_style
def stamped(figure: Figure, protocol: str, leaky: bool) -> Figure:
    """Write above a figure which protocol it is of, and that it is LEAKY where it is."""
    figure.suptitle(
        f"{protocol} protocol{', LEAKY' if leaky else ''}",
        x=0.01,
        ha="left",
        fontsize=10.5,
        color=WORST if leaky else MUTED,
        fontweight="bold" if leaky else "normal",
    )
    return figure


@house_style
def ladder(results: Sequence[tuple[str, Scores]], leaky: Collection[str] = ("segment",)) -> Figure:
    """Draw the accuracy under each protocol, from leaky to strict, over its own chance band.

    Parameters
    ----------
    results
        Name of the protocol and its scores, in the order of the rungs.
    leaky
        Names of the protocols whose number is LEAKY.
    """
    figure = new_figure(SMALL_IN, 1.35 + 0.55 * len(results))
    ax = add_axes(figure)
    for row, (name, scores) in enumerate(results):
        found, leaks = scores.segment["accuracy"], name in leaky
        colour = WORST if leaks else ACCENT
        ax.fill_between(
            [scores.chance.low, scores.chance.high],
            row - 0.36,
            row + 0.36,
            color=MUTED,
            alpha=0.18,
            linewidth=0,
            label="chance band" if row == 0 else None,
        )
        rate = scores.majority_test if math.isnan(scores.majority) else scores.majority
        ax.plot(
            [rate, rate],
            [row - 0.36, row + 0.36],
            color=INK,
            linewidth=1.2,
            linestyle=":",
            label="majority class" if row == 0 else None,
        )
        if not math.isnan(found.low):
            ax.plot([found.low, found.high], [row, row], color=colour, linewidth=2.2)
        ax.plot(found.value, row, marker="X" if leaks else "o", markersize=8, color=colour)
        drawn = [found.value, found.high, scores.chance.high, rate]
        ax.annotate(
            f"{100 * found.value:.1f} %",
            (max(x for x in drawn if not math.isnan(x)), row),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
        )
    names = [
        name.replace("-", "-\n") + ("\n(LEAKY)" if name in leaky else "") for name, _ in results
    ]
    ax.set_yticks(range(len(results)), names)
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.set_ylim(len(results) - 0.45, -0.65)
    _percent_axis(ax, 1.2)
    legend_below(figure, ax)
    return figure


def _percent_axis(ax: Axes, right: float = 1.02) -> None:
    ax.set_xlim(0, right)
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("accuracy over segments")
    ax.grid(axis="x", color=GRID, linewidth=0.8)
    ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_bounds(0, 1)


def legend_below(figure: Figure, ax: Axes) -> None:
    """Put the legend under the axes, where it hides nothing."""
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=2, frameon=False, handlelength=1.4
    )
