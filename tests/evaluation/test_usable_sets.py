"""Folds in which a model finds few or no segments with its modality."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import RecordingProgress, write_labeled_store
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.splits import Fold
from milmer_cli.device import Device
from milmer_cli.errors import InputError
from milmer_cli.evaluation.baselines import BASELINES, ModelSpec
from milmer_cli.evaluation.executor import run_experiments
from milmer_cli.evaluation.experiment import Experiment
from milmer_cli.evaluation.features import FeatureInput, SegmentFeatures
from milmer_cli.evaluation.folds import EvaluationFold


@pytest.fixture
def run(tmp_path, small_settings):
    """``run(without, modality, *sets)``: train on one fold without a modality in ``without``.

    ``sets`` are the participants of the training, validation and test set.
    """

    def result(without: list[str], modality: str, *sets: str):
        missing = {"without_eeg" if modality == "eeg" else "without_faces": without}
        write_labeled_store(tmp_path / "prepared", trials=4, **missing)
        settings = small_settings(f"model.modalities={modality}", "train.epochs=2")
        labeled = LabeledSegments.open(tmp_path / "prepared", small_settings())
        device = Device.from_settings(settings.run)
        rows = [np.flatnonzero(labeled.segments.participant == name) for name in sets]
        fold = EvaluationFold("participant", 0, 1, "1", Fold(*rows))
        baseline = BASELINES["face-only" if modality == "face" else "eeg-only"]
        spec = ModelSpec(baseline.title, baseline.method, settings, baseline)
        progress = RecordingProgress()
        features = SegmentFeatures(FeatureInput(labeled, settings, device, tmp_path))
        experiments = [Experiment(spec, fold)]
        [result] = run_experiments(
            experiments, labeled, features, tmp_path, settings.run, device, progress
        )
        return result, progress.messages

    return result


@pytest.mark.parametrize("modality", ["eeg", "face"])
def test_run_experiments_uses_the_last_epoch_without_validation_segments(run, modality):
    result, messages = run(["s02"], modality, "s01", "s02", "s03")
    [warning] = [message for message in messages if "last epoch" in message]
    assert "only: no validation segment of participant fold 1 has" in warning
    assert result.epoch == 2
    assert np.isfinite(result.probabilities).all()
    assert set(result.temperature) == {1.0}


@pytest.mark.parametrize("modality", ["eeg", "face"])
def test_run_experiments_tests_a_fold_without_test_segments_of_the_modality(run, modality):
    result, _ = run(["s03"], modality, "s01", "s02", "s03")
    assert np.isfinite(result.probabilities).all()


def test_run_experiments_names_the_fold_that_cannot_be_trained(run):
    message = "^face only, participant fold 1: expected training segments with faces .* got none"
    with pytest.raises(InputError, match=message):
        run(["s01"], "face", "s01", "s02", "s03")
