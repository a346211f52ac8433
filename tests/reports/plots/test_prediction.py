from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.reports.plots import prediction as plots


@pytest.mark.parametrize(
    ("quadrant", "signs"), [(0, [1, 1]), (1, [1, -1]), (2, [-1, -1]), (3, [-1, 1])]
)
def test_valence_arousal_signs_of_the_quadrants(quadrant, signs):
    assert plots.valence_arousal(np.eye(4)[[quadrant]])[0].tolist() == signs


def test_timeline_names_every_row(prediction_of, texts):
    shown = texts(plots.plot_timeline(prediction_of(), 9.4))
    assert {"HAHV", "LAHV", "LALV", "HALV", "class", "faces", "EEG"} <= set(shown)
    without_faces = texts(plots.plot_timeline(prediction_of(faces=False), 4.8))
    assert "faces" not in without_faces


def test_scalp_shows_uniform_attention_as_dots_of_half_the_largest_size():
    positions = np.eye(4, 2)
    for attention, expected in (
        (np.full(4, 0.25), [0.5, 0.5, 0.5, 0.5]),
        (np.array([0.7, 0.1, 0.1, 0.1]), [1, 1 / 7, 1 / 7, 1 / 7]),
    ):
        (axes,) = plots.plot_scalp(("Fp1", "Fz", "Cz", "Oz"), positions, attention).axes
        (dots,) = axes.collections
        assert (dots.get_sizes() - 30) / 470 == pytest.approx(np.array(expected))
