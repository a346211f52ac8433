"""evaluate --dry-run: every check, and the cost of all trainings, without writing."""

from __future__ import annotations

import json

import pytest

from helpers import RecordingProgress
from milmer_cli.errors import InputError, WeightsError
from milmer_cli.evaluation.baselines import BAND_POWER, MAIN, MAJORITY
from milmer_cli.stages.evaluate import evaluate, evaluate_dry_run

ABLATION = ("evaluate.ablate=['model.fusion=none,mlp']", "evaluate.protocols=[segment,trial]")


@pytest.fixture(scope="module")
def result(prepared, small_settings, tmp_path_factory):
    out = tmp_path_factory.mktemp("dry-run") / "out"
    files = sorted(prepared.rglob("*"))
    settings = small_settings("evaluate.seeds=2", "train.epochs=5", *ABLATION)
    result = evaluate_dry_run(prepared, out, settings)
    assert sorted(prepared.rglob("*")) == files
    assert not out.exists()
    return result


def test_evaluate_dry_run_multiplies_by_folds_seeds_and_models(result):
    assert result.folds == {"segment": 4, "trial": 4}  # 2 folds x 2 seeds
    assert result.models == [MAIN, MAJORITY, BAND_POWER, "fusion=none", "fusion=mlp"]
    assert (result.n_trainings, result.n_finished) == (24, 0)
    # 48 segments in 3 participants: 1 to 2 steps of 16 segments x 5 epochs x 8 trainings
    for name in (MAIN, "fusion=none", "fusion=mlp"):
        assert 40 * result.step_s[name] <= result.training_s[name] <= 80 * result.step_s[name]
    assert result.training_s.keys() == {MAIN, "fusion=none", "fusion=mlp"}


def test_evaluate_dry_run_counts_the_face_tokens_once_per_backbone(result):
    # a random backbone for each of 2 seeds; 48 segments x 3 images x 4 tokens of width 96, float16
    assert result.face_tokens_bytes == 2 * 48 * 3 * 4 * 96 * 2
    assert result.face_tokens_s > 0
    assert result.free_bytes > 0
    total = sum(result.training_s.values()) + result.face_tokens_s
    assert result.to_json()["total_s"] == pytest.approx(total)
    assert dict(result.summary())["trainings"] == "24"
    json.dumps(result.to_json())


@pytest.mark.slow
def test_evaluate_dry_run_counts_the_trainings_of_an_earlier_evaluation(
    prepared, small_settings, tmp_path
):
    progress = RecordingProgress()
    evaluate(prepared, tmp_path, small_settings("model.modalities=eeg"), progress=progress)
    log = (tmp_path / "log.txt").read_text()
    assert "2 trainings on cpu" in log
    assert "Finished after" in log
    more = small_settings("model.modalities=eeg", "evaluate.protocols=[segment,trial]")
    result = evaluate_dry_run(prepared, tmp_path, more)
    assert (result.n_trainings, result.n_finished) == (2, 2)
    assert result.face_tokens_bytes == 0
    assert dict(result.summary())["trainings"] == "2, 2 are finished and reused"


def test_evaluate_dry_run_fails_like_the_evaluation(prepared, small_settings, tmp_path):
    for expected, *overrides in (
        (WeightsError, f"model.backbone={tmp_path / 'missing'}"),
        (InputError, "evaluate.folds=50"),
        (InputError, "eeg.segment_s=2"),
    ):
        messages = []
        for stage in (evaluate_dry_run, evaluate):
            with pytest.raises(expected) as caught:
                stage(prepared, tmp_path / "out", small_settings(*overrides))
            messages.append(str(caught.value))
        assert messages[0] == messages[1]
