"""Baselines that train no network: what they detect, and that they never see a test row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.splits import Fold, make_folds
from milmer_cli.device import Device
from milmer_cli.evaluation import executor
from milmer_cli.evaluation.baselines import BASELINES, AvailableData, ModelSpec, model_specs
from milmer_cli.evaluation.classifiers import fit_classifier
from milmer_cli.evaluation.executor import run_experiments
from milmer_cli.evaluation.experiment import Experiment
from milmer_cli.evaluation.features import (
    EEG_FEATURES,
    FACE_TOKENS,
    FeatureInput,
    SegmentFeatures,
    compute_features,
)
from milmer_cli.evaluation.fit_baseline import fit_features, fit_on
from milmer_cli.evaluation.folds import EvaluationFold
from milmer_cli.evaluation.usable_sets import usable_rows
from milmer_cli.training.fit_fold import fit_fold

KEEP_HUGE_EEG = "quality.reject_ptp_uv=1000000"
POISONED = ((0, 3), (1, 3), (2, 3))
CLASSIFIED = [
    pytest.param(name, marks=() if baseline.installed else pytest.mark.skip(baseline.package))
    for name, baseline in BASELINES.items()
    if baseline.method == "features"
]


@dataclass(frozen=True, eq=False)
class Store:
    """A store with one fold: trials 3 and 6 are the test set, trial 7 the validation set."""

    labeled: LabeledSegments
    fold: EvaluationFold
    features: SegmentFeatures
    device: Device
    out: Path

    @property
    def kept(self) -> np.ndarray:
        """Which segments of the test set are the same in both stores."""
        return self.labeled.segments.trial[self.fold.fold.test] != 3


def open_store(folder, settings) -> Store:
    labeled = LabeledSegments.open(folder, settings)
    trial = labeled.segments.trial
    test, validation = np.isin(trial, (3, 6)), trial == 7
    fold = Fold(*(np.flatnonzero(rows) for rows in (~test & ~validation, validation, test)))
    device = Device.from_settings(settings.run)
    features = SegmentFeatures(FeatureInput(labeled, settings, device, folder / "out"))
    evaluation_fold = EvaluationFold("trial", 0, 1, "1", fold)
    return Store(labeled, evaluation_fold, features, device, folder / "out")


@pytest.fixture(scope="module")
def stores(made_once, write_store, small_settings) -> tuple[Store, Store]:
    """The same store twice: as it is, and with other data and classes in half of the test set."""
    clean = made_once("clean-store", write_store)
    changed = made_once("poisoned-store", lambda out: write_store(out, poisoned=POISONED))
    settings = small_settings(KEEP_HUGE_EEG)
    return open_store(clean, settings), open_store(changed, settings)


def test_poisoned_store_differs_in_the_test_set_only(stores):
    clean, poisoned = stores
    changed = clean.labeled.labels != poisoned.labeled.labels
    np.testing.assert_array_equal(np.flatnonzero(changed), clean.fold.fold.test[~clean.kept])
    assert poisoned.labeled.segments.eeg_found[changed].all()
    for name in ("band power", FACE_TOKENS):
        first, second = (store.features.get(name).values for store in stores)
        assert not np.isclose(first[changed], second[changed]).all(axis=1).any()
        np.testing.assert_array_equal(first[~changed], second[~changed])


@pytest.mark.parametrize("name", CLASSIFIED)
def test_fit_features_never_sees_a_test_row(name, stores, small_settings):
    baseline = BASELINES[name]
    spec = ModelSpec(baseline.title, "features", small_settings(), baseline)
    fitted, results = [], []
    for store in stores:
        experiment = Experiment(spec, store.fold)
        values = store.features.get(baseline.features).values
        fitted.append(fit_on(experiment, store.labeled, values).arrays)
        results.append(fit_features(experiment, store.labeled, store.features))
    assert len(fitted[0]) > 2
    for first, second in zip(*fitted, strict=True):
        np.testing.assert_array_equal(first, second)
    kept = stores[0].kept
    first, second = (result.probabilities for result in results)
    np.testing.assert_array_equal(first[kept], second[kept])
    assert not np.allclose(first[~kept], second[~kept])


@pytest.mark.parametrize("name", CLASSIFIED)
def test_fit_features_measures_its_cost(name, stores, small_settings):
    baseline, store = BASELINES[name], stores[0]
    spec = ModelSpec(baseline.title, "features", small_settings(), baseline)
    result = fit_features(Experiment(spec, store.fold), store.labeled, store.features)
    n_features = store.features.get(baseline.features).values[0].size
    assert result.n_parameters >= n_features
    assert result.n_bytes >= 4 * result.n_parameters
    assert 0 < result.prediction_seconds < result.training_seconds + 1


def test_run_experiments_reuses_classifiers_that_are_fitted(
    stores, small_settings, tmp_path, monkeypatch
):
    store, settings = stores[0], small_settings("evaluate.baselines=quick,de-lda", KEEP_HUGE_EEG)
    specs = model_specs(settings, AvailableData(True, True))[1:]  # without the network
    experiments, device = [Experiment(spec, store.fold) for spec in specs], store.device
    inputs = (experiments, store.labeled, store.features, tmp_path, settings.run, device)
    first = run_experiments(*inputs)
    assert len(list((tmp_path / "folds").iterdir())) == 2  # the majority class needs no file
    monkeypatch.setattr(executor, "fit_features", None)
    for fitted, loaded in zip(first, run_experiments(*inputs), strict=True):
        np.testing.assert_array_equal(fitted.probabilities, loaded.probabilities)
        assert fitted.n_parameters == loaded.n_parameters


@pytest.mark.slow
def test_run_experiments_of_all_baselines_never_see_a_test_row(stores, small_settings):
    settings = small_settings("evaluate.baselines=all", KEEP_HUGE_EEG)
    specs = model_specs(settings, AvailableData(True, True))
    by_store = []
    for store in stores:
        experiments = [Experiment(spec, store.fold) for spec in specs]
        inputs = (experiments, store.labeled, store.features, store.out, settings.run)
        by_store.append(run_experiments(*inputs, store.device))
    kept = stores[0].kept
    for spec, first, second in zip(specs, *by_store, strict=True):
        np.testing.assert_array_equal(
            first.probabilities[kept], second.probabilities[kept], err_msg=spec.name
        )
        assert (first.epoch, first.temperatures) == (second.epoch, second.temperatures)
        assert first.n_parameters == second.n_parameters > 0
        if spec.baseline is None or spec.baseline.method != "majority":
            assert (first.probabilities[~kept] != second.probabilities[~kept]).any(), spec.name
    for spec in specs:
        if spec.method == "network":
            weights = []
            for store in stores:
                usable = usable_rows(store.fold.fold, store.labeled, spec.settings.model.modalities)
                weights.append(fit_fold(store.labeled, usable, spec.settings, store.device)[0])
            for first, second in zip(*(model.parameters() for model in weights), strict=True):
                assert (first == second).all(), spec.name


def test_covariance_detects_what_band_power_does_not(stores, small_settings):
    pytest.importorskip("pyriemann")
    store = stores[0]
    random = np.random.default_rng(0)
    truth = np.tile([0, 1], 80)
    eeg = random.normal(size=(160, 4, 256))
    # equal power in every channel and band; the sign of a correlation is the class
    eeg[:, 1] = (2 * truth - 1)[:, None] * 0.7 * eeg[:, 0] + 0.51**0.5 * eeg[:, 1]
    train, test = np.arange(0, 120), np.arange(120, 160)
    accuracy = {}
    with store.labeled.store.participant("s01") as participant:
        for name, classifier in (
            ("band power", "LDA"),
            ("covariance", "tangent space + logistic regression"),
        ):
            values = EEG_FEATURES[name](eeg, participant, small_settings())
            fitted = fit_classifier(classifier, values[train], truth[train], train, 2)
            predicted = fitted.predict(values[test]).argmax(axis=1)
            accuracy[name] = np.mean(predicted == truth[test])
    assert accuracy["covariance"] > 0.95
    assert accuracy["band power"] < 0.7


def face_token_accuracy(folder, settings):
    labeled = LabeledSegments.open(folder, settings)
    device = Device.from_settings(settings.run)
    values = compute_features(FACE_TOKENS, FeatureInput(labeled, settings, device, folder)).values
    baseline = BASELINES["face-tokens"]
    spec, correct = ModelSpec(baseline.title, "features", settings, baseline), []
    for number, fold in enumerate(make_folds(labeled, "trial", 4, 0.2, 0), start=1):
        experiment = Experiment(spec, EvaluationFold("trial", 0, number, "", fold))
        predicted = fit_on(experiment, labeled, values).predict(values[fold.test])
        correct.append(predicted.argmax(axis=1) == labeled.labels[fold.test])
    return np.mean(np.concatenate(correct))


@pytest.mark.slow
def test_face_tokens_of_a_random_backbone(made_once, write_store, small_settings):
    size = {"participants": 3, "trials": 16}
    null = made_once("null-store", lambda out: write_store(out, **size, random_ratings=True))
    signal = made_once("signal-store", lambda out: write_store(out, **size))
    # 48 trials: 98 % of the accuracies without information are below 0.4
    assert face_token_accuracy(null, small_settings()) < 0.4
    assert face_token_accuracy(signal, small_settings()) > 0.6
