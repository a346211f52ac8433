"""Figures of the signal quality of a prepared store over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from milmer_cli.data.signal_quality import SignalQuality
from milmer_cli.reports.plots.style import (
    GRID,
    HIGHLIGHT,
    INK,
    MUTED,
    WARNING,
    WIDE_IN,
    add_axes,
    apply_style,
    new_figure,
    shorten_name,
)

ROW_HEIGHT_IN = 0.24
MAX_TRIAL_LABELS = 21
MAX_SHARE = 0.5
"""Share of bad channels with the darkest color."""


@apply_style
def plot_quality_overview(
    qualities: Sequence[SignalQuality], max_bad_channels: float, width_in: float = WIDE_IN
) -> Figure:
    """Draw a row per participant and a cell per segment, colored by the share of bad channels.

    A dot marks a segment whose EEG is not usable. Cells without EEG are empty.
    """
    length = max(len(quality.trial) for quality in qualities)
    shares = np.full((len(qualities), length), np.nan)
    unusable = np.zeros(shares.shape, bool)
    for row, quality in enumerate(qualities):
        shares[row, : len(quality.trial)] = quality.bad_share
        unusable[row, : len(quality.trial)] = quality.eeg_found & ~quality.eeg_usable
    figure = new_figure(width_in, 1.1 + ROW_HEIGHT_IN * max(3, len(qualities)))
    ax = add_axes(figure)
    colors = LinearSegmentedColormap.from_list("bad channels", [GRID, HIGHLIGHT, WARNING])
    image = ax.imshow(
        shares, colors, aspect="auto", interpolation="nearest", vmin=0, vmax=MAX_SHARE
    )
    rows, segments = np.nonzero(unusable)
    ax.plot(segments, rows, ".", color=INK, markersize=3)
    bar = figure.colorbar(
        image, ax=ax, format=PercentFormatter(1, decimals=0), pad=0.01, extend="max"
    )
    bar.set_label("bad channels")
    bar.ax.axhline(min(max_bad_channels, MAX_SHARE), color=INK, linewidth=1)
    ax.set_yticks(range(len(qualities)), [shorten_name(q.participant) for q in qualities])
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6 if width_in < WIDE_IN else 12, integer=True))
    ax.set_xlabel("segment, in the order of the recording")
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    return figure


@apply_style
def plot_channel_quality(quality: SignalQuality, width_in: float) -> Figure:
    """Draw a row per channel and a cell per segment: good, interpolated or bad."""
    state = np.where(quality.good, 0, np.where(quality.interpolated, 1, 2)).astype(float)
    state[~quality.eeg_found] = np.nan
    figure = new_figure(width_in, 1.1 + 0.145 * max(6, len(quality.channels)))
    ax = add_axes(figure)
    ax.imshow(
        state.T, ListedColormap([GRID, HIGHLIGHT, WARNING]), aspect="auto",
        interpolation="nearest", vmin=0, vmax=2,
    )  # fmt: skip
    ax.set_yticks(range(len(quality.channels)), map(shorten_name, quality.channels), fontsize=7)
    _label_trials(ax, quality.trial, round(MAX_TRIAL_LABELS * width_in / WIDE_IN))
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    names = {"good": GRID, "bad, interpolated": HIGHLIGHT, "bad": WARNING}
    handles = [Patch(color=color, label=name) for name, color in names.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _label_trials(ax: Axes, trial: np.ndarray, max_labels: int) -> None:
    """Separate the trials by lines, and label some of them."""
    starts = np.flatnonzero(np.diff(trial, prepend=trial[0] - 1))
    for start in starts[1:]:
        ax.axvline(start - 0.5, color=MUTED, linewidth=0.4)
    shown = starts[:: 1 + len(starts) // max_labels]
    ax.set_xticks(shown, [str(number) for number in trial[shown]])
    ax.set_xlabel("trial; one column per segment")
