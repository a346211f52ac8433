"""Backbones from folders, the hub and nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    SwinConfig,
    SwinForImageClassification,
    Swinv2Config,
    Swinv2ForImageClassification,
    ViTConfig,
)

from milmer_cli.errors import InputError, SettingsError, WeightsError
from milmer_cli.model.backbone import backbone_config, face_tokens, load_backbone

SMALL = {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2]}


@pytest.fixture
def classifier(tmp_path: Path, tiny_swin: SwinConfig) -> tuple[Path, SwinForImageClassification]:
    model = SwinForImageClassification(tiny_swin)
    model.save_pretrained(tmp_path / "swin")
    return tmp_path / "swin", model


def test_a_finetuned_classifier_lends_its_backbone(
    classifier: tuple[Path, SwinForImageClassification],
) -> None:
    folder, model = classifier
    loaded = load_backbone(folder)
    assert loaded.unused == ("classifier.bias", "classifier.weight")
    expected = model.swin.state_dict()
    assert expected.keys() == loaded.model.state_dict().keys()
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_swin_v2_loads_too(tmp_path: Path) -> None:
    config = Swinv2Config(image_size=32, window_size=4, **SMALL)
    Swinv2ForImageClassification(config).save_pretrained(tmp_path)
    model = load_backbone(tmp_path).model
    with torch.no_grad():
        tokens = model(torch.zeros(1, 3, 32, 32)).last_hidden_state
    assert tokens.shape == (1, face_tokens(config), 16)


def test_another_image_size_can_be_asked_for(
    classifier: tuple[Path, SwinForImageClassification],
) -> None:
    model = load_backbone(classifier[0], image_size=64).model
    with torch.no_grad():
        tokens = model(torch.zeros(1, 3, 64, 64)).last_hidden_state
    assert tokens.shape[1] == face_tokens(model.config) == 64


def test_lost_weights_are_refused_and_named(
    classifier: tuple[Path, SwinForImageClassification],
) -> None:
    file = classifier[0] / "model.safetensors"
    state = load_file(file)
    del state["swin.layernorm.weight"]
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lacks 1 .*layernorm\.weight"):
        load_backbone(classifier[0])


@pytest.mark.parametrize("fault", ["cut", "gone"])
def test_a_broken_weights_file_is_one_sentence(
    classifier: tuple[Path, SwinForImageClassification], fault: str
) -> None:
    file = classifier[0] / "model.safetensors"
    if fault == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    else:
        file.unlink()
    with pytest.raises(WeightsError, match="cannot be read") as caught:
        load_backbone(classifier[0])
    assert "\n" not in str(caught.value)


def test_the_hub_out_of_reach_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match="cannot be reached") as caught:
        load_backbone("somebody/some-swin")
    assert "scratch:tiny" in caught.value.hint
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE"):
        load_backbone("somebody/some-swin")


def test_images_too_small_for_the_windows_are_refused(
    classifier: tuple[Path, SwinForImageClassification],
) -> None:
    with pytest.raises(SettingsError, match=r"16 pixels .* windows of 4"):
        load_backbone(classifier[0], image_size=16)


def test_what_is_no_swin_is_refused(tmp_path: Path) -> None:
    ViTConfig().save_pretrained(tmp_path / "vit")
    with pytest.raises(InputError, match="not a Swin"):
        load_backbone(tmp_path / "vit")
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="No backbone could be read"):
        load_backbone(tmp_path / "empty")
    with pytest.raises(SettingsError, match="no backbone 'scratch:huge'"):
        load_backbone("scratch:huge")


@pytest.mark.parametrize(
    ("name", "tokens", "width"), [("scratch:tiny", 49, 768), ("scratch:micro", 4, 96)]
)
def test_scratch_sizes(name: str, tokens: int, width: int) -> None:
    config = backbone_config(name)
    assert face_tokens(config) == tokens
    assert config.hidden_size == width
