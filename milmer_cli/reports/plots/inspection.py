"""Figures of a prepared store: coverage, EEG of a segment, spectra."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

from milmer_cli.inspection.coverage import Coverage
from milmer_cli.inspection.examples import SegmentExample
from milmer_cli.inspection.spectra import Spectra
from milmer_cli.reports.plots.style import (
    ACCENT,
    CLASS_COLORS,
    GRID,
    INK,
    MUTED,
    WIDE_IN,
    add_axes,
    apply_style,
    new_figure,
    shorten_name,
)

CONTRAST = CLASS_COLORS[3]
ROW_HEIGHT_IN = 0.24
MAX_TRIAL_LABELS = 21
POINTS_PER_TRACE = 200
MIN_FREQUENCY_HZ = 1.0
MIN_DENSITY = 1e-6
"""Smallest density on the logarithmic axis, in square microvolts per hertz."""


@apply_style
def coverage(coverage: Coverage) -> Figure:
    """Draw a cell per trial, filled by the fraction of instances with a face.

    A cross marks a trial in which EEG is missing in some segments.
    """
    participants, trials, faces = coverage.participants, coverage.trials, coverage.faces
    figure = new_figure(WIDE_IN, 0.9 + ROW_HEIGHT_IN * max(2, len(participants)))
    ax = add_axes(figure, 1, 1, 1)
    for row, column in np.argwhere(np.isfinite(faces)):
        left, top, width, height = column - 0.45, row - 0.42, 0.9, 0.84
        ax.add_patch(
            Rectangle((left, top), width, height, linewidth=0.6, facecolor="none", edgecolor=MUTED)
        )
        if faces[row, column] > 0:
            filled = height * float(faces[row, column])
            ax.add_patch(Rectangle((left, top + height - filled), width, filled, facecolor=ACCENT))
    eeg_missing = np.argwhere(np.isfinite(faces) & (coverage.eeg < 1))
    ax.plot(
        eeg_missing[:, 1],
        eeg_missing[:, 0],
        "x",
        color=CONTRAST,
        markersize=5,
        markeredgewidth=1.4,
    )
    ax.set_xlim(-0.6, len(trials) - 0.4)
    _label_participants(ax, participants)
    step = 1 + len(trials) // MAX_TRIAL_LABELS
    ax.set_xticks(range(0, len(trials), step), [str(trial) for trial in trials[::step]])
    ax.set_xlabel("trial")
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(length=0)
    return figure


@apply_style
def face_fractions(coverage: Coverage) -> Figure:
    """Draw the fraction of instances with a face for each participant."""
    participants = coverage.participants
    figure = new_figure(4.8, 0.8 + ROW_HEIGHT_IN * max(2, len(participants)))
    ax = add_axes(figure, 1, 1, 1)
    ax.barh(range(len(participants)), coverage.faces_by_participant, color=ACCENT, height=0.7)
    _label_participants(ax, participants)
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="x", color=GRID, linewidth=0.8)
    ax.tick_params(axis="y", length=0)
    return figure


@apply_style
def traces(example: SegmentExample) -> Figure:
    """Draw the EEG of a segment, one row per channel.

    Raises
    ------
    ValueError
        The segment has no EEG.
    """
    eeg, channels = example.eeg, example.channels
    if eeg is None:
        raise ValueError("the segment has no EEG")
    figure = new_figure(4.2, 0.9 + 0.145 * max(6, len(channels)))
    ax = add_axes(figure, 1, 1, 1)
    step = max(1, eeg.shape[1] // POINTS_PER_TRACE)
    times_s = example.onset_s + np.arange(eeg.shape[1])[::step] / example.sfreq
    spacing_uv = float(np.ceil(max(1.0, 4 * np.median(eeg.std(axis=1))) / 10) * 10)
    for row, signal in enumerate(eeg):
        trace = -row + (signal[::step] - signal.mean()) / spacing_uv
        ax.plot(times_s, trace, color=INK, linewidth=0.6)
    ax.set_yticks(-np.arange(len(channels)), map(shorten_name, channels), fontsize=7)
    ax.set_ylim(-len(channels) - 0.5, 1.5)
    ax.set_xlim(times_s[0], times_s[-1])
    ax.set_xlabel(f"time after stimulus onset (s); distance of rows {spacing_uv:g} µV")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return figure


@apply_style
def spectrum(density: np.ndarray, store_median: np.ndarray, spectra: Spectra) -> Figure:
    """Draw the spectrum of a segment and the median of the store.

    Parameters
    ----------
    density
        (n_channels, n_frequencies) square microvolts per hertz.
    store_median
        (n_frequencies,) median over the participants.
    spectra
        Frequencies.
    """
    figure, ax, in_range = _spectrum_axes(spectra)
    frequencies, shown = spectra.frequencies[in_range], density[:, in_range]
    ax.fill_between(
        frequencies, shown.min(axis=0), shown.max(axis=0), color=GRID, label="all channels"
    )
    ax.plot(
        frequencies, np.median(shown, axis=0), color=ACCENT, linewidth=1.6, label="median channel"
    )
    ax.plot(
        frequencies,
        store_median[in_range],
        color=MUTED,
        linewidth=1.1,
        linestyle="--",
        label="store median",
    )
    ax.legend(frameon=False)
    return figure


@apply_style
def spectra(spectra: Spectra) -> Figure:
    """Draw the median spectrum of each participant; the most different one is named."""
    figure, ax, in_range = _spectrum_axes(spectra)
    frequencies = spectra.frequencies[in_range]
    log_density = np.log10(np.maximum(spectra.density[:, in_range], MIN_DENSITY))
    for row in log_density:
        ax.plot(frequencies, 10**row, color=ACCENT, linewidth=0.9, alpha=0.55)
    if len(spectra.participants) > 2:
        distance = np.abs(log_density - np.median(log_density, axis=0)).mean(axis=1)
        outlier = int(distance.argmax())
        ax.plot(
            frequencies,
            10 ** log_density[outlier],
            color=CONTRAST,
            linewidth=1.3,
            label=f"most different:\n{shorten_name(spectra.participants[outlier])}",
        )
        ax.legend(frameon=False)
    return figure


def _spectrum_axes(spectra: Spectra) -> tuple[Figure, Axes, np.ndarray]:
    """Return a figure, its axes, and a mask of the frequencies to draw, (n_frequencies,) bool."""
    figure = new_figure(4.2, 3.0)
    ax = add_axes(figure, 1, 1, 1)
    ax.set_yscale("log")
    # the labels of matplotlib are mathematical text, which is not rendered here
    ax.yaxis.set_major_formatter(FuncFormatter(lambda density, _: f"{density:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(MIN_FREQUENCY_HZ, spectra.max_frequency_hz)
    ax.set_xlabel("frequency (Hz)")
    ax.set_ylabel("µV²/Hz")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    in_range = (spectra.frequencies >= MIN_FREQUENCY_HZ) & (
        spectra.frequencies <= spectra.max_frequency_hz
    )
    return figure, ax, in_range


def _label_participants(ax: Axes, participants: tuple[str, ...]) -> None:
    ax.set_yticks(range(len(participants)), [shorten_name(name) for name in participants])
    ax.set_ylim(len(participants) - 0.4, -0.6)
