"""Figures on whether a model can be trusted: its selection of instances, and its confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from milmer_cli.report.figures import AMBER, SMALL_IN, legend_below
from milmer_cli.report.theme import ACCENT, GRID, MUTED, add_axes, house_style, new_figure

if TYPE_CHECKING:
    from milmer_cli.metrics import Scores
    from milmer_cli.metrics.calibration import Reliability


@dataclass(frozen=True, eq=False)
class DeletionCurve:
    """What is left of the accuracy when instances are taken away.

    Attributes
    ----------
    share
        (n,) ascending share of the instances that is deleted, from 0 to 1.
    chosen
        (n,) accuracy after deleting those with the highest weights.
    random, random_low, random_high
        (n,) mean and band of the accuracy after deleting random ones.
    """

    share: np.ndarray
    chosen: np.ndarray
    random: np.ndarray
    random_low: np.ndarray
    random_high: np.ndarray


@house_style
def deletion(curve: DeletionCurve, scores: Scores) -> Figure:
    """Draw a deletion curve over the chance band of the scores that it starts from."""
    figure = new_figure(SMALL_IN, 3.1)
    ax = add_axes(figure)
    ax.axhspan(
        scores.chance.low,
        scores.chance.high,
        color=MUTED,
        alpha=0.18,
        linewidth=0,
        label="chance band",
    )
    ax.fill_between(
        curve.share, curve.random_low, curve.random_high, color=AMBER, alpha=0.2, linewidth=0
    )
    ax.plot(curve.share, curve.random, color=AMBER, linestyle="--", label="random ones deleted")
    ax.plot(
        curve.share,
        curve.chosen,
        color=ACCENT,
        marker="o",
        markersize=4,
        label="chosen ones deleted",
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("instances deleted")
    ax.set_ylabel("accuracy over segments")
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    legend_below(figure, ax)
    return figure


@house_style
def reliability(before: Reliability, after: Reliability | None = None) -> Figure:
    """Draw confidence against the share that was right; dots grow with the number of segments.

    Parameters
    ----------
    before
        Of the model as it was trained.
    after
        Of the model after its temperature was fitted, where there is one.
    """
    figure = new_figure(SMALL_IN, 3.6)
    ax = add_axes(figure)
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":", label="perfectly calibrated")
    drawn = [(before, AMBER, "D", "as trained" if after else "the model")]
    if after:
        drawn.append((after, ACCENT, "o", "after calibration"))
    for found, colour, marker, label in drawn:
        full = found.count > 0
        sizes = 12 + 140 * found.count[full] / found.count.max()
        ax.plot(found.confidence[full], found.right[full], color=colour, linewidth=1.2)
        ax.scatter(
            found.confidence[full],
            found.right[full],
            s=sizes,
            color=colour,
            marker=marker,
            linewidths=0,
            label=f"{label}, error {100 * found.error:.1f} %",
        )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlim(0, 1.02)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("confidence")
    ax.set_ylabel("share that was right")
    ax.grid(color=GRID, linewidth=0.8)
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", frameon=False, markerscale=0.6)
    return figure
