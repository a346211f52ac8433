"""Parameter groups: weight decay and layer-wise learning rates."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import SwinConfig, SwinForImageClassification

from milmer_cli.models import MilmerConfig, MilmerModel
from milmer_cli.settings import load_settings
from milmer_cli.training.optimization import balanced_class_weights, parameter_groups


@pytest.fixture(scope="module")
def swin() -> nn.Module:
    config = SwinConfig(
        image_size=32, patch_size=2, embed_dim=8, depths=[1, 2], num_heads=[2, 2], window_size=4
    )
    return SwinForImageClassification(config)


def rates(model: nn.Module, **settings: float) -> dict[str, tuple[float, float]]:
    chosen = [f"train.{name}={value}" for name, value in settings.items()]
    groups = parameter_groups(model, load_settings(overrides=chosen).train)
    of = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    return {name: of[id(p)] for name, p in model.named_parameters() if id(p) in of}


def test_parameter_groups_contain_every_trainable_parameter(swin) -> None:
    assert set(rates(swin)) == {name for name, _ in swin.named_parameters()}


def test_parameter_groups_do_not_decay_norms_biases_and_position_tables(swin) -> None:
    decay = {name: pair[1] for name, pair in rates(swin, weight_decay=0.5).items()}
    assert decay["classifier.weight"] == 0.5
    assert decay["swin.encoder.layers.0.blocks.0.mlp.fc1.weight"] == 0.5
    for name, value in decay.items():
        if name.endswith("bias") or "norm" in name or "position_bias_table" in name:
            assert value == 0.0, name


def test_parameter_groups_do_not_decay_learned_tokens() -> None:
    model = MilmerModel(
        MilmerConfig(hidden_size=24, num_heads=2, tokens_per_face=4, dim_feedforward=32)
    )
    decay = {name: pair[1] for name, pair in rates(model, weight_decay=0.5).items()}
    tokens = {"cls_token", "token_types", "channel_embedding", "fusion.queries"}
    assert {decay[name] for name in tokens} == {0.0}
    assert decay["eeg_project.weight"] == 0.5


def test_parameter_groups_lower_the_rate_of_early_layers(swin) -> None:
    rate = {
        n: pair[0]
        for n, pair in rates(swin, lr=1.0, layer_decay=0.5, backbone_lr_ratio=0.1).items()
    }
    block = "swin.encoder.layers.{}.blocks.{}.mlp.fc1.weight"
    assert rate["classifier.weight"] == 1.0
    assert rate["swin.layernorm.weight"] == pytest.approx(0.1)
    assert rate[block.format(1, 1)] == pytest.approx(0.05)
    assert rate[block.format(1, 0)] == pytest.approx(0.025)
    assert rate[block.format(0, 0)] == pytest.approx(0.0125)
    assert rate["swin.encoder.layers.0.downsample.reduction.weight"] == pytest.approx(0.0125)
    assert rate["swin.embeddings.patch_embeddings.projection.weight"] == pytest.approx(0.00625)


def test_parameter_groups_omit_frozen_parameters(swin) -> None:
    swin.swin.requires_grad_(False)
    try:
        assert set(rates(swin)) == {"classifier.weight", "classifier.bias"}
    finally:
        swin.swin.requires_grad_(True)


def test_balanced_class_weights_have_mean_one_over_the_samples() -> None:
    counts = torch.tensor([30, 10, 0, 20])
    weights = balanced_class_weights(counts)
    assert (weights * counts).sum() == pytest.approx(60)
    assert (weights * counts)[[0, 1, 3]].tolist() == pytest.approx([20, 20, 20])
