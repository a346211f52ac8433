"""Figures of a prediction: probabilities over time, valence-arousal plane, and scalp."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from milmer_cli.prediction.result import PredictResult
from milmer_cli.reports.plots.style import (
    ACCENT,
    GRID,
    INK,
    MUTED,
    SURFACE,
    add_axes,
    apply_style,
    class_colors,
    new_figure,
    wrap_name,
)

VALENCE_SIGN = np.array([1.0, 1.0, -1.0, -1.0])
AROUSAL_SIGN = np.array([1.0, -1.0, -1.0, 1.0])
"""Signs of HAHV, LAHV, LALV, HALV on the two axes."""


def valence_arousal(probabilities: np.ndarray) -> np.ndarray:
    """Return P(high) - P(low) of valence and of arousal, (n, 2), -1 to 1.

    Parameters
    ----------
    probabilities
        (n, 4) in the order HAHV, LAHV, LALV, HALV.
    """
    return np.stack([probabilities @ VALENCE_SIGN, probabilities @ AROUSAL_SIGN], axis=1)


@apply_style
def plot_timeline(result: PredictResult, width_in: float) -> Figure:
    """Plot the probability of each class, the most likely class, and the quality, over time.

    Parameters
    ----------
    result
        The prediction.
    width_in
        Width of the figure, in inches.
    """
    names = result.class_names
    quality = {"faces": result.face_share, "EEG": result.eeg_good}
    quality_rows = [(name, share) for name, share in quality.items() if share is not None]
    heights = [1.0] * len(names) + [0.42] + [0.42] * len(quality_rows)
    figure = new_figure(width_in, 0.55 + 0.58 * sum(heights))
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights, hspace=0.0)
    onset = result.onset
    edges = np.append(onset, onset[-1] + result.segment_s)
    axes = [add_axes(figure, grid[row]) for row in range(len(heights))]
    probabilities = np.where(result.abstained[:, None], np.nan, result.probabilities)
    for ax, name, color, values in zip(
        axes, names, class_colors(len(names)), probabilities.T, strict=False
    ):
        _plot_probability(ax, edges, values, color)
        ax.axhline(1 / len(names), color=MUTED, linewidth=0.9, linestyle=":")
        _label_row(ax, name)
    _plot_classes(axes[len(names)], result)
    for ax, (name, share) in zip(axes[len(names) + 1 :], quality_rows, strict=True):
        _plot_quality(ax, edges, share)
        _label_row(ax, name)
    for ax in axes:
        ax.set_xlim(edges[0], edges[-1])
        ax.spines["left"].set_visible(False)
        if ax is not axes[-1]:
            ax.tick_params(axis="x", length=0, labelbottom=False)
    axes[-1].xaxis.set_major_locator(MaxNLocator(nbins=6 if width_in < 6 else 12, integer=True))
    axes[-1].set_xlabel("seconds from the start of the stimulus")
    return figure


def _steps(edges: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return times and values of a line that is constant in each segment."""
    return np.repeat(edges, 2)[1:-1], np.repeat(values, 2)


def _label_row(ax: Axes, name: str) -> None:
    ax.set_ylabel(wrap_name(name), rotation=0, ha="right", va="center", color=INK, labelpad=26)


def _plot_probability(ax: Axes, edges: np.ndarray, values: np.ndarray, color: str) -> None:
    times, heights = _steps(edges, values)
    ax.fill_between(times, 0, heights, color=color, alpha=0.28, linewidth=0)
    ax.plot(times, heights, color=color, linewidth=1.6)
    ax.set_ylim(0, 1.04)
    ax.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"], fontsize=8)
    ax.grid(axis="y", color=GRID, linewidth=0.8)


def _plot_classes(ax: Axes, result: PredictResult) -> None:
    """Plot one bar per run of segments with the same class; hatched for abstention."""
    colors = class_colors(len(result.class_names))
    predicted, onset = result.predicted, result.onset
    starts = np.flatnonzero(np.append(True, np.diff(predicted) != 0))
    ends = np.append(starts[1:], len(predicted)) - 1
    spans = np.stack([onset[starts], onset[ends] + result.segment_s - onset[starts]], axis=1)
    for label in np.unique(predicted):
        bars = [(float(begin), float(width)) for begin, width in spans[predicted[starts] == label]]
        if label < 0:
            ax.broken_barh(bars, (0, 1), facecolor="none", edgecolor=MUTED, hatch="////")
        else:
            ax.broken_barh(bars, (0, 1), color=colors[label], edgecolor=SURFACE, linewidth=0.6)
    ax.set_ylim(-0.25, 1.05)
    ax.set_yticks([])
    ax.spines["bottom"].set_visible(False)
    _label_row(ax, "class")


def _plot_quality(ax: Axes, edges: np.ndarray, share: np.ndarray) -> None:
    ax.fill_between(edges[[0, -1]], 0, 1, color=GRID, linewidth=0)
    ax.fill_between(*_steps(edges, share), color=ACCENT, alpha=0.75, linewidth=0)
    ax.set_ylim(-0.25, 1.05)
    ax.set_yticks([])


@apply_style
def plot_plane(result: PredictResult) -> Figure:
    """Plot the path of the predictions through the valence-arousal plane; later is darker.

    Parameters
    ----------
    result
        Prediction of a model of the four quadrants.
    """
    figure = new_figure(4.8, 4.5)
    ax = add_axes(figure)
    colors = class_colors(4)
    corners = zip(result.class_names, VALENCE_SIGN, AROUSAL_SIGN, colors, strict=True)
    for name, right, up, color in corners:
        ax.fill_between([0, right], 0, up, color=color, alpha=0.10, linewidth=0)
        ax.text(
            0.95 * right,
            0.93 * up,
            wrap_name(name),
            ha="right" if right > 0 else "left",
            va="center",
            color=color,
            weight="bold",
        )
    path = valence_arousal(result.probabilities[~result.abstained])
    fading = [to_rgba(INK, float(alpha)) for alpha in np.linspace(0.25, 1.0, len(path))]
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


@apply_style
def plot_scalp(names: Sequence[str], positions: np.ndarray, attention: np.ndarray) -> Figure:
    """Plot a dot per EEG channel whose size and strength are its share of the attention.

    A dot of uniform attention has half of the largest size, so that nearly uniform attention is
    visible as such.

    Nothing is interpolated between electrodes: attention is defined per channel, not as a field.

    Parameters
    ----------
    names
        Channels.
    positions
        (n_channels, 2) on a head seen from above, nose up, with its rim at radius 1.
    attention
        (n_channels,) not negative.
    """
    figure = new_figure(4.8, 4.7)
    ax = add_axes(figure)
    ax.set_axis_off()
    angle = np.linspace(0, 2 * np.pi, 200)
    head = 1.16
    ax.plot(head * np.cos(angle), head * np.sin(angle), color=MUTED, linewidth=1.2)
    ax.plot([-0.14, 0, 0.14], [head, head + 0.14, head], color=MUTED, linewidth=1.2)
    for ear in (-1, 1):
        arc = np.linspace(-0.5, 0.5, 20) * np.pi
        ax.plot(ear * (head + 0.09 * np.cos(arc)), 0.2 * np.sin(arc), color=MUTED, linewidth=1.2)
    relative = attention / (attention.mean() or 1.0)
    share = relative / max(2.0, float(relative.max()))
    colors = [to_rgba(ACCENT, 0.08 + 0.5 * float(value)) for value in share]
    x, y = positions.T
    ax.scatter(x, y, s=30 + 470 * share, color=colors, linewidths=0)
    for name, position in zip(names, positions, strict=True):
        ax.text(
            float(position[0]),
            float(position[1]),
            wrap_name(name),
            ha="center",
            va="center_baseline",
            color=INK,
            fontsize=8,
        )
    ax.set_xlim(-1.4, 1.4)
    ax.set_ylim(-1.35, 1.4)
    ax.set_aspect("equal")
    return figure
