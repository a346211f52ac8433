"""Colours and how a figure leaves matplotlib: as a file, or as SVG that follows the page's colours.

Class colours are told apart with normal vision and with the three colour-vision deficiencies, and
stand out from the background by at least 3 to 1, on light and on dark. Figures also name classes
in words.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID, SURFACE, ACCENT = "#1b2027", "#5a6470", "#dde2e8", "#fffffe", "#2a5c9f"
CLASS_COLOURS = ("#936500", "#09a37c", "#4876ba", "#8d223d")
"""Quadrants in their order: HAHV amber, LAHV green, LALV blue, HALV wine."""

_Arguments = ParamSpec("_Arguments")
_Drawn = TypeVar("_Drawn")

_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    SURFACE: "--surface",
    ACCENT: "--accent",
    **{colour: f"--class-{number}" for number, colour in enumerate(CLASS_COLOURS)},
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "milmer",
    "font.family": "sans-serif",
    "font.size": 10.5,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10,
    "legend.fontsize": 9.5,
}


def class_numbers(n_classes: int) -> tuple[int, ...]:
    """Which class colours the classes take; of two, low is blue and high is amber."""
    return (2, 0) if n_classes == 2 else tuple(k % len(CLASS_COLOURS) for k in range(n_classes))


def class_colours(n_classes: int) -> tuple[str, ...]:
    """Colours of the classes, in their order."""
    return tuple(CLASS_COLOURS[number] for number in class_numbers(n_classes))


def house_style(draw: Callable[_Arguments, _Drawn]) -> Callable[_Arguments, _Drawn]:
    """Let a function draw with the fonts and colours of the house, and leave the defaults alone."""

    @wraps(draw)
    def styled(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Drawn:
        with matplotlib.rc_context(_STYLE):
            return draw(*arguments, **options)

    return styled


def new_figure(width_in: float, height_in: float) -> Figure:
    """Make an empty figure, tied to no window."""
    return Figure(figsize=(width_in, height_in), layout="constrained")


def add_axes(figure: Figure, *position: Any) -> Axes:
    """Add axes with a light frame on the left and below, and the grid behind."""
    axes: Axes = figure.add_subplot(*position)
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return axes


@house_style
def save(figure: Figure, path: Path) -> None:
    """Write a figure to ``path`` (the suffix says the format), whole or not at all."""
    aside = path.with_name(f"{path.stem}.part{path.suffix}")
    figure.savefig(aside, dpi=160, facecolor=SURFACE)
    aside.replace(path)


@house_style
def to_svg(figure: Figure, name: str, description: str) -> Markup:
    """Turn a figure into an ``<svg>`` for a page, which follows the page's colours and font.

    Parameters
    ----------
    figure
        Drawn with the colours of this module.
    name
        Unique on the page: begins every id of the picture.
    description
        What the picture shows, for who cannot see it.
    """
    written = io.StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = svg.replace(' id="', f' id="{name}-').replace("url(#", f"url(#{name}-")
    svg = svg.replace('href="#', f'href="#{name}-')
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r"font: ([^;\"]*?px) [^;\"]*", r"font: \1 var(--font)", svg)
    opening, rest = svg.split(">", 1)
    svg = re.sub(r'\s(?:width|height|version)="[^"]*"', "", opening) + ">" + rest
    svg = re.sub(r"\s*\n\s*", " ", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    label = html.escape(description, quote=True)
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1))
