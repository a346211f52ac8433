"""Figures of a prediction: probabilities over time, and the path through the plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from milmer_cli.report.theme import (
    ACCENT,
    GRID,
    INK,
    MUTED,
    SURFACE,
    add_axes,
    class_colours,
    house_style,
    new_figure,
)

VALENCE_SIGN = np.array([1.0, 1.0, -1.0, -1.0])
AROUSAL_SIGN = np.array([1.0, -1.0, -1.0, 1.0])
"""Sides of HAHV, LAHV, LALV, HALV."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """What a model said of consecutive segments.

    Attributes
    ----------
    onset
        (n,) seconds from the start of the stimulus, ascending.
    segment_s
        Length of a segment in seconds.
    probabilities
        (n, n_classes).
    class_names
        Names of the classes.
    faces_found
        (n,) share of the instances in which a face was found; None without video.
    eeg_good
        (n,) share of the EEG channels that can be used; None without EEG.
    abstained
        (n,) segments too poor to be judged.
    """

    onset: np.ndarray
    segment_s: float
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    faces_found: np.ndarray | None
    eeg_good: np.ndarray | None
    abstained: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """(n,) most likely class; -1 where the model abstained."""
        return np.where(self.abstained, -1, self.probabilities.argmax(axis=1))


@dataclass(frozen=True, eq=False)
class ScalpMap:
    """How much the model looked at each EEG channel.

    Attributes
    ----------
    names
        Of the channels.
    places
        (n, 2) on a head seen from above, nose up, its rim at radius 1.
    attention
        (n,) share of the attention, not negative.
    """

    names: tuple[str, ...]
    places: np.ndarray
    attention: np.ndarray


def valence_arousal(probabilities: np.ndarray) -> np.ndarray:
    """(n, 2) probability of high minus probability of low, -1 to 1: valence, arousal.

    Parameters
    ----------
    probabilities
        (n, 4) in the order HAHV, LAHV, LALV, HALV.
    """
    return np.stack([probabilities @ VALENCE_SIGN, probabilities @ AROUSAL_SIGN], axis=1)


@house_style
def timeline(data: Timeline, width_in: float) -> Figure:
    """Draw each class in a row of its own, then the most likely class, then the quality.

    Parameters
    ----------
    data
        The segments.
    width_in
        9 for a desk, 4.8 for a phone.
    """
    n_classes = len(data.class_names)
    quality = [name for name in ("faces_found", "eeg_good") if getattr(data, name) is not None]
    heights = [1.0] * n_classes + [0.42] + [0.42] * len(quality)
    figure = new_figure(width_in, 0.55 + 0.58 * sum(heights))
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights, hspace=0.0)
    edges = np.append(data.onset, data.onset[-1] + data.segment_s)
    axes = [add_axes(figure, grid[row]) for row in range(len(heights))]
    for row, name in enumerate(data.class_names):
        _probability_row(axes[row], data, edges, row, name)
    _class_row(axes[n_classes], data)
    for ax, name in zip(axes[n_classes + 1 :], quality, strict=True):
        _quality_row(ax, data, edges, name)
    for ax in axes:
        ax.set_xlim(edges[0], edges[-1])
        ax.spines["left"].set_visible(False)
        if ax is not axes[-1]:
            ax.tick_params(axis="x", length=0, labelbottom=False)
    axes[-1].xaxis.set_major_locator(MaxNLocator(nbins=6 if width_in < 6 else 12, integer=True))
    axes[-1].set_xlabel("seconds from the start of the stimulus")
    return figure


def _steps(edges: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give times and values of a line that is flat over each segment."""
    return np.repeat(edges, 2)[1:-1], np.repeat(values, 2)


def _row_name(ax: Axes, name: str) -> None:
    ax.set_ylabel(
        name.replace(" ", "\n"), rotation=0, ha="right", va="center", color=INK, labelpad=26
    )


def _probability_row(ax: Axes, data: Timeline, edges: np.ndarray, kind: int, name: str) -> None:
    colour = class_colours(len(data.class_names))[kind]
    share = np.where(data.abstained, np.nan, data.probabilities[:, kind])
    times, heights = _steps(edges, share)
    ax.fill_between(times, 0, heights, color=colour, alpha=0.28, linewidth=0)
    ax.plot(times, heights, color=colour, linewidth=1.6)
    ax.axhline(1 / len(data.class_names), color=MUTED, linewidth=0.9, linestyle=":")
    ax.set_ylim(0, 1.04)
    ax.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"], fontsize=8)
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    _row_name(ax, name)


def _class_row(ax: Axes, data: Timeline) -> None:
    """Draw each run of one class as one bar; hatched where the model abstained."""
    colours = class_colours(len(data.class_names))
    predicted = data.predicted
    starts = np.flatnonzero(np.append(True, np.diff(predicted) != 0))
    ends = np.append(starts[1:], len(predicted)) - 1
    begin = data.onset[starts]
    spans = np.stack([begin, data.onset[ends] + data.segment_s - begin], axis=1)
    for kind in np.unique(predicted[starts]):
        bars = [(float(start), float(length)) for start, length in spans[predicted[starts] == kind]]
        if kind < 0:
            ax.broken_barh(bars, (0, 1), facecolor="none", edgecolor=MUTED, hatch="////")
        else:
            ax.broken_barh(bars, (0, 1), color=colours[kind], edgecolor=SURFACE, linewidth=0.6)
    ax.set_ylim(-0.25, 1.05)
    ax.set_yticks([])
    ax.spines["bottom"].set_visible(False)
    _row_name(ax, "class")


def _quality_row(ax: Axes, data: Timeline, edges: np.ndarray, name: str) -> None:
    values = np.asarray(getattr(data, name), dtype=np.float64)
    ax.fill_between(edges[[0, -1]], 0, 1, color=GRID, linewidth=0)
    ax.fill_between(*_steps(edges, values), color=ACCENT, alpha=0.75, linewidth=0)
    ax.set_ylim(-0.25, 1.05)
    ax.set_yticks([])
    _row_name(ax, {"faces_found": "faces", "eeg_good": "EEG"}[name])


@house_style
def plane(data: Timeline) -> Figure:
    """Draw the path of the probabilities through the valence-arousal plane, from faint to strong.

    Parameters
    ----------
    data
        Segments of a model of the four quadrants.
    """
    figure = new_figure(4.8, 4.5)
    ax = add_axes(figure)
    colours = class_colours(4)
    corners = zip(data.class_names, VALENCE_SIGN, AROUSAL_SIGN, colours, strict=True)
    for name, right, up, colour in corners:
        ax.fill_between([0, right], 0, up, color=colour, alpha=0.10, linewidth=0)
        ax.text(
            0.95 * right,
            0.93 * up,
            name,
            ha="right" if right > 0 else "left",
            va="center",
            color=colour,
            weight="bold",
        )
    kept = ~data.abstained
    path = valence_arousal(data.probabilities[kept])
    age = np.linspace(0.25, 1.0, len(path))
    fading = [to_rgba(INK, float(alpha)) for alpha in age]
    lines = np.stack([path[:-1], path[1:]], axis=1)
    ax.add_collection(LineCollection(list(lines), colors=fading[1:], linewidths=1.2))
    ax.scatter(path[:, 0], path[:, 1], s=14, color=fading, linewidths=0, zorder=2)
    if len(path):
        ax.plot(
            *path[0], "o", color=INK, markerfacecolor=SURFACE, markersize=8, label="first segment"
        )
        ax.plot(*path[-1], "s", color=INK, markersize=8, label="last segment")
        ax.plot(*path.mean(axis=0), "P", color=ACCENT, markersize=11, label="mean")
    ax.axhline(0, color=MUTED, linewidth=0.8)
    ax.axvline(0, color=MUTED, linewidth=0.8)
    ax.set_xlim(-1, 1)
    ax.set_ylim(-1, 1)
    ax.set_aspect("equal")
    ax.set_xticks([-0.92, 0, 0.92], ["low", "unsure", "high"])
    ax.set_yticks([-0.92, 0, 0.92], ["low", "unsure", "high"], rotation=90, va="center")
    ax.tick_params(length=0)
    ax.set_xlabel("valence")
    ax.set_ylabel("arousal")
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


@house_style
def scalp(data: ScalpMap) -> Figure:
    """Draw each channel at its place, as large and as strong as its share of the attention.

    Nothing is drawn between electrodes: attention is paid to channels and is no field.
    """
    figure = new_figure(4.8, 4.7)
    ax = add_axes(figure)
    ax.set_axis_off()
    turn = np.linspace(0, 2 * np.pi, 200)
    head = 1.16
    ax.plot(head * np.cos(turn), head * np.sin(turn), color=MUTED, linewidth=1.2)
    ax.plot([-0.14, 0, 0.14], [head, head + 0.14, head], color=MUTED, linewidth=1.2)
    for ear in (-1, 1):
        bent = np.linspace(-0.5, 0.5, 20) * np.pi
        ax.plot(ear * (head + 0.09 * np.cos(bent)), 0.2 * np.sin(bent), color=MUTED, linewidth=1.2)
    share = data.attention / (data.attention.max() or 1.0)
    colours = [to_rgba(ACCENT, 0.08 + 0.5 * float(part)) for part in share]
    across, up = data.places.T
    ax.scatter(across, up, s=30 + 470 * share, color=colours, linewidths=0)
    for name, (x, y) in zip(data.names, data.places, strict=True):
        ax.text(x, y, name, ha="center", va="center_baseline", color=INK, fontsize=8)
    ax.set_xlim(-1.4, 1.4)
    ax.set_ylim(-1.35, 1.4)
    ax.set_aspect("equal")
    return figure
