from __future__ import annotations

import re
import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from PIL import Image

from milmer_cli.report import figures, prediction_figures, trust_figures
from milmer_cli.report.theme import CLASS_COLOURS, INK, class_colours, save, to_svg


def words(figure) -> list[str]:
    svg = str(to_svg(figure, "one", "what it shows"))
    return [text for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg) if text.strip()]


def test_confusion_shows_counts_and_shares_of_the_truth():
    shown = words(figures.confusion(np.array([[3, 1], [0, 0]]), ("low valence", "high valence")))
    assert shown.count("75 %") == 1
    assert shown.count("25 %") == 1
    assert shown.count("-") == 2  # a class that does not occur has no shares
    assert {"3", "1", "0"} <= set(shown)


def test_participants_are_all_named_with_chance_beside_them(results):
    shown = words(figures.participants(results["trial"].scores))
    assert {"s01", "s02", "s03", "s04", "chance band", "their majority class"} <= set(shown)


def test_ladder_has_a_rung_for_each_protocol_and_marks_the_leaky_one(results):
    rungs = [(name, result.scores) for name, result in results.items()]
    shown = words(figures.ladder(rungs))
    for name, scores in rungs:
        assert f"{100 * scores.segment['accuracy'].value:.1f} %" in shown
        assert name in shown
    assert "(LEAKY)" in shown
    assert "chance band" in shown


def test_learning_curve_is_written_whole_and_names_its_protocol(tmp_path):
    epochs = [
        SimpleNamespace(
            epoch=number,
            train_loss=1 / number,
            train_accuracy=0.3,
            validation_loss=1.2,
            validation_accuracy=0.28,
        )
        for number in (1, 2, 3)
    ]
    path = tmp_path / "learning-curve.svg"
    figures.learning_curve(SimpleNamespace(epochs=epochs, best_epoch=2), path, "segment", 0.27)
    assert [p.name for p in tmp_path.iterdir()] == ["learning-curve.svg"]
    assert "segment protocol, LEAKY" in path.read_text()
    assert "majority class" in path.read_text()
    figures.learning_curve(SimpleNamespace(epochs=epochs, best_epoch=2), path, "validation images")
    assert "(validation images)" in path.read_text()


def test_figures_follow_the_page_and_say_what_they_show(results):
    svg = str(to_svg(figures.participants(results["trial"].scores), "p", 'what "it" shows'))
    assert 'role="img" aria-label="what &quot;it&quot; shows"' in svg
    assert "var(--ink)" in svg
    assert "var(--accent)" in svg
    assert not re.search(r"#[0-9a-f]{6}", re.sub(r'(?:href|id)="[^"]*"|url\([^)]*\)', "", svg))
    assert "<style" not in svg


def test_drawing_leaves_matplotlib_as_it_was(results, tmp_path):
    before = dict(matplotlib.rcParams)
    save(figures.participants(results["trial"].scores), tmp_path / "people.png")
    assert dict(matplotlib.rcParams) == before
    assert Image.open(tmp_path / "people.png").size[0] > 600
    code = "import sys, milmer_cli.report.html; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("quadrant", "sides"), [(0, [1, 1]), (1, [1, -1]), (2, [-1, -1]), (3, [-1, 1])]
)
def test_quadrants_lie_where_their_names_say(quadrant, sides):
    assert prediction_figures.valence_arousal(np.eye(4)[[quadrant]])[0].tolist() == sides


def test_timeline_names_every_row(prediction_of):
    shown = words(prediction_figures.timeline(prediction_of().timeline, 9.4))
    assert {"HAHV", "LAHV", "LALV", "HALV", "class", "faces", "EEG"} <= set(shown)
    without = words(prediction_figures.timeline(prediction_of(faces=False).timeline, 4.8))
    assert "faces" not in without


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_class_colours_stand_out_from_white():
    for colour in (*CLASS_COLOURS, INK):
        assert 1.05 / (luminance(colour) + 0.05) >= 3
    assert len(set(class_colours(2))) == 2
    assert class_colours(4) == CLASS_COLOURS


def test_deletion_curve_stands_on_chance(results, curves):
    shown = words(trust_figures.deletion(curves["deletion"], results["trial"].scores))
    assert {"chance band", "random ones deleted", "chosen ones deleted"} <= set(shown)


def test_reliability_tells_the_error_before_and_after(curves):
    before, after = curves["reliability"]
    shown = words(trust_figures.reliability(before, after))
    assert f"as trained, error {100 * before.error:.1f} %" in shown
    assert f"after calibration, error {100 * after.error:.1f} %" in shown
    alone = words(trust_figures.reliability(before))
    assert f"the model, error {100 * before.error:.1f} %" in alone
