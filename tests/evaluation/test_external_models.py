"""Networks for EEG and pretrained encoders that are not part of Milmer, in the same folds."""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from transformers import ViTConfig, ViTForImageClassification

from helpers import RecordingProgress, read_csv
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import EXCLUDED
from milmer_cli.device import Device
from milmer_cli.errors import SettingsError, WeightsError
from milmer_cli.evaluation.baselines import (
    BAND_POWER,
    MAIN,
    MAJORITY,
    AvailableData,
    model_specs,
)
from milmer_cli.evaluation.classifiers import fit_classifier
from milmer_cli.evaluation.features import FeatureInput, compute_features
from milmer_cli.models import load_backbone
from milmer_cli.models.eeg_encoder import load_eeg_encoder
from milmer_cli.settings import load_settings
from milmer_cli.stages.evaluate import evaluate
from milmer_cli.training.fit_network import eeg_shape

pytestmark = pytest.mark.slow

FAST = ("train.epochs=12", "train.lr=0.1", "train.batch_size=32")


class LogPower(nn.Module):
    """A linear classifier on the log power of each channel."""

    def __init__(self, n_channels, n_samples, n_classes):
        super().__init__()
        self.norm = nn.BatchNorm1d(n_channels)
        self.classifier = nn.Linear(n_channels, n_classes)

    def forward(self, eeg):
        return self.classifier(self.norm(eeg.var(-1).clamp_min(1e-6).log()))


NAME = f"{__name__}:LogPower"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """This module can be imported by its name, like a module on PYTHONPATH."""
    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(**globals()))


def specs(baselines, has_eeg=True, has_faces=True):
    settings = load_settings(overrides=[f"evaluate.baselines={baselines}", "train.epochs=7"])
    return model_specs(settings, AvailableData(has_eeg, has_faces))[1:]


def test_model_specs_contain_networks_and_encoders_by_name():
    listed = "a.b:Net, braindecode:EEGNet,braindecode:Labram@owner/weights,face:own/weights,a.b:Net"
    found = specs(f"majority,{listed}")
    assert [(spec.name, spec.method, spec.modalities, spec.network) for spec in found] == [
        (MAJORITY, "majority", None, ""),
        ("a.b:Net", "network", "eeg", "a.b:Net"),
        ("braindecode:EEGNet", "network", "eeg", "braindecode:EEGNet"),
        ("braindecode:Labram@owner/weights + logistic regression", "features", "eeg", ""),
        ("face:own/weights + logistic regression", "features", "face", ""),
    ]
    assert {spec.settings.train.epochs for spec in found} == {7}  # the budget of the model


def test_model_specs_refuse_a_modality_that_the_store_lacks():
    with pytest.raises(SettingsError, match="--baselines a:Net: needs EEG that the model reads"):
        specs("a:Net", has_eeg=False)
    with pytest.raises(SettingsError, match="--baselines face:x: needs faces that the model reads"):
        specs("face:x", has_faces=False)


@pytest.fixture(scope="module")
def classifier_folder(made_once) -> Path:
    """An image classifier of transformers with random weights, as on the Hub."""

    def make(folder):
        torch.manual_seed(0)
        config = ViTConfig(
            image_size=32, patch_size=16, hidden_size=10, num_hidden_layers=1,
            num_attention_heads=2, intermediate_size=8, num_labels=7,
        )  # fmt: skip
        ViTForImageClassification(config).save_pretrained(folder)

    return made_once("image-classifier", make)


@pytest.fixture(scope="module")
def settings(small_settings, classifier_folder):
    return small_settings(f"evaluate.baselines='quick,{NAME},face:{classifier_folder}'", *FAST)


@pytest.fixture(scope="module")
def out(made_once, prepared, settings) -> Path:
    def make(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, __name__, SimpleNamespace(**globals()))
            evaluate(prepared, folder, settings)

    return made_once("external-models", make)


def test_evaluate_trains_a_network_that_is_named_by_module_and_class(out):
    metrics = json.loads((out / "metrics.json").read_text())["protocols"]["trial"]
    assert list(metrics["models"])[:4] == [MAIN, MAJORITY, BAND_POWER, NAME]
    # the channel with alpha is the class: linear in log power
    assert metrics["models"][NAME]["segment"]["accuracy"]["value"] > 0.9
    assert metrics["models"][NAME]["n_segments"] == 46  # a trial of 2 segments has no EEG
    assert NAME in [comparison["second"] for comparison in metrics["comparisons"]]
    rows = [row for row in read_csv(out / "predictions-others.csv") if row["model"] == NAME]
    assert len(rows) == 48


def test_evaluate_compares_an_encoder_with_its_costs(out, classifier_folder):
    metrics = json.loads((out / "metrics.json").read_text())
    model = f"face:{classifier_folder} + logistic regression"
    scores = metrics["protocols"]["trial"]["models"][model]
    assert scores["n_segments"] == 46  # a trial of 2 segments has no faces
    assert scores["segment"]["accuracy"]["value"] > 0.7  # the brightness is the class
    cost = metrics["costs"]["trial"][model]
    n_weights = sum(p.numel() for p in load_backbone(classifier_folder).parameters())
    assert n_weights < cost["n_parameters"] < n_weights + 100
    assert cost["prediction_seconds"] > 0
    assert metrics["costs"]["trial"][NAME]["n_parameters"] == 2 * 4 + 4 * (4 + 1)


def test_evaluate_reuses_a_network_until_its_code_changes(out, prepared, settings, monkeypatch):
    progress = RecordingProgress()
    evaluate(prepared, out, settings, progress=progress)
    assert "4 of 4 trainings are already finished" in progress.text
    monkeypatch.setattr(
        "milmer_cli.evaluation.result_cache.network_fingerprint", lambda name: "changed"
    )
    monkeypatch.setattr(
        "milmer_cli.evaluation.executor.run_experiment", lambda *a: pytest.fail("trains again")
    )
    progress = RecordingProgress()
    with pytest.raises(pytest.fail.Exception, match="trains again"):
        evaluate(prepared, out, settings, progress=progress)
    assert "2 of 4 trainings are already finished" in progress.text


def test_evaluate_refuses_an_unsuitable_network_before_any_training(
    prepared, small_settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "milmer_cli.evaluation.executor.run_experiment", lambda *a: pytest.fail("trains")
    )
    with pytest.raises(SettingsError, match="Linear does not accept the EEG of the store"):
        evaluate(prepared, tmp_path, small_settings("evaluate.baselines='torch.nn:Linear'"))


def test_evaluate_trains_a_network_of_braindecode(braindecode, prepared, small_settings, tmp_path):
    settings = small_settings(
        "evaluate.baselines='braindecode:ShallowFBCSPNet'", "model.modalities=eeg"
    )
    result = evaluate(prepared, tmp_path, settings)
    assert "braindecode:ShallowFBCSPNet" in result.evaluation.main.models


@pytest.fixture
def inputs(prepared, small_settings, tmp_path) -> FeatureInput:
    settings = small_settings("model.freeze_backbone=false")  # an encoder is frozen all the same
    labeled = LabeledSegments.open(prepared, settings)
    return FeatureInput(labeled, settings, Device.from_settings(settings.run), tmp_path)


def test_face_features_are_the_mean_over_faces_and_tokens(inputs, classifier_folder):
    features = compute_features(f"face:{classifier_folder}", inputs)
    segments = inputs.labeled.segments
    assert features.values.shape == (len(segments), 10)
    assert (np.isnan(features.values).any(axis=1) == (segments.faces_found == 0)).all()
    backbone = load_backbone(classifier_folder)
    with inputs.labeled.store.participant("s02") as participant, torch.no_grad():
        faces = torch.from_numpy(participant.faces(4)).permute(0, 3, 1, 2) / 255
        tokens = backbone((faces - 0.5) / 0.5).last_hidden_state  # without a preprocessor: as ViT
    row = np.flatnonzero((segments.participant == "s02") & (segments.row == 4))[0]
    expected = tokens.mean(dim=(0, 1)).numpy()
    assert features.n_parameters == sum(p.numel() for p in backbone.parameters())
    np.testing.assert_allclose(features.values[row], expected, atol=0.3)
    assert features.seconds_alone > 0


def test_face_features_are_cached(inputs, classifier_folder, monkeypatch):
    name = f"face:{classifier_folder}"
    first = compute_features(name, inputs).values
    monkeypatch.setattr("milmer_cli.inference.token_cache._write_tokens", pytest.fail)
    np.testing.assert_array_equal(compute_features(name, inputs).values, first)


def logistic_accuracy(values, labels, groups) -> float:
    """Accuracy over 4 folds of whole groups."""
    rows = np.flatnonzero(np.isfinite(values).all(axis=1))
    correct = []
    for fold in range(4):
        test = rows[groups[rows] % 4 == fold]
        train = np.setdiff1d(rows, test)
        fitted = fit_classifier(
            "logistic regression", values[train], labels[train], groups[train], 4
        )
        correct.append(fitted.predict(values[test]).argmax(1) == labels[test])
    return float(np.concatenate(correct).mean())


def test_face_features_of_random_weights_detect_brightness_but_nothing_in_null_data(
    inputs, classifier_folder
):
    values = compute_features(f"face:{classifier_folder}", inputs).values
    labels, segments = inputs.labeled.labels, inputs.labeled.segments
    trial = np.unique(segments.trial_id, return_inverse=True)[1]
    assert logistic_accuracy(values, labels, trial) > 0.8
    generator = np.random.default_rng(0)
    null = [
        logistic_accuracy(values, generator.integers(4, size=trial.max() + 1)[trial], trial)
        for _ in range(12)
    ]
    assert np.mean(null) == pytest.approx(0.25, abs=0.08)


def test_evaluate_refuses_absent_weights_before_any_training(
    prepared, small_settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "milmer_cli.evaluation.executor.run_experiment", lambda *a: pytest.fail("trains")
    )
    with pytest.raises(WeightsError, match="owner/absent is neither a folder nor in the cache"):
        evaluate(prepared, tmp_path, small_settings("evaluate.baselines='face:owner/absent'"))


def test_eeg_encoder_features_are_cached_and_equal_those_of_the_encoder(
    braindecode, inputs, tmp_path, monkeypatch
):
    import braindecode.models

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = braindecode.models.CBraMod(
            n_outputs=3, n_chans=19, n_times=200, sfreq=200, n_layer=1, nhead=2, dim_feedforward=8
        )
        network(torch.zeros(1, 19, 200))
        network.save_pretrained(tmp_path / "weights")
    name = f"braindecode:CBraMod@{tmp_path / 'weights'}"
    segments, labels = inputs.labeled.segments, inputs.labeled.labels.copy()
    excluded = (segments.participant == "s02") & (segments.row < 4)
    labels[excluded] = EXCLUDED
    inputs = replace(inputs, labeled=replace(inputs.labeled, labels=labels))
    features = compute_features(name, inputs)
    assert features.values.shape == (len(segments), 200)
    assert (np.isnan(features.values).any(axis=1) == (~segments.eeg_found | excluded)).all()
    encoder = load_eeg_encoder(name, eeg_shape(inputs.labeled))
    with inputs.labeled.store.participant("s02") as participant:
        expected = encoder(torch.from_numpy(participant.eeg[4:5])).numpy()[0]
    row = np.flatnonzero((segments.participant == "s02") & (segments.row == 4))[0]
    np.testing.assert_allclose(features.values[row], expected, rtol=1e-3, atol=1e-3)
    monkeypatch.setattr("milmer_cli.inference.token_cache._write_tokens", pytest.fail)
    np.testing.assert_array_equal(compute_features(name, inputs).values, features.values)
