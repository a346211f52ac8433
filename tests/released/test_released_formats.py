"""The files that released versions wrote remain readable: `write_fixture.py` writes them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from helpers import read_csv
from milmer_cli import load_model
from milmer_cli.audit.result import AuditRequest
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.split_file import load_splits
from milmer_cli.formats import read_document
from milmer_cli.metrics import ResamplingOptions
from milmer_cli.settings import load_settings
from milmer_cli.stages.audit import audit
from milmer_cli.stages.evaluate_run import evaluate_run
from milmer_cli.store import PreparedStore
from milmer_cli.training.run_dir import Run

HERE = Path(__file__).parent
VERSIONS = sorted(path.name for path in HERE.iterdir() if (path / "run").is_dir())
BUNDLES = [name for name in VERSIONS if (HERE / name / "run" / "model" / "bundle.json").exists()]
"""Versions whose runs contain a bundle."""
FAST = ["evaluate.n_bootstraps=100", "evaluate.n_permutations=100", "run.device=cpu"]


@pytest.fixture(params=VERSIONS)
def released(request, tmp_path) -> Path:
    """A copy of the files of a version, because opening them may write beside them."""
    return Path(shutil.copytree(HERE / request.param, tmp_path / request.param))


def test_the_files_of_a_version_are_stored():
    assert VERSIONS[0] == "0.1.0"


def test_store_of_a_released_version_opens(released):
    store = PreparedStore.open(released / "prepared")
    p = store.participant("s01")
    assert p.eeg[0].shape == (4, 64)
    assert p.faces(0).shape == (3, 32, 32, 3)
    assert p.found[0].tolist() == [False, True, True]
    assert len(store.segments()) == 8


def test_run_of_a_released_version_predicts_the_same(released):
    model = load_model(released / "run")
    result = model.predict(eeg=released / "recording.edf", eeg_onset_s=0.0, duration_s=2.0)
    stored = read_document(released / "prediction" / "timeline.json", "prediction", ["segments"])
    before = [segment["probabilities"] for segment in stored["segments"]]
    after = [segment.probabilities for segment in result.segments]
    np.testing.assert_allclose(after, before, atol=1e-4)
    assert result.class_names == tuple(stored["classes"])
    assert len(read_csv(released / "prediction" / "timeline.csv")) == len(before)


def test_run_of_a_released_version_is_evaluated(released, tmp_path):
    settings = load_settings(overrides=FAST)
    result = evaluate_run(released / "run", released / "prepared", tmp_path / "again", settings)
    stored = read_document(
        released / "evaluation" / "metrics.json", "evaluation", ["scores", "protocols"]
    )
    weights = Run.open(released / "run").bundle.weights_digest
    assert result.evaluation.provenance["weights_sha256"] == weights
    again = result.evaluation.main.scores
    assert again.n_segments == stored["scores"]["n_segments"]
    assert again.accuracy.value == stored["scores"]["segment"]["accuracy"]["value"]


def test_other_files_of_a_released_run_are_read(released):
    run = Run.open(released / "run")
    labeled = LabeledSegments.open(released / "prepared", run.settings)
    for folder in ("run", "evaluation"):
        (splits,) = load_splits(released / folder / "splits.json", labeled)
        assert splits.protocol == "trial"
    assert read_document(released / "run" / "metrics.json", "run-metrics", ["headline", "test"])


def test_predictions_of_a_released_evaluation_are_audited(released, tmp_path):
    settings = load_settings(overrides=FAST)
    options = ResamplingOptions.from_settings(settings, "trial")
    output = audit(AuditRequest(released / "evaluation" / "predictions.csv"), tmp_path, options)
    stored = read_csv(released / "evaluation" / "predictions.csv")
    assert output.result.scores.n_segments == len(stored)


@pytest.mark.parametrize("version", BUNDLES)
def test_bundle_in_a_released_run_is_loaded_alone(version, tmp_path):
    """``run/model`` needs nothing else of the run."""
    model = load_model(shutil.copytree(HERE / version / "run" / "model", tmp_path / "model"))
    result = model.predict(eeg=HERE / version / "recording.edf", eeg_onset_s=0.0, duration_s=2.0)
    stored = read_document(HERE / version / "prediction" / "timeline.json", "prediction")
    before = [segment["probabilities"] for segment in stored["segments"]]
    after = [segment.probabilities for segment in result.segments]
    np.testing.assert_allclose(after, before, atol=1e-4)
