from __future__ import annotations

import pytest

from milmer_cli.errors import SettingsError
from milmer_cli.evaluation.baselines import (
    BAND_POWER,
    BASELINES,
    MAIN,
    MAJORITY,
    MEAN_POOLING,
    AvailableData,
    ablation_grid,
    baselines_left_out,
    model_specs,
)
from milmer_cli.settings import load_settings

RIEMANN = BASELINES["riemann"].title
EEG_FEATURES = ["differential entropy + LDA", "differential entropy + SVM"]
if BASELINES["riemann"].installed:
    EEG_FEATURES.append(RIEMANN)
EEG_FEATURES.append("frontal alpha asymmetry + logistic regression")
FACE_TOKENS = "mean face token + logistic regression"
FUSIONS = ["late fusion (mean)", "late fusion (log-mean)", "late fusion (stacking)"]


def names(*overrides, eeg=True, faces=True, channels=None):
    data = AvailableData(eeg, faces, channels)
    return [spec.name for spec in model_specs(load_settings(overrides=overrides), data)]


def test_model_specs_of_each_baselines_setting():
    assert names() == [MAIN, MAJORITY, BAND_POWER]
    assert names("evaluate.baselines=none") == [MAIN]
    networks = ["EEG only", "face only", MEAN_POOLING]
    every = [MAIN, MAJORITY, BAND_POWER, *EEG_FEATURES, FACE_TOKENS, *networks, *FUSIONS]
    assert names("evaluate.baselines=all") == every


def test_model_specs_skip_missing_modalities():
    with_eeg = [MAIN, MAJORITY, BAND_POWER, *EEG_FEATURES]
    assert names("evaluate.baselines=all", faces=False) == with_eeg
    with_faces = [MAIN, MAJORITY, FACE_TOKENS, MEAN_POOLING]
    assert names("evaluate.baselines=all", eeg=False) == with_faces
    assert names("evaluate.baselines=all", "model.modalities=eeg") == with_eeg
    assert MEAN_POOLING not in names("evaluate.baselines=all", "model.selection=mean")


def test_model_specs_of_a_list_of_names():
    assert names("evaluate.baselines=majority, de-svm") == [
        MAIN,
        MAJORITY,
        "differential entropy + SVM",
    ]
    assert names("evaluate.baselines=quick,face-tokens") == [
        MAIN,
        MAJORITY,
        BAND_POWER,
        FACE_TOKENS,
    ]
    # late fusion needs both networks
    combined = [MAIN, "EEG only", "face only", "late fusion (log-mean)"]
    assert names("evaluate.baselines=late-fusion-log") == combined


@pytest.mark.parametrize(
    ("baselines", "message"),
    [
        ("de-smv", r"got 'de-smv'"),
        ("eeg-only", "--baselines eeg-only: needs faces that the model reads"),
        ("de-lda,late-fusion", "--baselines late-fusion: needs faces that the model reads"),
    ],
)
def test_model_specs_reject_baselines_that_cannot_be_used(baselines, message):
    with pytest.raises(SettingsError, match=message) as caught:
        names(f"evaluate.baselines={baselines}", faces=False)
    assert ("Did you mean de-svm?" in str(caught.value.hint)) == (baselines == "de-smv")


def test_model_specs_need_a_pair_of_frontal_electrodes():
    asymmetry = "frontal alpha asymmetry + logistic regression"
    assert asymmetry in names("evaluate.baselines=all", channels=("Cz", "f3", "F4"))
    assert asymmetry not in names("evaluate.baselines=all", channels=("Fp1", "Fz", "Cz", "Oz"))


def test_model_specs_without_validation_set_have_no_stacking():
    found = names("evaluate.baselines=all", "evaluate.select_epoch_on=test")
    assert found[-2:] == FUSIONS[:2]


def test_baselines_left_out_name_the_package_that_is_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    settings = load_settings(overrides=["evaluate.baselines=all"])
    left_out = baselines_left_out(settings, AvailableData(True, True))
    assert list(left_out) == [RIEMANN]
    assert "needs pyriemann, which is not installed" in left_out[RIEMANN]
    with pytest.raises(SettingsError, match=r"pip install 'milmer-cli\[baselines\]'"):
        names("evaluate.baselines=riemann")


def test_model_specs_change_only_what_their_name_says():
    settings = load_settings(overrides=["evaluate.baselines=all", "train.lr=0.5"])
    specs = model_specs(settings, AvailableData(True, True))
    settings_by_name = {spec.name: spec.settings for spec in specs}
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
