"""Shared style of all figures, and the two output formats: an image file, or SVG for a page.

The class colors are distinguishable with normal vision and with the three types of color-vision
deficiency, and their contrast with the background is at least 3:1 in light and in dark mode.
Figures never rely on color alone: they also name the classes.
"""

from __future__ import annotations

import html
import io
import re
import textwrap
import unicodedata
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from milmer_cli.io import atomic_write
from milmer_cli.metrics.results import protocol_marks

if TYPE_CHECKING:
    from milmer_cli.metrics import Scores

INK, MUTED, GRID, SURFACE, ACCENT = "#1b2027", "#5a6470", "#dde2e8", "#fffffe", "#2a5c9f"
CLASS_COLORS = ("#936500", "#09a37c", "#4876ba", "#8d223d")
"""Colors of the quadrants: HAHV amber, LAHV green, LALV blue, HALV wine."""
HIGHLIGHT, WARNING = CLASS_COLORS[0], CLASS_COLORS[3]
WIDE_IN = 9.4
"""Width of a figure that fills a page, in inches of 72 points."""
MAX_NAME_LENGTH = 44
"""Longest name of a class, participant or channel in a figure; longer ones are shortened."""
NARROW_IN = 4.8
"""Width of a figure that is readable on a phone, in inches of 72 points."""

_Arguments = ParamSpec("_Arguments")
_Returned = TypeVar("_Returned")

_CSS_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    SURFACE: "--surface",
    ACCENT: "--accent",
    **{color: f"--class-{index}" for index, color in enumerate(CLASS_COLORS)},
}
_RC_PARAMS: dict[Any, Any] = {
    "text.parse_math": False,  # names of classes, participants and files may contain dollar signs
    "text.usetex": False,
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


def class_color_indices(n_classes: int) -> tuple[int, ...]:
    """Index in `CLASS_COLORS` of each class; two classes take blue (low) and amber (high)."""
    return (2, 0) if n_classes == 2 else tuple(k % len(CLASS_COLORS) for k in range(n_classes))


def class_colors(n_classes: int) -> tuple[str, ...]:
    """Return one color per class, as ``#rrggbb``."""
    return tuple(CLASS_COLORS[index] for index in class_color_indices(n_classes))


def apply_style(draw: Callable[_Arguments, _Returned]) -> Callable[_Arguments, _Returned]:
    """Decorate a plotting function: it runs with this module's rcParams and restores the others."""

    @wraps(draw)
    def styled(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Returned:
        with matplotlib.rc_context(_RC_PARAMS):
            return draw(*arguments, **options)

    return styled


def new_figure(width_in: float, height_in: float) -> Figure:
    """Create an empty figure without a window or pyplot state; sizes in inches."""
    return Figure(figsize=(width_in, height_in), layout="constrained")


def add_axes(figure: Figure, *position: Any) -> Axes:
    """Add axes with spines on the left and at the bottom only, and the grid behind the data."""
    axes: Axes = figure.add_subplot(*position)
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return axes


def shorten_name(name: str) -> str:
    """Shorten a name in the middle and put it in one line, so that it fits into a figure."""
    name = " ".join(name.split()) or " "
    n_kept = min(len(name), MAX_NAME_LENGTH)
    shortened = name if n_kept == len(name) else _without_middle(name, n_kept)
    while sum(map(_character_width, shortened)) > MAX_NAME_LENGTH:
        n_kept -= 1
        shortened = _without_middle(name, n_kept)
    return shortened


def _without_middle(name: str, length: int) -> str:
    end = (length - 1) // 2
    return f"{name[: length - 1 - end]}…{name[-end:]}"


def _character_width(character: str) -> float:
    """Approximate width of a character, relative to a small letter."""
    if unicodedata.east_asian_width(character) in "WF":
        return 2.0
    return 1.7 if character in "mwMW@%" else 1.0


def wrap_name(name: str) -> str:
    """Shorten a name, and wrap it to at most three lines at the edge of a figure."""
    lines = textwrap.wrap(shorten_name(name), 10, max_lines=3, placeholder="…")
    return "\n".join(lines) or " "


def null_label(scores: Scores) -> str:
    """Label of the gray area: accuracies with permuted labels."""
    return f"null distribution, middle {100 * scores.resampling.confidence_level:g} %"


def add_legend_below(figure: Figure, ax: Axes) -> None:
    """Add the legend of ``ax`` below it, so that it covers no data."""
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=2, frameon=False, handlelength=1.4
    )


@apply_style
def add_protocol_title(
    figure: Figure, protocol: str, leaky: bool, transductive: bool = False
) -> Figure:
    """Add a title that names the protocol and, where they apply, LEAKY and TRANSDUCTIVE."""
    marks = protocol_marks(leaky, transductive)
    figure.suptitle(
        f"{protocol} protocol{f', {marks}' if marks else ''}",
        x=0.01,
        ha="left",
        fontsize=10.5,
        color=WARNING if marks else MUTED,
        fontweight="bold" if marks else "normal",
    )
    return figure


@apply_style
def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to ``path`` atomically; the suffix determines the format."""
    file_format = path.suffix.removeprefix(".")
    atomic_write(
        path,
        lambda file: figure.savefig(file, format=file_format, dpi=160, facecolor=SURFACE),
    )


@apply_style
def to_svg(figure: Figure, name: str, description: str) -> Markup:
    """Convert a figure to an inline ``<svg>`` that uses the colors and the font of the page.

    Parameters
    ----------
    figure
        Drawn with the colors of this module, which are replaced by CSS variables.
    name
        Prefix of all ids in the SVG; must be unique on the page.
    description
        Text alternative for screen readers.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    # the text between the tags is the user's and stays as it is
    svg = re.sub(r"<[^>]+>", lambda tag: _adapt_tag(tag[0], name), svg)
    opening, rest = svg.split(">", 1)
    svg = re.sub(r'\s(?:width|height|version)="[^"]*"', "", opening) + ">" + rest
    svg = re.sub(r"\s*\n\s*", " ", svg)
    label = html.escape(description, quote=True)
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1))


def _adapt_tag(tag: str, name: str) -> str:
    """Prefix the ids of an SVG tag, and use the font and the colors of the page."""
    tag = tag.replace(' id="', f' id="{name}-').replace("url(#", f"url(#{name}-")
    tag = tag.replace('href="#', f'href="#{name}-')
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = re.sub(r"font: ([^;\"]*?px) [^;\"]*", r"font: \1 var(--font)", tag)
    for color, variable in _CSS_VARIABLES.items():
        tag = tag.replace(color, f"var({variable})")
    return tag
