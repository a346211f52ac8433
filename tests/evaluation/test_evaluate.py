"""The stage evaluate: its files, its reuse of finished trainings, and its errors."""

from __future__ import annotations

import html
import json
import re
import shutil
import textwrap
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from helpers import RecordingProgress, read_csv
from milmer_cli.data.named_splits import SHA256
from milmer_cli.errors import InputError, SettingsError
from milmer_cli.evaluation import executor
from milmer_cli.evaluation.baselines import BAND_POWER, BASELINES, MAIN, MAJORITY
from milmer_cli.folder_lock import FolderLock
from milmer_cli.stages.evaluate import evaluate

pytestmark = pytest.mark.slow

PROTOCOLS = ("segment", "trial")
MODELS = [MAIN, *(b.title for b in BASELINES.values() if b.installed), "fusion=none"]


@pytest.fixture(scope="session")
def out(made_once, prepared, small_settings) -> Path:
    settings = small_settings(
        "evaluate.protocols=[segment,trial]",
        "evaluate.baselines=all",
        "evaluate.ablate=['model.fusion=none,cross_attention']",
    )
    store = str(prepared)
    return made_once("evaluation-out", lambda folder: evaluate(store, str(folder), settings))


@pytest.fixture(scope="session")
def metrics(out):
    return json.loads((out / "metrics.json").read_text())


@pytest.fixture
def trained(monkeypatch) -> list[str]:
    """Names of the experiments that are trained."""
    names: list[str] = []
    original = executor.run_experiment

    def recording(experiment, *rest):
        names.append(experiment.name)
        return original(experiment, *rest)

    monkeypatch.setattr(executor, "run_experiment", recording)
    return names


def test_evaluate_metrics_contain_all_protocols_and_a_valid_headline(metrics):
    assert list(metrics["protocols"]) == ["segment", "trial"]
    assert (metrics["protocol"], metrics["leaky"]) == ("trial", False)
    assert metrics["headline"] == metrics["protocols"]["trial"]["headline"]
    assert metrics["headline"].startswith("trial protocol: accuracy ")
    assert metrics["headline"].endswith(
        "generalizes to new trials with new stimuli of the same participants"
    )
    assert metrics["scores"] == metrics["protocols"]["trial"]["scores"]
    assert metrics["verdict"]
    assert metrics["protocols"]["segment"]["headline"].startswith("segment protocol (LEAKY)")


def test_evaluate_refuses_settings_that_differ_from_the_store(prepared, small_settings, tmp_path):
    with pytest.raises(SettingsError, match=r"eeg\.segment_s=2.* prepared with 1"):
        evaluate(prepared, tmp_path / "out", small_settings("eeg.segment_s=2"))
    assert not (tmp_path / "out").exists()


def test_evaluate_accuracy_against_coverage_is_that_of_the_predictions(out, metrics):
    rows = [row for row in read_csv(out / "predictions.csv") if row["protocol"] == "trial"]
    names = [name for name in rows[0] if name.startswith("p_")]
    confidence = np.array([max(float(row[name]) for name in names) for row in rows])
    correct = np.array([row["predicted"] == row["truth"] for row in rows])
    curve = metrics["protocols"]["trial"]["coverage"]
    assert curve["coverage"][-1] == 1
    assert curve["accuracy"][-1] == pytest.approx(correct.mean())
    half = np.argsort(-confidence)[: round(curve["coverage"][4] * len(rows))]
    assert curve["accuracy"][4] == pytest.approx(correct[half].mean())


def test_evaluate_predictions_contain_every_segment_once_per_protocol(out, metrics):
    rows = read_csv(out / "predictions.csv")
    for protocol in PROTOCOLS:
        selected = [row for row in rows if row["protocol"] == protocol]
        counts = Counter((row["participant"], row["trial"], row["onset_s"]) for row in selected)
        assert len(counts) == 48
        assert set(counts.values()) == {1}
        assert {row["fold"] for row in selected} == {"1", "2"}
        assert {row["seed"] for row in selected} == {"0"}
        assert {row["leaky"] for row in selected} == {"LEAKY" if protocol == "segment" else "no"}
        probabilities = np.array(
            [[float(v) for k, v in row.items() if k.startswith("p_")] for row in selected]
        )
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        accuracy = np.mean([row["truth"] == row["predicted"] for row in selected])
        reported = metrics["protocols"][protocol]["scores"]["segment"]["accuracy"]["value"]
        assert reported == pytest.approx(accuracy)
        stimuli = {(r["participant"], r["trial"]): int(r["stimulus"]) for r in selected}
        assert stimuli["s02", "1"] == (1 + 3) % 8 + 1


def test_evaluate_compares_all_models_in_the_same_folds(out, metrics):
    trial = metrics["protocols"]["trial"]
    identities = ["participant identity", "stimulus identity", "participant and stimulus identity"]
    assert list(trial["models"]) == [*MODELS, *identities]
    others = read_csv(out / "predictions-others.csv")
    main = read_csv(out / "predictions.csv")
    key = ("participant", "trial", "onset_s", "fold", "protocol")
    for model in MODELS[1:]:
        keys = {tuple(row[k] for k in key) for row in others if row["model"] == model}
        assert keys == {tuple(row[k] for k in key) for row in main}
    assert [(comparison["first"], comparison["second"]) for comparison in trial["comparisons"]] == [
        (MAIN, name) for name in [*MODELS[1:], *identities]
    ]
    for comparison in trial["comparisons"]:
        models = [trial["models"][name] for name in (MAIN, comparison["second"])]
        assert comparison["n_trials"] == min(model["n_trials"] for model in models)
        if models[0]["n_trials"] == models[1]["n_trials"]:
            accuracies = [model["trial"]["accuracy"]["value"] for model in models]
            assert comparison["difference"] == pytest.approx(accuracies[0] - accuracies[1])
        assert (
            comparison["p_value_holm"] is None
            or comparison["p_value_holm"] >= comparison["p_value"]
        )
        assert comparison["sentence"]
    power = trial["models"][BAND_POWER]
    assert power["segment"]["accuracy"]["value"] > 0.8
    assert trial["models"][MAJORITY]["segment"]["accuracy"]["value"] == pytest.approx(
        trial["scores"]["majority"]["overall"]
    )


def test_evaluate_measures_the_cost_of_every_model(out, metrics):
    costs = metrics["costs"]["trial"]
    assert list(costs) == MODELS
    for name in ("n_parameters", "n_bytes", "prediction_seconds"):
        assert all(cost[name] > 0 for model, cost in costs.items() if model != MAJORITY)
    singles = [costs[name] for name in ("EEG only", "face only")]
    fused = costs["late fusion (mean)"]
    for name in ("n_parameters", "n_bytes", "prediction_seconds"):
        assert fused[name] == pytest.approx(sum(single[name] for single in singles))
    assert costs[BAND_POWER]["n_parameters"] < costs["EEG only"]["n_parameters"]
    assert costs[MAIN]["n_bytes"] == pytest.approx(4 * costs[MAIN]["n_parameters"], rel=0.05)


def test_evaluate_removes_electrodes_of_the_main_model(out, metrics):
    trial = metrics["protocols"]["trial"]
    curve = trial["missing_electrodes"]
    assert curve["n_missing"] == [0, 1, 2]
    assert (curve["n_channels"], curve["n_draws"]) == (4, 4)
    complete = trial["missing_modality"]["both"]
    assert curve["n_segments"] == complete["n_segments"] == 44
    for treatment in ("masked", "interpolated"):
        ranges = curve[treatment]
        accuracy = pytest.approx(complete["segment"]["accuracy"]["value"])
        assert ranges["mean"][0] == ranges["low"][0] == ranges["high"][0] == accuracy
        for low, mean, high in zip(ranges["low"], ranges["mean"], ranges["high"], strict=True):
            assert 0 <= low <= mean <= high <= 1
    assert "missing electrodes of 4" in (out / "report.html").read_text()


def test_evaluate_scores_a_modality_on_the_segments_that_have_it(metrics):
    models = metrics["protocols"]["trial"]["models"]
    n_segments = {name: models[name]["n_segments"] for name in MODELS}
    assert n_segments[MAIN] == n_segments[MAJORITY] == 48
    assert n_segments["face only"] < 48 or n_segments[BAND_POWER] < 48


def test_evaluate_missing_modalities_use_complete_segments(metrics):
    missing = metrics["protocols"]["trial"]["missing_modality"]
    assert list(missing) == ["both", "EEG only", "face only", "half of the faces"]
    assert {found["n_segments"] for found in missing.values()} == {44}
    curve = metrics["protocols"]["trial"]["deletion"]
    compared = curve["comparison"]
    assert compared["n_trials"] == 22
    assert compared["difference"] == pytest.approx(curve["area"])  # two segments in each trial
    assert "removing the selected faces" in curve["sentence"].lower()
    both = missing["both"]["segment"]["accuracy"]["value"]
    without = missing["EEG only"]["segment"]["accuracy"]["value"]
    assert [curve["selected"][0], curve["random"][0]] == pytest.approx([both, both])
    assert [curve["selected"][-1], curve["random"][-1]] == pytest.approx([without, without])


def test_evaluate_probes_participant_and_stimulus(metrics):
    probes = metrics["protocols"]["trial"]["probes"]
    found = {(one["features"], one["target"]) for one in probes}
    assert found == {
        (features, target)
        for features in ("Milmer's features", "band power")
        for target in ("participant", "stimulus")
    }


def test_evaluate_page_contains_the_numbers_of_the_metrics(out, metrics):
    page = html.unescape(re.sub(r"<[^>]+>", " ", (out / "report.html").read_text()))
    text = " ".join(page.split())
    for name, protocol in metrics["protocols"].items():
        assert protocol["headline"] in text
        assert ("LEAKY" in protocol["headline"]) == (name == "segment")
        for level in ("segment", "trial"):
            accuracy = protocol["scores"][level]["accuracy"]
            interval = ""
            if accuracy["low"] is not None:
                interval = f" {100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f}"
            assert f"{100 * accuracy['value']:.1f} %{interval}" in text
        for fold in protocol["folds"]:
            assert f"{100 * fold['accuracy']:.1f} %" in text
        chance = protocol["scores"]["chance"]
        assert f"{100 * chance['low_trial']:.1f} to {100 * chance['high_trial']:.1f} %" in text
    main = metrics["protocols"]["trial"]
    assert metrics["conclusion"] == main["conclusion"]
    assert main["conclusion"] in text
    best = next(found for found in main["comparisons"] if found["second"] == main["best_baseline"])
    assert f"best baseline without a network: {best['second']}" in text
    for comparison in main["comparisons"]:
        assert comparison["sentence"] in text
        assert f"{100 * comparison['difference']:+.1f} points" in text
    for name, scores in [*main["models"].items(), *main["missing_modality"].items()]:
        accuracy = scores["trial"]["accuracy"]
        cell = f"{100 * accuracy['value']:.1f} %"
        if accuracy["low"] is not None:
            cell += f" ({100 * accuracy['low']:.1f} to"
        assert f"{name} {cell}" in text
    for probe in main["probes"]:
        row = f"{probe['target']} {probe['features']} trial {100 * probe['accuracy']:.1f} %"
        assert row in text
    assert metrics["verdict"] in text
    for sentences in metrics["interpretations"].values():
        assert all(sentence in text for sentence in sentences)


def test_evaluate_docs_read_the_folds_for_another_model(out, prepared, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "compare.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (block,) = [block for block in blocks if "splits.json" in block]
    shutil.copytree(prepared, tmp_path / "prepared")
    (tmp_path / "evaluation").mkdir()
    shutil.copy(out / "splits.json", tmp_path / "evaluation")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(textwrap.dedent(block), names)
    segments, rows, eeg = names["segments"], names["rows"], names["eeg"]
    assert eeg.shape == (4, 128)
    last = [row for row in read_csv(out / "predictions.csv") if row["protocol"] == "trial"]
    tested = {(row["participant"], row["trial"]) for row in last if row["fold"] == "2"}
    expected = zip(segments.participant[rows], segments.trial[rows].astype(str), strict=True)
    assert tested == set(expected)


def test_evaluate_writes_all_files(out, metrics):
    for name in ("report.html", "settings.yaml", "splits.json", "ladder.png", "confusion.png"):
        assert (out / name).stat().st_size > 0
    assert (out / "confusion-segment.png").exists()
    assert metrics["store_fingerprint"]
    assert metrics["versions"]["torch"]
    page = (out / "report.html").read_text()
    assert metrics["store_fingerprint"] in page
    assert "How to read this page" in page


def eeg_only(small_settings, *more):
    """Settings of the quickest evaluation."""
    return small_settings("evaluate.baselines=none", "model.modalities=eeg", *more)


def test_evaluate_continues_an_interrupted_evaluation(
    tmp_path, prepared, small_settings, trained, monkeypatch
):
    complete = evaluate(
        prepared, tmp_path / "complete", eeg_only(small_settings, "evaluate.folds=3")
    )
    original, calls = executor.run_experiment, []

    def interrupted(experiment, *rest):
        calls.append(experiment)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return original(experiment, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(executor, "run_experiment", interrupted)
        with pytest.raises(KeyboardInterrupt):
            evaluate(
                prepared, tmp_path / "interrupted", eeg_only(small_settings, "evaluate.folds=3")
            )
    trained.clear()
    progress = RecordingProgress()
    continued = evaluate(
        prepared,
        tmp_path / "interrupted",
        eeg_only(small_settings, "evaluate.folds=3"),
        progress=progress,
    )
    assert len(trained) == 1
    assert any("2 of 3 trainings are already finished" in note for note in progress.messages)
    assert continued.to_json()["protocols"] == complete.to_json()["protocols"]
    assert read_csv(tmp_path / "interrupted" / "predictions.csv") == read_csv(
        tmp_path / "complete" / "predictions.csv"
    )


def test_evaluate_repeats_only_trainings_whose_identity_changed(
    tmp_path, prepared, small_settings, trained
):
    evaluate(prepared, tmp_path, eeg_only(small_settings))
    assert len(trained) == 2
    evaluate(
        prepared,
        tmp_path,
        eeg_only(small_settings, "evaluate.n_bootstraps=150", "run.checkpoint_interval_min=3"),
    )
    assert len(trained) == 2
    damaged = next((tmp_path / "folds").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:300])
    evaluate(prepared, tmp_path, eeg_only(small_settings))
    assert len(trained) == 3
    evaluate(prepared, tmp_path, eeg_only(small_settings, "train.lr=1e-3"))
    assert len(trained) == 5
    evaluate(prepared, tmp_path, eeg_only(small_settings, "data.target=valence"))
    assert len(trained) == 7


def test_evaluate_rejects_a_folder_that_another_evaluation_writes(
    tmp_path, prepared, small_settings, trained
):
    with FolderLock(tmp_path), pytest.raises(InputError, match="is being written by process"):
        evaluate(prepared, tmp_path, eeg_only(small_settings))
    assert trained == []


@pytest.mark.slow
def test_evaluate_parallel_workers_give_the_same_predictions(tmp_path, prepared, small_settings):
    one = evaluate(prepared, tmp_path / "one", eeg_only(small_settings))
    two = evaluate(prepared, tmp_path / "two", eeg_only(small_settings, "run.workers=2"))
    first, second = (
        np.array(
            [[float(v) for k, v in row.items() if k.startswith("p_")] for row in read_csv(path)]
        )
        for path in (one.out / "predictions.csv", two.out / "predictions.csv")
    )
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_evaluate_uses_given_splits(tmp_path, prepared, small_settings, out, trained):
    shutil.copytree(out, tmp_path / "again")
    settings = small_settings("evaluate.protocols=[stimulus]", "evaluate.folds=5", "seed=7")
    result = evaluate(prepared, tmp_path / "again", settings, splits=out / "splits.json")
    assert list(result.to_json()["protocols"]) == ["segment", "trial"]
    assert read_csv(tmp_path / "again" / "predictions.csv") == read_csv(out / "predictions.csv")
    assert trained == []
    with pytest.raises(InputError, match="segments that have no class with these settings"):
        evaluate(prepared, tmp_path, eeg_only(small_settings), splits=out / "splits.json")


def test_evaluate_seeds_do_not_add_trials(tmp_path, prepared, small_settings):
    values = evaluate(prepared, tmp_path, eeg_only(small_settings, "evaluate.seeds=2")).to_json()
    scores = values["scores"]
    assert (scores["n_segments"], scores["n_trials"], scores["n_repeats"]) == (92, 23, 2)
    by_seed = values["protocols"]["trial"]["accuracy_by_seed"]
    assert list(by_seed) == ["0", "1"]
    assert scores["trial"]["accuracy"]["value"] == pytest.approx(np.mean(list(by_seed.values())))
    assert {row["seed"] for row in read_csv(tmp_path / "predictions.csv")} == {"0", "1"}


def test_evaluate_marks_epoch_selection_on_test_as_leaky_everywhere(
    tmp_path, prepared, small_settings
):
    settings = eeg_only(
        small_settings,
        "evaluate.protocols=[segment,trial]",
        "evaluate.split=holdout",
        "evaluate.per_participant=true",
        "evaluate.select_epoch_on=test",
    )
    result = evaluate(prepared, tmp_path, settings)
    assert all("(LEAKY)" in line for line in result.evaluation.headlines)
    assert all("LEAKY" in v for k, v in result.summary() if k in ("result", "other protocol"))
    assert {row["leaky"] for row in read_csv(tmp_path / "predictions.csv")} == {"LEAKY"}
    page = (tmp_path / "report.html").read_text()
    assert "the epoch was selected on the test set" in page
    figures = page.split('<svg role="img"')[1:]
    assert figures
    for figure in figures:
        assert "LEAKY" in figure.split("</svg>")[0]
    assert page.count("protocol") > 10
    captions = [part.split("</caption>")[0] for part in page.split("<caption>")[1:]]
    assert all("LEAKY" in caption for caption in captions)


def test_evaluate_rejects_impossible_requests_before_training(
    tmp_path, prepared, small_settings, monkeypatch
):
    settings = eeg_only(small_settings, "evaluate.protocols=[stimulus]", "evaluate.folds=9")
    with pytest.raises(InputError, match="expected at least 9 stimuli"):
        evaluate(prepared, tmp_path, settings)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="one process"):
        evaluate(prepared, tmp_path, eeg_only(small_settings))
    assert not (tmp_path / "folds").exists()


def test_evaluate_reuses_all_trainings_for_other_reports(
    tmp_path, prepared, small_settings, out, trained
):
    shutil.copytree(out, tmp_path / "again")
    settings = small_settings("evaluate.protocols=[trial]", "evaluate.baselines=all")
    evaluate(prepared, tmp_path / "again", settings)
    assert trained == []


def test_evaluate_noise_floor_trains_the_first_fold_again(
    prepared, tmp_path, small_settings, trained
):
    settings = small_settings("evaluate.noise_floor=true", "evaluate.baselines=none")
    result = evaluate(prepared, tmp_path, settings)
    floor = result.evaluation.noise_floor
    assert trained.count("Milmer, trial fold 1") == 1
    assert floor.n_segments == 24
    assert floor.threads[0] != floor.threads[1]
    assert "between two models is meaningless" in floor.sentence
    assert floor.sentence in dict(result.summary())["noise floor"]
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert document["noise_floor"]["accuracies"] == list(floor.accuracies)
    assert "is meaningless" in (tmp_path / "report.html").read_text()


def test_evaluate_with_a_named_split_states_its_checksum(prepared, tmp_path, small_settings):
    settings = eeg_only(small_settings, "evaluate.baselines=none", "train.batch_size=64")
    result = evaluate(prepared, tmp_path, settings, splits="deap-trial-5fold")
    sha256 = SHA256["deap-trial-5fold"]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["splits"] == {"name": "deap-trial-5fold", "sha256": sha256}
    assert metrics["protocol"] == "trial"
    assert dict(result.summary())["splits"] == f"deap-trial-5fold (SHA-256 {sha256})"
    assert sha256 in (tmp_path / "report.html").read_text()


def test_evaluate_rejects_an_unknown_split(prepared, tmp_path, small_settings):
    with pytest.raises(InputError, match=r"--splits deap: expected a splits\.json or one of deap-"):
        evaluate(prepared, tmp_path, small_settings(), splits="deap")
