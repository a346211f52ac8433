"""Load backbones from folders and the hub, or with random weights."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    CLIPConfig,
    SwinConfig,
    SwinForImageClassification,
    Swinv2Config,
    Swinv2ForImageClassification,
    VideoMAEConfig,
    ViTMAEConfig,
)

from milmer_cli.errors import InputError, SettingsError, WeightsError
from milmer_cli.integrity import folder_checksums
from milmer_cli.json_files import write_json
from milmer_cli.models.backbones import DIGESTS, MODEL_FILES, backbone_config, load_backbone
from milmer_cli.models.image_features import feature_shape

SMALL = {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2]}


@pytest.fixture
def classifier(tmp_path: Path, tiny_swin: SwinConfig) -> tuple[Path, SwinForImageClassification]:
    model = SwinForImageClassification(tiny_swin)
    model.save_pretrained(tmp_path / "swin")
    return tmp_path / "swin", model


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_load_backbone_refuses_a_folder_that_has_changed_since_its_training(
    classifier: tuple[Path, SwinForImageClassification], name: str
) -> None:
    folder, _ = classifier
    write_json(folder / "environment.json", {DIGESTS: folder_checksums(folder, MODEL_FILES)})
    load_backbone(folder)
    content = bytearray((folder / name).read_bytes())
    content[-3:-2] = b" " if name == "config.json" else bytes([content[-3] ^ 8])
    (folder / name).write_bytes(content)
    with pytest.raises(WeightsError, match=f"is damaged: {name} changed since the training"):
        load_backbone(folder)


def test_load_backbone_drops_the_head_of_a_classifier(
    classifier: tuple[Path, SwinForImageClassification],
) -> None:
    folder, model = classifier
    loaded = load_backbone(folder)
    expected = model.swin.state_dict()
    assert expected.keys() == loaded.state_dict().keys()
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_load_backbone_of_swinv2(tmp_path: Path) -> None:
    config = Swinv2Config(image_size=32, window_size=4, **SMALL)
    Swinv2ForImageClassification(config).save_pretrained(tmp_path)
    model = load_backbone(tmp_path)
    with torch.no_grad():
        tokens = model(torch.zeros(1, 3, 32, 32)).last_hidden_state
    assert tokens.shape == (1, *feature_shape(config)) == (1, 16, 16)


def test_load_backbone_that_is_not_square_for_too_small_images(tmp_path: Path) -> None:
    SwinConfig(image_size=[16, 64], patch_size=4, window_size=4, **SMALL).save_pretrained(tmp_path)
    with pytest.raises(SettingsError, match="Images of 16 x 64 pixels have 2 x 8 tokens") as caught:
        load_backbone(tmp_path)
    assert caught.value.hint == "Use images of at least 32 x 32 pixels."


def test_load_backbone_with_another_image_size(
    classifier: tuple[Path, SwinForImageClassification],
) -> None:
    model = load_backbone(classifier[0], image_size=64)
    with torch.no_grad():
        tokens = model(torch.zeros(1, 3, 64, 64)).last_hidden_state
    assert tokens.shape[1] == feature_shape(model.config)[0] == 64


def test_load_backbone_refuses_missing_weights(
    classifier: tuple[Path, SwinForImageClassification],
) -> None:
    file = classifier[0] / "model.safetensors"
    state = load_file(file)
    del state["swin.layernorm.weight"]
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lacks 1 of .*layernorm\.weight"):
        load_backbone(classifier[0])


@pytest.mark.parametrize("fault", ["cut", "gone"])
def test_load_backbone_refuses_a_damaged_file(
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


@pytest.mark.parametrize("offline", [False, True])
def test_load_backbone_never_downloads(monkeypatch: pytest.MonkeyPatch, offline: bool) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a download was attempted")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    with pytest.raises(WeightsError, match="neither a folder nor in the cache") as caught:
        load_backbone("somebody/some-swin")
    assert "`milmer weights fetch somebody/some-swin`" in caught.value.hint
    assert "scratch:tiny" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_load_backbone_refuses_images_smaller_than_the_windows(
    classifier: tuple[Path, SwinForImageClassification],
) -> None:
    with pytest.raises(SettingsError, match=r"16 pixels .* windows of 4"):
        load_backbone(classifier[0], image_size=16)


@pytest.mark.slow
def test_load_backbone_refuses_other_architectures(tmp_path: Path) -> None:
    for config, reason in (
        (BertConfig(), "BertModel cannot be the backbone: its input is not an image"),
        (CLIPConfig(), "CLIPModel cannot be the backbone: its input is not an image"),
        (ViTMAEConfig(), "ViTMAEModel cannot be the backbone: it masks parts of the image"),
        (
            VideoMAEConfig(num_hidden_layers=1),
            "VideoMAEModel cannot be the backbone: a forward pass with images of",
        ),
    ):
        config.save_pretrained(tmp_path / config.model_type)
        with pytest.raises(InputError, match=reason) as caught:
            load_backbone(tmp_path / config.model_type)
        assert "\n" not in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="is not a model folder: it has no"):
        load_backbone(tmp_path / "empty")
    with pytest.raises(SettingsError, match="got 'scratch:huge'"):
        load_backbone("scratch:huge")


@pytest.mark.parametrize(
    ("name", "tokens", "hidden_size"), [("scratch:tiny", 49, 768), ("scratch:micro", 4, 96)]
)
def test_backbone_config_of_scratch(name: str, tokens: int, hidden_size: int) -> None:
    config = backbone_config(name)
    assert feature_shape(config) == (tokens, hidden_size)
