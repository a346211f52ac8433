"""evaluate: what it leaves, and that no shortcut changes it."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.evaluation import running
from milmer_cli.evaluation.rivals import BAND_POWER, MAIN, MAJORITY, MEAN
from milmer_cli.stages.evaluate import evaluate

PROTOCOLS = ("segment", "trial")
RIVALS = [MAIN, MAJORITY, BAND_POWER, "EEG only", "face only", MEAN, "fusion=none"]


class Listener:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def start(self, *_): ...

    def advance(self, *_): ...

    def done(self, *_): ...

    def note(self, message: str, level: str = "info") -> None:
        self.notes.append(message)


@pytest.fixture(scope="session")
def out(made_once, prepared, asked) -> Path:
    settings = asked(
        "evaluate.protocols=[segment,trial]",
        "evaluate.baselines=all",
        "evaluate.ablate=['model.fusion=none,cross_attention']",
    )
    return made_once("evaluation-out", lambda folder: evaluate(prepared, folder, settings))


@pytest.fixture(scope="session")
def metrics(out):
    return json.loads((out / "metrics.json").read_text())


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def trained(monkeypatch) -> list[str]:
    """Names of the jobs that are really trained."""
    names: list[str] = []
    real = running.train_and_test

    def counting(job, *rest):
        names.append(job.name)
        return real(job, *rest)

    monkeypatch.setattr(running, "train_and_test", counting)
    return names


def test_the_honest_protocol_is_the_headline_and_all_are_there(metrics):
    assert list(metrics["protocols"]) == ["segment", "trial"]
    assert (metrics["protocol"], metrics["leaky"]) == ("trial", False)
    assert metrics["headline"] == metrics["protocols"]["trial"]["headline"]
    assert metrics["headline"].startswith("trial protocol: accuracy ")
    assert metrics["scores"]["majority"] == metrics["protocols"]["trial"]["scores"]["majority"]
    assert metrics["protocols"]["segment"]["headline"].startswith("segment protocol (LEAKY)")


def test_predictions_hold_every_segment_once_a_protocol_and_give_the_metrics(out, metrics):
    rows = rows_of(out / "predictions.csv")
    for protocol in PROTOCOLS:
        mine = [row for row in rows if row["protocol"] == protocol]
        seen = Counter((row["participant"], row["trial"], row["onset_s"]) for row in mine)
        assert len(seen) == 48
        assert set(seen.values()) == {1}
        assert {row["fold"] for row in mine} == {"1", "2"}
        assert {row["seed"] for row in mine} == {"0"}
        assert {row["leaky"] for row in mine} == {"LEAKY" if protocol == "segment" else "no"}
        probabilities = np.array(
            [[float(v) for k, v in row.items() if k.startswith("p_")] for row in mine]
        )
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        right = np.mean([row["truth"] == row["predicted"] for row in mine])
        found = metrics["protocols"][protocol]["scores"]["segment"]["accuracy"]["value"]
        assert found == pytest.approx(right)
        clip = {(r["participant"], r["trial"]): int(r["stimulus"]) for r in mine}
        assert clip["s02", "1"] == (1 + 3) % 8 + 1


def test_rivals_are_tested_in_the_same_folds_and_compared(out, metrics):
    trial = metrics["protocols"]["trial"]
    assert list(trial["models"]) == RIVALS
    others = rows_of(out / "predictions-others.csv")
    main = rows_of(out / "predictions.csv")
    key = ("participant", "trial", "onset_s", "fold", "protocol")
    for model in RIVALS[1:]:
        mine = {tuple(row[k] for k in key) for row in others if row["model"] == model}
        assert mine == {tuple(row[k] for k in key) for row in main}
    assert [(one["first"], one["second"]) for one in trial["comparisons"]] == [
        (MAIN, name) for name in RIVALS[1:]
    ]
    for one in trial["comparisons"]:
        gap = [
            trial["models"][name]["segment"]["accuracy"]["value"] for name in (MAIN, one["second"])
        ]
        assert one["difference"] == pytest.approx(gap[0] - gap[1], abs=0.03)
        assert one["p_holm"] is None or one["p_holm"] >= one["p"]
        assert one["sentence"]
    power = trial["models"][BAND_POWER]
    assert power["segment"]["accuracy"]["value"] > 0.8, "alpha on one channel names the class"
    assert trial["models"][MAJORITY]["segment"]["accuracy"]["value"] == pytest.approx(
        trial["scores"]["majority"]
    )


def test_missing_modalities_are_those_of_one_checkpoint_on_the_whole_segments(metrics):
    missing = metrics["protocols"]["trial"]["missing_modality"]
    assert list(missing) == ["both", "EEG only", "face only", "half of the faces"]
    assert {found["n_segments"] for found in missing.values()} == {44}
    curve = metrics["protocols"]["trial"]["deletion"]
    both = missing["both"]["segment"]["accuracy"]["value"]
    without = missing["EEG only"]["segment"]["accuracy"]["value"]
    assert [curve["chosen"][0], curve["random"][0]] == pytest.approx([both, both])
    assert [curve["chosen"][-1], curve["random"][-1]] == pytest.approx([without, without])


def test_probes_ask_for_participant_and_clip(metrics):
    probes = metrics["protocols"]["trial"]["probes"]
    asked = {(one["features"], one["target"]) for one in probes}
    assert asked == {
        (features, target)
        for features in ("Milmer's features", "band power")
        for target in ("participant", "clip")
    }


def test_everything_else_is_there(out, metrics):
    for name in ("report.html", "settings.yaml", "splits.json", "ladder.png", "confusion.png"):
        assert (out / name).stat().st_size > 0
    assert (out / "confusion-segment.png").exists()
    assert metrics["store_fingerprint"]
    assert metrics["versions"]["torch"]
    page = (out / "report.html").read_text()
    assert metrics["store_fingerprint"] in page
    assert "How to read this" in page


def few(asked, *more):
    return asked("evaluate.baselines=none", "model.modalities=eeg", *more)


def test_a_killed_evaluation_goes_on_and_ends_the_same(
    tmp_path, prepared, asked, trained, monkeypatch
):
    whole = evaluate(prepared, tmp_path / "whole", few(asked, "evaluate.folds=3"))
    real, calls = running.train_and_test, []

    def killed(job, *rest):
        calls.append(job)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return real(job, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(running, "train_and_test", killed)
        with pytest.raises(KeyboardInterrupt):
            evaluate(prepared, tmp_path / "killed", few(asked, "evaluate.folds=3"))
    trained.clear()
    listener = Listener()
    again = evaluate(
        prepared, tmp_path / "killed", few(asked, "evaluate.folds=3"), progress=listener
    )
    assert len(trained) == 1
    assert any("2 of 3 trainings are there" in note for note in listener.notes)
    assert again.metrics["protocols"] == whole.metrics["protocols"]
    assert rows_of(tmp_path / "killed" / "predictions.csv") == rows_of(
        tmp_path / "whole" / "predictions.csv"
    )


def test_only_what_decides_the_outcome_makes_a_training_again(tmp_path, prepared, asked, trained):
    evaluate(prepared, tmp_path, few(asked))
    assert len(trained) == 2
    evaluate(prepared, tmp_path, few(asked, "evaluate.bootstrap=150", "run.checkpoint_min=3"))
    assert len(trained) == 2
    damaged = next((tmp_path / "folds").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:300])
    evaluate(prepared, tmp_path, few(asked))
    assert len(trained) == 3
    evaluate(prepared, tmp_path, few(asked, "train.lr=1e-3"))
    assert len(trained) == 5
    evaluate(prepared, tmp_path, few(asked, "data.target=valence"))
    assert len(trained) == 7


def test_folds_side_by_side_give_what_one_after_the_other_gives(tmp_path, prepared, asked):
    one = evaluate(prepared, tmp_path / "one", few(asked))
    two = evaluate(prepared, tmp_path / "two", few(asked, "run.workers=2"))
    first, second = (
        np.array(
            [[float(v) for k, v in row.items() if k.startswith("p_")] for row in rows_of(path)]
        )
        for path in (one.out / "predictions.csv", two.out / "predictions.csv")
    )
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_splits_of_one_evaluation_serve_another(tmp_path, prepared, asked, out, trained):
    shutil.copytree(out, tmp_path / "again")
    settings = asked("evaluate.protocols=[stimulus]", "evaluate.folds=5", "seed=7")
    found = evaluate(prepared, tmp_path / "again", settings, splits=out / "splits.json")
    assert list(found.metrics["protocols"]) == ["segment", "trial"]
    assert rows_of(tmp_path / "again" / "predictions.csv") == rows_of(out / "predictions.csv")
    assert trained == [], "the same folds and seeds, hence the same trainings"
    with pytest.raises(InputError, match="segments that have no class now"):
        evaluate(prepared, tmp_path, few(asked), splits=out / "splits.json")


def test_seeds_repeat_everything_and_make_no_trial_out_of_nothing(tmp_path, prepared, asked):
    found = evaluate(prepared, tmp_path, few(asked, "evaluate.seeds=2")).metrics
    scores = found["scores"]
    assert (scores["n_segments"], scores["n_trials"], scores["repeats"]) == (92, 23, 2)
    by_seed = found["protocols"]["trial"]["accuracy_by_seed"]
    assert list(by_seed) == ["0", "1"]
    assert scores["segment"]["accuracy"]["value"] == pytest.approx(np.mean(list(by_seed.values())))
    assert {row["seed"] for row in rows_of(tmp_path / "predictions.csv")} == {"0", "1"}


def test_what_the_published_code_does_is_stamped_on_every_line(tmp_path, prepared, asked):
    settings = few(
        asked,
        "evaluate.protocols=[segment,trial]",
        "evaluate.split=holdout",
        "evaluate.per_participant=true",
        "evaluate.epoch_on=test",
    )
    result = evaluate(prepared, tmp_path, settings)
    assert all("(LEAKY)" in line for line in result.headlines)
    assert all("LEAKY" in v for k, v in result.summary() if k in ("result", "and"))
    assert {row["leaky"] for row in rows_of(tmp_path / "predictions.csv")} == {"LEAKY"}
    page = (tmp_path / "report.html").read_text()
    assert "the epoch was chosen on the test part" in page
    figures = page.split('<svg role="img"')[1:]
    assert figures
    for figure in figures:
        assert "LEAKY" in figure.split("</svg>")[0]
    assert page.count("protocol") > 10
    captions = [part.split("</caption>")[0] for part in page.split("<caption>")[1:]]
    assert all("LEAKY" in caption for caption in captions)


def test_it_refuses_what_it_cannot_do_before_any_work(tmp_path, prepared, asked, monkeypatch):
    settings = few(asked, "evaluate.protocols=[stimulus]", "evaluate.folds=9")
    with pytest.raises(InputError, match="need at least 9"):
        evaluate(prepared, tmp_path, settings)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="one process"):
        evaluate(prepared, tmp_path, few(asked))
    assert not (tmp_path / "folds").exists()


def test_a_second_call_needs_no_trainings_at_all(tmp_path, prepared, asked, out, trained):
    shutil.copytree(out, tmp_path / "again")
    settings = asked("evaluate.protocols=[trial]", "evaluate.baselines=all")
    evaluate(prepared, tmp_path / "again", settings)
    assert trained == []
