"""Which results of an earlier evaluation are used again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.splits import Fold
from milmer_cli.evaluation.baselines import AvailableData, model_specs
from milmer_cli.evaluation.experiment import Experiment, ExperimentResult
from milmer_cli.evaluation.folds import EvaluationFold
from milmer_cli.evaluation.result_cache import load_result, result_path, save_result

FOLD = Fold(np.arange(8), np.arange(8, 12), np.arange(12, 16))


@pytest.fixture(scope="module")
def labeled(prepared, small_settings):
    return LabeledSegments.open(prepared, small_settings())


@pytest.fixture(scope="module")
def experiment(small_settings):
    spec = model_specs(small_settings(), AvailableData(has_eeg=True, has_faces=True))[0]
    return Experiment(spec, EvaluationFold("trial", 0, 1, "1", FOLD))


@pytest.mark.parametrize("changed", ["train", "validation", "test"])
def test_load_result_ignores_a_result_of_other_rows(changed, experiment, labeled, tmp_path):
    result = ExperimentResult(np.full((4, 4), 0.25), epoch=3, temperatures={"both": 1.5})
    save_result(experiment, labeled, tmp_path, result)
    rows = replace(FOLD, **{changed: getattr(FOLD, changed) + 1})
    other = replace(experiment, fold=replace(experiment.fold, fold=rows))

    loaded = load_result(experiment, labeled, tmp_path)

    assert loaded is not None
    assert (loaded.epoch, loaded.temperatures) == (3, {"both": 1.5})
    np.testing.assert_array_equal(loaded.probabilities, result.probabilities)
    assert load_result(other, labeled, tmp_path) is None
    # nor if the file has the name of the other experiment
    result_path(experiment, labeled, tmp_path).rename(result_path(other, labeled, tmp_path))
    assert load_result(other, labeled, tmp_path) is None


@pytest.mark.parametrize("section", ["quality", "model", "train", "eeg", "faces", "data"])
def test_load_result_ignores_a_result_of_other_settings(
    section, experiment, labeled, small_settings, tmp_path
):
    changes = {
        "quality": "quality.max_bad_channels=0.5",
        "model": "model.dropout=0.3",
        "train": "train.lr=1e-5",
        "eeg": "eeg.band_hz=[2,40]",
        "faces": "faces.margin=0.2",
        "data": "data.threshold=4",
    }
    save_result(experiment, labeled, tmp_path, ExperimentResult(np.full((4, 4), 0.25), epoch=3))
    settings = small_settings(changes[section])
    changed = replace(experiment, spec=replace(experiment.spec, settings=settings))
    assert load_result(experiment, labeled, tmp_path) is not None
    assert load_result(changed, labeled, tmp_path) is None
