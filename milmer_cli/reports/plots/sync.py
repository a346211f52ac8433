"""Figure of the synchronization check: blink traces and their cross-correlation."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from milmer_cli.prediction.sync_check import SyncCheck
from milmer_cli.reports.plots.style import (
    ACCENT,
    GRID,
    HIGHLIGHT,
    MUTED,
    add_axes,
    apply_style,
    new_figure,
)

EXCERPT_S = 30.0


@apply_style
def plot_sync(check: SyncCheck, width_in: float) -> Figure:
    """Plot the `EXCERPT_S` with the most blinks, and the correlation at each lag.

    Parameters
    ----------
    check
        The traces and their correlation.
    width_in
        Width of the figure, in inches.
    """
    figure = new_figure(width_in, 4.6)
    grid = figure.add_gridspec(3, 1, height_ratios=[1, 1, 1.6])
    excerpt = _excerpt_with_most_blinks(check)
    first = None
    for row, (trace, color, name) in enumerate(
        [
            (check.video, HIGHLIGHT, "eyes in\nthe video"),
            (check.eeg, ACCENT, f"EEG\n{check.eeg_name}"),
        ]
    ):
        ax = (
            add_axes(figure, grid[row])
            if first is None
            else figure.add_subplot(grid[row], sharex=first)
        )
        first = first or ax
        ax.set_facecolor("none")
        ax.spines[["top", "right", "left"]].set_visible(False)
        time = check.time[excerpt]
        ax.fill_between(time, 0, trace[excerpt], color=color, linewidth=0, alpha=0.85)
        ax.set_ylim(0, 1.05)
        ax.set_yticks([])
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
        ax.grid(axis="x", color=GRID, linewidth=0.8)
        ax.set_axisbelow(True)
        if row == 0:
            ax.tick_params(axis="x", length=0, labelbottom=False)
        else:
            ax.set_xlabel("seconds from the start of the stimulus")
    _plot_correlation(figure, grid[2], check)
    return figure


def _plot_correlation(figure: Figure, position: object, check: SyncCheck) -> None:
    ax = add_axes(figure, position)
    ax.plot(check.lag, check.correlation, color=ACCENT, linewidth=1.4)
    ax.axvline(0, color=MUTED, linewidth=1, linestyle=":")
    peak = (check.best_lag_s, float(np.nanmax(check.correlation)))
    ax.plot(*peak, "o", color=HIGHLIGHT)
    ax.annotate(
        f"{check.best_lag_s:+.2f} s",
        peak,
        textcoords="offset points",
        xytext=(8, -2),
        color=HIGHLIGHT,
    )
    ax.set_xlim(check.lag[0], check.lag[-1])
    ax.set_xlabel("lag of the EEG behind the video in seconds")
    ax.set_ylabel("correlation")
    ax.grid(axis="y", color=GRID, linewidth=0.8)


def _excerpt_with_most_blinks(check: SyncCheck) -> slice:
    step = float(check.time[1] - check.time[0])
    length = round(EXCERPT_S / step)
    if length >= len(check.time):
        return slice(None)
    both = np.nan_to_num(check.video) + np.nan_to_num(check.eeg)
    total = np.convolve(both, np.ones(length), mode="valid")
    begin = int(total.argmax())
    return slice(begin, begin + length)
