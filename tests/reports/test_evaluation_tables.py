from __future__ import annotations

from dataclasses import replace

from milmer_cli.evaluation.baselines import MAIN, MAJORITY
from milmer_cli.evaluation.results import ProbeResult
from milmer_cli.reports.evaluation_tables import evaluation_tables


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
