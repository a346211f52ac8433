from __future__ import annotations

from milmer_cli.reports.plots.calibration import plot_deletion_curve, plot_reliability_diagram


def test_deletion_curve_shows_chance(protocol_results, deletion, texts):
    shown = texts(plot_deletion_curve(deletion, protocol_results["trial"].scores))
    assert {
        "null distribution, middle 95 %",
        "random faces removed",
        "selected faces removed",
    } <= set(shown)


def test_reliability_diagram_shows_calibration_errors(reliability, texts):
    before, after = reliability
    name = "expected calibration error"
    shown = texts(plot_reliability_diagram(before, after))
    assert f"before calibration, {name} {100 * before.error:.1f} %" in shown
    assert f"after calibration, {name} {100 * after.error:.1f} %" in shown
    assert f"model, {name} {100 * before.error:.1f} %" in texts(plot_reliability_diagram(before))


def test_reliability_diagram_shows_the_number_of_segments_of_each_bin(reliability, texts):
    _, after = reliability
    shown = texts(plot_reliability_diagram(*reliability))
    counts = [str(count) for count in after.count if count]
    assert [text for text in shown if text in counts] == counts
    assert sum(map(int, counts)) == 500
