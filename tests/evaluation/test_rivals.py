from __future__ import annotations

import pytest

from milmer_cli.errors import SettingsError
from milmer_cli.evaluation.rivals import BAND_POWER, MAIN, MAJORITY, MEAN, grid, rivals
from milmer_cli.settings import load_settings


def names(*overrides, eeg=True, faces=True):
    return [rival.name for rival in rivals(load_settings(overrides=overrides), eeg, faces)]


def test_cheap_baselines_always_and_networks_when_asked():
    assert names() == [MAIN, MAJORITY, BAND_POWER]
    assert names("evaluate.baselines=none") == [MAIN]
    every = [MAIN, MAJORITY, BAND_POWER, "EEG only", "face only", MEAN]
    assert names("evaluate.baselines=all") == every


def test_no_baseline_is_asked_for_what_is_not_there():
    assert names("evaluate.baselines=all", faces=False) == [MAIN, MAJORITY, BAND_POWER]
    assert names("evaluate.baselines=all", eeg=False) == [MAIN, MAJORITY, MEAN]
    only = names("evaluate.baselines=all", "model.modalities=eeg")
    assert only == [MAIN, MAJORITY, BAND_POWER]
    assert MEAN not in names("evaluate.baselines=all", "model.selection=mean")


def test_a_baseline_differs_from_the_model_in_what_it_is_named_after():
    found = {r.name: r.settings for r in rivals(
        load_settings(overrides=["evaluate.baselines=all", "train.lr=0.5"]), True, True
    )}  # fmt: skip
    assert found["EEG only"].model.modalities == "eeg"
    assert found["face only"].model.modalities == "face"
    assert found[MEAN].model.selection == "mean"
    assert {settings.train.lr for settings in found.values()} == {0.5}


def test_the_grid_is_every_combination_without_the_model_itself():
    texts = ("model.fusion=none,mlp", "train.lr=0.1,0.2")
    assert len(grid(texts)) == 4
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
def test_what_cannot_be_compared_in_the_same_folds_is_refused(entry):
    with pytest.raises(SettingsError, match="cannot be compared"):
        grid((entry,))


def test_a_wrong_value_in_the_grid_is_named():
    with pytest.raises(SettingsError, match=r"model.fusion must be one of .* got 'nonsense'"):
        names("evaluate.ablate=['model.fusion=none,nonsense']")
