"""Networks for EEG and pretrained encoders that are not part of Milmer, in the same folds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from torch import nn

from helpers import RecordingProgress, read_csv
from milmer_cli.errors import SettingsError
from milmer_cli.evaluation.baselines import (
    BAND_POWER,
    MAIN,
    MAJORITY,
    AvailableData,
    model_specs,
)
from milmer_cli.settings import load_settings
from milmer_cli.stages.evaluate import evaluate

FAST = ("train.epochs=12", "train.lr=0.1", "train.batch_size=32", "model.modalities=eeg")


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
def out(made_once, prepared, small_settings) -> Path:
    settings = small_settings(f"evaluate.baselines='quick,{NAME}'", *FAST)

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
    assert len(rows) == 46


def test_evaluate_reuses_a_network_until_its_code_changes(
    out, prepared, small_settings, monkeypatch
):
    settings = small_settings(f"evaluate.baselines='quick,{NAME}'", *FAST)
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
