"""Figures of missing faces and electrodes, adaptation, reliability and the coverage curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from milmer_cli.evaluation.baselines import MAIN
from milmer_cli.metrics.calibration import MIN_BIN_SEGMENTS
from milmer_cli.reports.plots.style import (
    ACCENT,
    GRID,
    HIGHLIGHT,
    MUTED,
    NARROW_IN,
    SURFACE,
    add_axes,
    add_legend_below,
    apply_style,
    new_figure,
    null_label,
)

if TYPE_CHECKING:
    from milmer_cli.evaluation.adaptation_curve import AdaptationCurve
    from milmer_cli.evaluation.robustness_curves import DeletionCurve, ElectrodeCurve
    from milmer_cli.metrics import Scores
    from milmer_cli.metrics.calibration import ReliabilityDiagram
    from milmer_cli.metrics.coverage_curve import CoverageCurve


@apply_style
def plot_deletion_curve(curve: DeletionCurve, scores: Scores) -> Figure:
    """Plot a deletion curve with the chance interval of ``scores``."""
    figure = new_figure(NARROW_IN, 3.1)
    ax = add_axes(figure)
    _draw_chance(ax, scores)
    ax.fill_between(
        curve.share, curve.random_low, curve.random_high, color=HIGHLIGHT, alpha=0.2, linewidth=0
    )
    ax.plot(
        curve.share, curve.random, color=HIGHLIGHT, linestyle="--", label="random faces removed"
    )
    ax.plot(
        curve.share,
        curve.selected,
        color=ACCENT,
        marker="o",
        markersize=4,
        label="selected faces removed",
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("faces removed")
    ax.set_ylabel("accuracy over segments")
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    add_legend_below(figure, ax)
    return figure


@apply_style
def plot_missing_electrodes(curve: ElectrodeCurve, scores: Scores) -> Figure:
    """Plot accuracy against the number of missing electrodes, with the range over the draws."""
    figure = new_figure(NARROW_IN, 3.1)
    ax = add_axes(figure)
    _draw_chance(ax, scores)
    positions = range(len(curve.n_missing))
    treatments = (
        (curve.masked, ACCENT, "o", "-", "masked"),
        (curve.interpolated, HIGHLIGHT, "D", "--", "interpolated"),
    )
    for accuracy, color, marker, line, label in treatments:
        if accuracy is None:
            continue
        ax.fill_between(positions, accuracy.low, accuracy.high, color=color, alpha=0.2, linewidth=0)
        ax.plot(
            positions,
            accuracy.mean,
            color=color,
            marker=marker,
            markersize=4,
            linestyle=line,
            label=label,
        )
    ax.set_xticks(positions, [str(number) for number in curve.n_missing])
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_ylim(0, 1.02)
    ax.set_xlabel(f"missing electrodes of {curve.n_channels}")
    ax.set_ylabel("accuracy over segments")
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    add_legend_below(figure, ax)
    return figure


@apply_style
def plot_adaptation(curve: AdaptationCurve) -> Figure:
    """Plot accuracy with its interval against the number of labeled trials of a participant."""
    figure = new_figure(NARROW_IN, 3.1)
    ax = add_axes(figure)
    _draw_chance(ax, curve.models[MAIN][0])
    styles = ((ACCENT, "o", "-"), (HIGHLIGHT, "D", "--"), (MUTED, "s", ":"))
    for number, (name, points) in enumerate(curve.models.items()):
        color, marker, line = styles[number % len(styles)]
        positions = np.arange(len(points)) + 0.08 * number
        accuracies = [point.trial_accuracy for point in points]
        values = [accuracy.value for accuracy in accuracies]
        ax.vlines(positions, [a.low for a in accuracies], [a.high for a in accuracies], color=color)
        ax.plot(
            positions, values, color=color, marker=marker, markersize=4, linestyle=line, label=name
        )
    ax.set_xticks(range(len(curve.n_trials)), [str(k) for k in curve.n_trials])
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("labeled trials of the new participant")
    ax.set_ylabel("accuracy over trials")
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    add_legend_below(figure, ax)
    return figure


@apply_style
def plot_reliability_diagram(
    before: ReliabilityDiagram, after: ReliabilityDiagram | None = None
) -> Figure:
    """Plot accuracy against confidence, with the number of segments of each bin.

    Bins with fewer than `MIN_BIN_SEGMENTS` segments are hollow. The numbers are those of the
    diagram after calibration, or of the only one.

    Parameters
    ----------
    before
        Without temperature scaling.
    after
        With temperature scaling, if a temperature was fitted.
    """
    figure = new_figure(NARROW_IN, 3.6)
    ax = add_axes(figure)
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":", label="perfect calibration")
    curves = [(before, HIGHLIGHT, "D", "before calibration" if after else "model")]
    if after:
        curves.append((after, ACCENT, "o", "after calibration"))
    for diagram, color, marker, label in curves:
        filled = diagram.count > 0
        confidence, accuracy = diagram.confidence[filled], diagram.accuracy[filled]
        ax.plot(confidence, accuracy, color=color, linewidth=1.2)
        few = diagram.count[filled] < MIN_BIN_SEGMENTS
        ax.scatter(
            confidence,
            accuracy,
            s=28,
            facecolors=[SURFACE if hollow else color for hollow in few],
            edgecolors=color,
            marker=marker,
            zorder=3,
        )
        ax.plot(
            *([], []),
            color=color,
            marker=marker,
            label=f"{label}, expected calibration error {100 * diagram.error:.1f} %",
        )
    _label_counts(ax, after or before)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlim(0, 1.02)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("confidence")
    ax.set_ylabel("accuracy")
    ax.grid(color=GRID, linewidth=0.8)
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", frameon=False, markerscale=0.6)
    return figure


def _label_counts(ax: Axes, diagram: ReliabilityDiagram) -> None:
    """Write the number of segments of each bin above the axes."""
    for left, right, count in zip(
        diagram.edges[:-1], diagram.edges[1:], diagram.count, strict=True
    ):
        if count:
            ax.annotate(
                str(int(count)),
                ((left + right) / 2, 1.03),
                xycoords=("data", "axes fraction"),
                ha="center",
                fontsize=8,
                color=MUTED,
            )
    ax.annotate(
        "segments", (-0.01, 1.03), xycoords="axes fraction", ha="right", fontsize=8, color=MUTED
    )


@apply_style
def plot_coverage_curve(curve: CoverageCurve) -> Figure:
    """Plot accuracy with its interval against the share of the segments that are predicted."""
    figure = new_figure(NARROW_IN, 3.6)
    ax = add_axes(figure)
    ax.plot(
        curve.coverage,
        curve.majority_rate,
        color=MUTED,
        linestyle=":",
        marker=".",
        label="majority class",
    )
    ax.errorbar(
        curve.coverage,
        curve.accuracy,
        (curve.accuracy - curve.low, curve.high - curve.accuracy),
        color=ACCENT,
        marker="o",
        markersize=4,
        linewidth=1.2,
        label="model",
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlim(0, 1.04)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("segments predicted, the most confident first")
    ax.set_ylabel("accuracy over these segments")
    ax.grid(color=GRID, linewidth=0.8)
    add_legend_below(figure, ax)
    return figure


def _draw_chance(ax: Axes, scores: Scores) -> None:
    """Draw the range of accuracies with permuted labels."""
    ax.axhspan(
        scores.chance.low,
        scores.chance.high,
        color=MUTED,
        alpha=0.18,
        linewidth=0,
        label=null_label(scores),
    )
