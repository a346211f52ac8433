from __future__ import annotations

import pytest

from milmer_cli.errors import SettingsError
from milmer_cli.evaluation.baselines import (
    BAND_POWER,
    MAIN,
    MAJORITY,
    MEAN_POOLING,
    ablation_grid,
    model_specs,
)
from milmer_cli.settings import load_settings


def names(*overrides, eeg=True, faces=True):
    return [spec.name for spec in model_specs(load_settings(overrides=overrides), eeg, faces)]


def test_model_specs_of_each_baselines_setting():
    assert names() == [MAIN, MAJORITY, BAND_POWER]
    assert names("evaluate.baselines=none") == [MAIN]
    every = [MAIN, MAJORITY, BAND_POWER, "EEG only", "face only", MEAN_POOLING]
    assert names("evaluate.baselines=all") == every


def test_model_specs_skip_missing_modalities():
    assert names("evaluate.baselines=all", faces=False) == [MAIN, MAJORITY, BAND_POWER]
    assert names("evaluate.baselines=all", eeg=False) == [MAIN, MAJORITY, MEAN_POOLING]
    only = names("evaluate.baselines=all", "model.modalities=eeg")
    assert only == [MAIN, MAJORITY, BAND_POWER]
    assert MEAN_POOLING not in names("evaluate.baselines=all", "model.selection=mean")


def test_model_specs_change_only_what_their_name_says():
    settings_by_name = {spec.name: spec.settings for spec in model_specs(
        load_settings(overrides=["evaluate.baselines=all", "train.lr=0.5"]), True, True
    )}  # fmt: skip
    assert settings_by_name["EEG only"].model.modalities == "eeg"
    assert settings_by_name["face only"].model.modalities == "face"
    assert settings_by_name[MEAN_POOLING].model.selection == "mean"
    assert {settings.train.lr for settings in settings_by_name.values()} == {0.5}


def test_model_specs_of_an_ablation_skip_the_model_itself():
    texts = ("model.fusion=none,mlp", "train.lr=0.1,0.2")
    assert len(ablation_grid(texts)) == 4
    found = names(
        "evaluate.baselines=none",
        f"evaluate.ablate=['{texts[0]}','{texts[1]}']",
        "model.fusion=mlp",
        "train.lr=0.2",
    )
    assert found == [
        MAIN,
        "fusion=none, lr=0.1",
        "fusion=none, lr=0.2",
        "fusion=mlp, lr=0.1",
    ]


@pytest.mark.parametrize(
    "entry", ["model.fusion", "model.fusion=", "data.target=valence,arousal", "eeg.segment_s=1,2"]
)
def test_ablation_grid_rejects_invalid_entries(entry):
    with pytest.raises(SettingsError, match=r"expected section\.key=A,B"):
        ablation_grid((entry,))


def test_model_specs_reject_invalid_values():
    with pytest.raises(SettingsError, match=r"model.fusion: expected one of .*, got 'nonsense'"):
        names("evaluate.ablate=['model.fusion=none,nonsense']")


def test_model_specs_name_the_flag_of_an_invalid_ablation():
    with pytest.raises(SettingsError) as caught:
        names("evaluate.ablate=['model.num_heads=[1']")
    assert caught.value.message.startswith("--ablate model.num_heads=[1, line 1 is not valid YAML")
