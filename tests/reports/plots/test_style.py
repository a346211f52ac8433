from __future__ import annotations

import re

import matplotlib
import numpy as np
from PIL import Image

from helpers import run_python
from milmer_cli.reports.plots.evaluation import plot_participant_accuracies
from milmer_cli.reports.plots.style import (
    CLASS_COLORS,
    INK,
    add_protocol_title,
    class_colors,
    save_figure,
    to_svg,
)


def test_to_svg_uses_the_colors_of_the_page(protocol_results):
    figure = plot_participant_accuracies(protocol_results["trial"].scores)
    svg = str(to_svg(figure, "p", 'an "example"'))
    assert 'role="img" aria-label="an &quot;example&quot;"' in svg
    assert "var(--ink)" in svg
    assert "var(--accent)" in svg
    without_ids = re.sub(r'(?:href|id)="[^"]*"|url\([^)]*\)', "", svg)
    assert not re.search(r"#[0-9a-f]{6}", without_ids)
    assert "<style" not in svg


def test_save_figure_restores_rc_params_and_leaves_no_partial_file(protocol_results, tmp_path):
    before = dict(matplotlib.rcParams)
    figure = plot_participant_accuracies(protocol_results["trial"].scores)
    save_figure(figure, tmp_path / "participants.png")
    assert dict(matplotlib.rcParams) == before
    assert [path.name for path in tmp_path.iterdir()] == ["participants.png"]
    with Image.open(tmp_path / "participants.png") as image:
        assert image.size[0] > 600


def test_pages_do_not_import_pyplot():
    code = "import sys, milmer_cli.reports.evaluation; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert run_python("-c", code).returncode == 0


def test_add_protocol_title_marks_leaky_results(protocol_results, texts):
    def figure():
        return plot_participant_accuracies(protocol_results["trial"].scores)

    assert "trial protocol" in texts(add_protocol_title(figure(), "trial", leaky=False))
    assert "trial protocol, LEAKY" in texts(add_protocol_title(figure(), "trial", leaky=True))


def luminance(color: str) -> float:
    """Relative luminance of an sRGB color (WCAG 2)."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_class_colors_contrast_with_white():
    for color in (*CLASS_COLORS, INK):
        assert 1.05 / (luminance(color) + 0.05) >= 3
    assert len(set(class_colors(2))) == 2
    assert class_colors(4) == CLASS_COLORS
