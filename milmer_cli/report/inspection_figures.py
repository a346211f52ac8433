"""Figures of a prepared store: coverage, the EEG of a segment, spectra."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
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
)

NO_EEG = CLASS_COLOURS[3]
_ROW_IN = 0.24
_POINTS_A_CHANNEL = 200


@house_style
def coverage(
    faces: np.ndarray, eeg: np.ndarray, participants: Sequence[str], trials: Sequence[int]
) -> Figure:
    """Draw what of each trial is there: the fuller a cell, the more images show the face.

    Parameters
    ----------
    faces
        (n_participants, n_trials) share of the images with a face; NaN for no such trial.
    eeg
        (n_participants, n_trials) share of the segments with EEG; a cross where it is below 1.
    participants, trials
        Names of the rows and of the columns.
    """
    figure = new_figure(9.4, 0.9 + _ROW_IN * max(2, len(participants)))
    ax = add_axes(figure, 1, 1, 1)
    for row, column in np.argwhere(np.isfinite(faces)):
        corner = (column - 0.45, row - 0.42)
        frame = Rectangle(corner, 0.9, 0.84, linewidth=0.6, facecolor="none", edgecolor=MUTED)
        ax.add_patch(frame)
        if faces[row, column] > 0:
            height = 0.84 * float(faces[row, column])
            low = row + 0.42 - height
            ax.add_patch(Rectangle((column - 0.45, low), 0.9, height, facecolor=ACCENT))
    lost = np.argwhere(np.isfinite(faces) & (eeg < 1))
    ax.plot(lost[:, 1], lost[:, 0], "x", color=NO_EEG, markersize=5, markeredgewidth=1.4)
    ax.set_xlim(-0.6, len(trials) - 0.4)
    ax.set_ylim(len(participants) - 0.4, -0.6)
    ax.set_yticks(range(len(participants)), participants)
    step = 1 + len(trials) // 21
    ax.set_xticks(range(0, len(trials), step), [str(trial) for trial in trials[::step]])
    ax.set_xlabel("trial")
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(length=0)
    return figure


@house_style
def face_shares(participants: Sequence[str], shares: Sequence[float]) -> Figure:
    """Draw the share of images with a face for each participant."""
    figure = new_figure(4.8, 0.8 + _ROW_IN * max(2, len(participants)))
    ax = add_axes(figure, 1, 1, 1)
    ax.barh(range(len(participants)), shares, color=ACCENT, height=0.7)
    ax.set_yticks(range(len(participants)), participants)
    ax.set_ylim(len(participants) - 0.4, -0.6)
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="x", color=GRID, linewidth=0.8)
    ax.tick_params(axis="y", length=0)
    return figure


@house_style
def traces(eeg: np.ndarray, channels: Sequence[str], sfreq: float, onset_s: float) -> Figure:
    """Draw the EEG of a segment, channel below channel.

    Parameters
    ----------
    eeg
        (n_channels, n_samples) microvolts.
    channels
        Names.
    sfreq
        Samples a second.
    onset_s
        Where the segment starts, in seconds of the trial.
    """
    figure = new_figure(4.2, 0.9 + 0.145 * max(6, len(channels)))
    ax = add_axes(figure, 1, 1, 1)
    step = max(1, eeg.shape[1] // _POINTS_A_CHANNEL)
    times = onset_s + np.arange(eeg.shape[1])[::step] / sfreq
    spacing = float(np.ceil(max(1.0, 4 * np.median(eeg.std(axis=1))) / 10) * 10)
    for row, signal in enumerate(eeg):
        ax.plot(times, -row + (signal[::step] - signal.mean()) / spacing, color=INK, linewidth=0.6)
    ax.set_yticks(-np.arange(len(channels)), channels, fontsize=7)
    ax.set_ylim(-len(channels) - 0.5, 1.5)
    ax.set_xlim(times[0], times[-1])
    ax.set_xlabel(f"seconds of the trial; rows are {spacing:g} µV apart")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return figure


@house_style
def spectrum(
    frequencies: np.ndarray, density: np.ndarray, usual: np.ndarray, limit_hz: float
) -> Figure:
    """Draw the spectrum of a segment beside what is usual in the store.

    Parameters
    ----------
    frequencies
        (n,) Hz.
    density
        (n_channels, n) square microvolts a hertz.
    usual
        (n,) median over a sample of the store.
    limit_hz
        Up to where to draw.
    """
    figure = new_figure(4.2, 3.0)
    ax = add_axes(figure, 1, 1, 1)
    inside = (frequencies >= 1) & (frequencies <= limit_hz)
    hertz, part = frequencies[inside], density[:, inside]
    ax.fill_between(hertz, part.min(axis=0), part.max(axis=0), color=GRID, label="all channels")
    ax.plot(hertz, np.median(part, axis=0), color=ACCENT, linewidth=1.6, label="median channel")
    ax.plot(hertz, usual[inside], color=MUTED, linewidth=1.1, linestyle="--", label="usual here")
    ax.set_yscale("log")
    ax.set_xlim(1, limit_hz)
    ax.set_xlabel("Hz")
    ax.set_ylabel("µV²/Hz")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.legend(frameon=False)
    return figure


@house_style
def spectra(
    frequencies: np.ndarray, density: np.ndarray, names: Sequence[str], limit_hz: float
) -> Figure:
    """Draw the median spectrum of each participant; the one furthest from the others is named.

    Parameters
    ----------
    frequencies
        (n,) Hz.
    density
        (n_participants, n) square microvolts a hertz.
    names
        Of the participants.
    limit_hz
        Up to where to draw.
    """
    figure = new_figure(4.2, 3.0)
    ax = add_axes(figure, 1, 1, 1)
    inside = (frequencies >= 1) & (frequencies <= limit_hz)
    hertz, logs = frequencies[inside], np.log10(np.maximum(density[:, inside], 1e-6))
    for row in logs:
        ax.plot(hertz, 10**row, color=ACCENT, linewidth=0.9, alpha=0.55)
    if len(names) > 2:
        odd = int(np.abs(logs - np.median(logs, axis=0)).mean(axis=1).argmax())
        ax.plot(
            hertz, 10 ** logs[odd], color=NO_EEG, linewidth=1.3, label=f"furthest: {names[odd]}"
        )
        ax.legend(frameon=False)
    ax.set_yscale("log")
    ax.set_xlim(1, limit_hz)
    ax.set_xlabel("Hz")
    ax.set_ylabel("µV²/Hz")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return figure
