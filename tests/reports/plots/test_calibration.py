from __future__ import annotations

from milmer_cli.reports.plots.calibration import plot_deletion_curve, plot_reliability_diagram


def test_deletion_curve_shows_chance(protocol_results, deletion, texts):
    shown = texts(plot_deletion_curve(deletion, protocol_results["trial"].scores))
    assert {
        "chance (permutation)",
        "random faces removed",
        "selected faces removed",
    } <= set(shown)


def test_reliability_diagram_shows_calibration_errors(reliability, texts):
    before, after = reliability
    name = "expected calibration error"
    shown = texts(plot_reliability_diagram(before, after))
    assert f"uncalibrated, {name} {100 * before.error:.1f} %" in shown
    assert f"calibrated, {name} {100 * after.error:.1f} %" in shown
    assert f"model, {name} {100 * before.error:.1f} %" in texts(plot_reliability_diagram(before))
