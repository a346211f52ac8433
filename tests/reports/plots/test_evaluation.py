from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.reports.plots.evaluation import (
    plot_confusion_matrix,
    plot_learning_curve,
    plot_participant_accuracies,
    plot_protocol_ladder,
)
from milmer_cli.training.history import Epoch, History


def test_confusion_matrix_shows_counts_shares_and_the_source_of_the_truth(texts):
    matrix = np.array([[3, 1], [0, 0]])
    figure = plot_confusion_matrix(matrix, ("low valence", "high valence"), "labeled by annotators")
    shown = texts(figure)
    assert shown.count("75 %") == 1
    assert shown.count("25 %") == 1
    assert shown.count("-") == 2  # no shares for a class without true segments
    assert {"3", "1", "0", "labeled by annotators"} <= set(shown)
    assert "rated by the participant" not in shown


def test_participant_accuracies_name_participants_and_chance(protocol_results, texts):
    shown = set(texts(plot_participant_accuracies(protocol_results["trial"].scores)))
    assert {"s01", "s02", "s03", "s04"} <= shown
    assert {"null distribution, middle 95 %", "majority class of participant"} <= shown


def test_protocol_ladder_shows_all_protocols_and_marks_leaky_ones(protocol_results, texts):
    scores = [(name, result.scores) for name, result in protocol_results.items()]
    shown = texts(plot_protocol_ladder(scores))
    for name, values in scores:
        assert f"{100 * values.trial_accuracy.value:.1f} %" in shown
        assert name in shown
    assert "(LEAKY)" in shown
    assert "null distribution, middle 95 %" in shown


@pytest.fixture
def history() -> History:
    epochs = tuple(Epoch(number, 1 / number, 0.3, 1.2, 0.28, 0.28, 0.2, 1e-3) for number in (1, 2))
    return History(epochs, 2, 1.0, 0.0, 4)


def test_learning_curve_names_the_protocol(history, tmp_path):
    path = tmp_path / "learning-curve.svg"
    plot_learning_curve(history, path, "segment", 0.27)
    assert [entry.name for entry in tmp_path.iterdir()] == ["learning-curve.svg"]
    content = path.read_text()
    assert "segment protocol, LEAKY" in content
    assert "majority class" in content
    assert "selected epoch" in content


def test_learning_curve_describes_other_validation_sets(history, tmp_path):
    plot_learning_curve(history, tmp_path / "curve.svg", "validation images")
    content = (tmp_path / "curve.svg").read_text()
    assert "(validation images)" in content
    assert "majority class" not in content
