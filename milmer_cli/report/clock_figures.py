"""Blinks in the video against blinks in the EEG, for the eye to judge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from milmer_cli.report.theme import ACCENT, GRID, MUTED, add_axes, house_style, new_figure

AMBER = "#936500"
SHOWN_S = 30.0


@dataclass(frozen=True, eq=False)
class ClockTraces:
    """Two traces of the same blinks.

    Attributes
    ----------
    time
        (n,) seconds from the start of the stimulus, evenly spaced.
    video, eeg
        (n,) how far the eyes in the video, and the voltage at the eyes, stand out from their usual
        level, 0 to 1; NaN where unknown.
    eeg_name
        Which channel.
    lag, alike
        (m,) shifts in seconds, and the correlation at each.
    best
        The shift of the best correlation.
    """

    time: np.ndarray
    video: np.ndarray
    eeg: np.ndarray
    eeg_name: str
    lag: np.ndarray
    alike: np.ndarray
    best: float


@house_style
def clocks(data: ClockTraces, width_in: float) -> Figure:
    """Draw the liveliest half minute of both traces, and how alike they are at each shift."""
    figure = new_figure(width_in, 4.6)
    grid = figure.add_gridspec(3, 1, height_ratios=[1, 1, 1.6])
    shown = _liveliest(data)
    first = None
    for row, (trace, colour, name) in enumerate(
        [(data.video, AMBER, "eyes in\nthe video"), (data.eeg, ACCENT, f"EEG\n{data.eeg_name}")]
    ):
        ax = (
            add_axes(figure, grid[row])
            if first is None
            else figure.add_subplot(grid[row], sharex=first)
        )
        first = first or ax
        ax.set_facecolor("none")
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.fill_between(data.time[shown], 0, trace[shown], color=colour, linewidth=0, alpha=0.85)
        ax.set_ylim(0, 1.05)
        ax.set_yticks([])
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
        ax.grid(axis="x", color=GRID, linewidth=0.8)
        ax.set_axisbelow(True)
        if row == 0:
            ax.tick_params(axis="x", length=0, labelbottom=False)
        else:
            ax.set_xlabel("seconds from the start of the stimulus")
    ax = add_axes(figure, grid[2])
    ax.plot(data.lag, data.alike, color=ACCENT, linewidth=1.4)
    ax.axvline(0, color=MUTED, linewidth=1, linestyle=":")
    top = float(np.nanmax(data.alike))
    ax.plot(data.best, top, "o", color=AMBER)
    ax.annotate(
        f"{data.best:+.2f} s",
        (data.best, top),
        textcoords="offset points",
        xytext=(8, -2),
        color=AMBER,
    )
    ax.set_xlim(data.lag[0], data.lag[-1])
    ax.set_xlabel("seconds by which blinks come later in the EEG")
    ax.set_ylabel("correlation")
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    return figure


def _liveliest(data: ClockTraces) -> slice:
    """Where half a minute holds most of the blinks of both traces."""
    step = float(data.time[1] - data.time[0])
    length = round(SHOWN_S / step)
    if length >= len(data.time):
        return slice(None)
    both = np.nan_to_num(data.video) + np.nan_to_num(data.eeg)
    total = np.convolve(both, np.ones(length), mode="valid")
    begin = int(total.argmax())
    return slice(begin, begin + length)
