from __future__ import annotations

import math
from dataclasses import replace

from milmer_cli.metrics import METRICS
from milmer_cli.reports.text import (
    METRIC_NAMES,
    format_number,
    format_p_cell,
    format_percent,
    metric_row,
)


def test_metric_row_shows_value_interval_and_chance(protocol_results):
    scores = protocol_results["trial"].scores
    accuracy, kappa = scores.accuracy, scores.segment["kappa"]
    row = metric_row(scores, "accuracy")
    assert row["segment"] == f"{100 * accuracy.value:.1f} %"
    assert row["segment_interval"] == f"{100 * accuracy.low:.1f} to {100 * accuracy.high:.1f}"
    assert row["chance"] == "25.0 %"
    assert metric_row(scores, "kappa")["segment"] == f"{kappa.value:.3f}"
    assert metric_row(scores, "brier")["chance"] == "0.750"
    assert set(METRIC_NAMES) == set(METRICS)


def test_metric_row_marks_undefined_values(protocol_results):
    scores = protocol_results["trial"].scores
    undefined = replace(scores.segment["auc"], value=math.nan, low=math.nan, high=math.nan)
    row = metric_row(replace(scores, segment={**scores.segment, "auc": undefined}), "auc")
    assert (row["segment"], row["segment_interval"]) == ("undefined", "")


def test_format_functions():
    assert format_percent(0.1234) == "12.3 %"
    assert format_number(0.1234, 3) == "0.123"
    assert format_percent(math.nan) == format_number(math.nan, 1) == "undefined"
    assert [format_p_cell(p) for p in (0.0001, 0.02, math.nan)] == ["< 0.001", "0.020", "undefined"]
