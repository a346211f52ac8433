from __future__ import annotations

from dataclasses import replace

import pytest

from milmer_cli.evaluation.baselines import MAIN, MAJORITY
from milmer_cli.evaluation.costs import ModelCost
from milmer_cli.evaluation.results import ProbeResult
from milmer_cli.metrics.significance import Comparison
from milmer_cli.reports.evaluation_tables import evaluation_tables
from milmer_cli.reports.text import format_count, format_seconds


def test_evaluation_tables_without_further_results(evaluation):
    assert list(evaluation_tables(evaluation)) == []


def test_evaluation_tables_of_models(protocol_results, make_evaluation):
    trial, participant = (
        replace(protocol_results[p], models={MAIN: scores, MAJORITY: scores})
        for p, scores in ((p, protocol_results[p].scores) for p in ("trial", "participant"))
    )
    one, both = evaluation_tables(make_evaluation(trial, participant))
    accuracy = f"{100 * trial.scores.trial_accuracy.value:.1f} %"
    assert [row[0] for row in one.rows] == [MAIN, MAJORITY]
    assert one.rows[0][1].startswith(f"{accuracy} (")
    assert both.header == ("Model", "trial", "participant")
    assert both.rows[0][1].startswith(accuracy)


def test_evaluation_tables_of_missing_modalities(protocol_results, make_evaluation):
    scores = protocol_results["trial"].scores
    result = replace(
        protocol_results["trial"], missing_modality={"both": scores, "EEG only": scores}
    )
    (table,) = evaluation_tables(make_evaluation(result))
    assert table.title == "Effect of missing modalities"
    assert f"the same {scores.n_segments} segments" in table.note.lower()
    assert [row[0] for row in table.rows] == ["both", "EEG only"]


def test_evaluation_tables_show_a_probe_under_the_first_protocol_that_has_it(
    protocol_results, make_evaluation
):
    def probe(target: str, accuracy: float) -> ProbeResult:
        return ProbeResult("features", target, accuracy, accuracy, 0.1, 4, 100, 20)

    trial = replace(protocol_results["trial"], probes=[probe("participant", 0.9)])
    participant = replace(
        protocol_results["participant"],
        probes=[probe("participant", 0.1), probe("stimulus", 0.5)],
    )
    (table,) = evaluation_tables(make_evaluation(trial, participant))
    assert [row[:4] for row in table.rows] == [
        ("participant", "features", "trial", "90.0 %"),
        ("stimulus", "features", "participant", "50.0 %"),
    ]
    assert {row[4] for row in table.rows} == {"25.0 %"}


def test_evaluation_tables_order_models_by_accuracy(protocol_results, make_evaluation):
    scores = protocol_results["trial"].scores

    def with_accuracy(value):
        estimate = replace(scores.trial_accuracy, value=value)
        return replace(scores, trial={**scores.trial, "accuracy": estimate})

    models = {
        MAIN: with_accuracy(0.3),
        MAJORITY: with_accuracy(0.2),
        "EEG only": with_accuracy(0.1),
        "late fusion (mean)": with_accuracy(0.4),
    }
    comparison = Comparison(MAIN, MAJORITY, 20, 0.1, 0.02, 0.18, 0.01, 0.03, 0.9, 0.02)
    result = replace(
        protocol_results["trial"],
        models=models,
        comparisons=[comparison],
        costs={"EEG only": ModelCost(27_500_000, 110_000_000, 42.0, 0.035)},
    )
    (table,) = evaluation_tables(make_evaluation(result))
    rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert list(rows) == [MAIN, "late fusion (mean)", MAJORITY, "EEG only"]
    assert rows[MAJORITY]["Difference"] == "+10.0 (+2.0 to +18.0)"
    assert rows[MAIN]["Difference"] == rows["EEG only"]["Difference"] == "-"
    cost = [rows["EEG only"][name] for name in ("Parameters", "Size", "Training", "Prediction")]
    assert cost == ["27.5 M", "110 MB", "42 s", "35 ms"]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "-"), (4, "4"), (1536, "1.54 k"), (2.5e9, "2.5 G")]
)
def test_format_count(value, text):
    assert format_count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "-"), (0.00042, "0.42 ms"), (2.04, "2 s"), (99, "99 s"), (192, "3.2 min"), (7200, "2 h")],
)
def test_format_seconds(value, text):
    assert format_seconds(value) == text
