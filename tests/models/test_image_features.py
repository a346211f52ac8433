"""Backbones of several architectures, saved in the format of the hub with small random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForImageClassification,
    ConvNextConfig,
    ConvNextModel,
    Dinov2Config,
    Dinov2Model,
    PretrainedConfig,
    SwinConfig,
    SwinModel,
    Swinv2Config,
    Swinv2Model,
    ViTConfig,
    ViTModel,
)

from milmer_cli.errors import InputError
from milmer_cli.models import MilmerConfig, MilmerModel, build_model, load_backbone
from milmer_cli.models.backbones import backbone_config, input_size
from milmer_cli.models.image_features import feature_shape, image_tokens
from milmer_cli.settings.schema import ModelSettings
from milmer_cli.training.optimization import parameter_groups

STAGES = {"embed_dim": 8, "depths": [1, 2], "num_heads": [1, 2], "image_size": 32}
PLAIN = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "num_labels": 3}

# class, configuration, size in preprocessor_config.json, tokens and width
ARCHITECTURES: dict[str, tuple[type, PretrainedConfig, Any, tuple[int, int]]] = {
    "swin": (SwinModel, SwinConfig(window_size=4, **STAGES), {"height": 32, "width": 32}, (16, 16)),
    "swinv2": (
        Swinv2Model,
        Swinv2Config(window_size=4, **STAGES),
        {"height": 32, "width": 32},
        (16, 16),
    ),
    "vit": (
        ViTModel,
        ViTConfig(image_size=32, patch_size=8, intermediate_size=32, **PLAIN),
        {"height": 32, "width": 32},
        (1 + 16, 24),
    ),
    # DINOv2 is trained with 518 pixels and used with 224: its position table is interpolated
    "dinov2": (
        Dinov2Model,
        Dinov2Config(image_size=56, patch_size=8, **PLAIN),
        {"shortest_edge": 36},
        (1 + 16, 24),
    ),
    "convnext": (
        ConvNextModel,
        ConvNextConfig(num_stages=2, depths=[1, 2], hidden_sizes=[8, 24], num_labels=3),
        {"shortest_edge": 32},
        (16, 24),
    ),
}


@pytest.fixture(params=ARCHITECTURES)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str, torch.nn.Module]:
    """A classifier in a folder, and its architecture."""
    _, config, size, _ = ARCHITECTURES[request.param]
    torch.manual_seed(0)
    classifier = AutoModelForImageClassification.from_config(config)
    classifier.save_pretrained(tmp_path)
    crop = {"do_center_crop": True, "crop_size": {"height": 32, "width": 32}}
    processor = {
        "do_normalize": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.25, 0.5],
        "size": size,
        **(crop if request.param == "dinov2" else {}),
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    return tmp_path, request.param, classifier


def test_load_backbone_of_any_architecture(saved: tuple[Path, str, torch.nn.Module]) -> None:
    folder, name, classifier = saved
    model_class, _, _, shape = ARCHITECTURES[name]
    backbone = load_backbone(folder)
    assert type(backbone) is model_class
    expected = classifier.base_model.state_dict()
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, expected[key]), key
    assert input_size(folder, backbone.config) == (32, 32)
    with torch.no_grad():
        tokens = image_tokens(backbone, torch.randn(2, 3, 32, 32))
    assert tokens.shape == (2, *shape)
    assert feature_shape(backbone.config, (32, 32)) == shape


def test_image_tokens_of_a_feature_map_are_its_positions() -> None:
    class Backbone:
        def __call__(self, pixels: torch.Tensor) -> Any:
            output = type("Output", (), {})()
            output.last_hidden_state = pixels
            return output

    feature_map = torch.arange(2 * 3 * 4 * 5).view(2, 3, 4, 5).float()
    tokens = image_tokens(Backbone(), feature_map)
    assert torch.equal(tokens[1, 2 * 5 + 3], feature_map[1, :, 2, 3])


def test_milmer_model_trains_saves_and_loads_with_any_architecture(
    saved: tuple[Path, str, torch.nn.Module], tmp_path: Path
) -> None:
    folder, name, _ = saved
    settings = ModelSettings(
        backbone=str(folder), num_heads=4, dim_feedforward=16, num_layers=1, modality_dropout=0.0
    )
    model = build_model(settings, ("a", "b"), n_channels=2, n_samples=16, num_instances=4)
    config = model.config
    assert (config.tokens_per_face, config.hidden_size) == ARCHITECTURES[name][3]
    assert config.image_size == (32, 32)
    assert config.image_mean == pytest.approx([0.5, 0.4, 0.3])
    batch = {
        "eeg": torch.randn(3, 2, 16),
        "faces": torch.randint(0, 256, (3, 4, 40, 40, 3), dtype=torch.uint8),
        "labels": torch.tensor([0, 1, 0]),
    }
    model.train()(**batch).loss.backward()
    first = next(iter(model.backbone.parameters()))
    assert first.grad is not None
    model.eval().save_pretrained(tmp_path / "run")
    loaded = MilmerModel.from_pretrained(tmp_path / "run").eval()
    assert loaded.config.image_size == (32, 32)
    with torch.no_grad():
        assert torch.equal(loaded(**batch).logits, model(**batch).logits)


def test_normalization_of_the_backbone_is_that_of_its_processor(
    saved: tuple[Path, str, torch.nn.Module],
) -> None:
    """A gray image gets the values of the image processor of transformers."""
    folder, _, _ = saved
    model = build_model(ModelSettings(backbone=str(folder), num_heads=4), ("a", "b"))
    pixels = model._pixel_values(torch.full((1, 32, 32, 3), 51, dtype=torch.uint8))
    expected = (0.2 - torch.tensor([0.5, 0.4, 0.3])) / torch.tensor([0.2, 0.25, 0.5])
    assert torch.allclose(pixels.mean((0, 2, 3)), expected, atol=1e-6)


def test_parameter_groups_lower_the_rate_of_early_blocks_of_any_architecture(
    saved: tuple[Path, str, torch.nn.Module],
) -> None:
    from milmer_cli.settings import load_settings

    classifier = saved[2]
    overrides = ["train.lr=1", "train.layer_decay=0.5", "train.backbone_lr_ratio=0.1"]
    groups = parameter_groups(classifier, load_settings(overrides=overrides).train)
    lr_of = {id(p): group["lr"] for group in groups for p in group["params"]}
    rates = {name: lr_of[id(p)] for name, p in classifier.named_parameters()}
    prefix = classifier.base_model_prefix + "."
    assert {lr for name, lr in rates.items() if not name.startswith(prefix)} == {1.0}
    backbone = [lr for name, lr in rates.items() if name.startswith(prefix)]
    # embeddings, three blocks, final norm
    assert sorted(set(backbone)) == pytest.approx([0.1 * 0.5**depth for depth in (4, 3, 2, 1, 0)])
    assert backbone == sorted(backbone)  # rates rise from the input to the output


def test_load_backbone_of_vit_refuses_another_size(tmp_path: Path) -> None:
    ViTModel(ARCHITECTURES["vit"][1]).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"ViTModel .* 64 x 64 pixels fails"):
        load_backbone(tmp_path, image_size=64)


def test_backbone_config_never_runs_code_of_a_checkpoint(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    code = f"from pathlib import Path\nPath({str(marker)!r}).touch()\n"
    (tmp_path / "model.py").write_text(code + "class Config: ...\nclass Model: ...\n")
    config = {
        **ARCHITECTURES["vit"][1].to_dict(),
        "auto_map": {"AutoConfig": "model.Config", "AutoModel": "model.Model"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert type(backbone_config(tmp_path)) is ViTConfig
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "own"}))
    with pytest.raises(Exception, match="expected a model type of the installed"):
        backbone_config(tmp_path)
    assert not marker.exists()


def test_config_refuses_unknown_model_types() -> None:
    with pytest.raises(InputError, match=r"expected a model type .* got 'own'") as caught:
        MilmerConfig(backbone_config={"model_type": "own"})
    assert "\n" not in str(caught.value)
