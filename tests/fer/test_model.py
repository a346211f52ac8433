"""Classifiers of several architectures start from the weights of the backbone."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import (
    BeitConfig,
    BeitModel,
    ConvNextConfig,
    ConvNextModel,
    Dinov2Config,
    Dinov2Model,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    ViTConfig,
    ViTModel,
)

from milmer_cli.errors import InputError
from milmer_cli.fer.model import build_classifier
from milmer_cli.models import load_backbone
from milmer_cli.settings import load_settings

PLAIN = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
}
SETTINGS = load_settings(overrides=["finetune.drop_path_rate=0.2"]).finetune
CLASSES = ("happy", "sad", "calm")


def save(model, folder):
    model.save_pretrained(folder)
    processor = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": 32}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))


@pytest.mark.parametrize(
    ("model", "stochastic_depth"),
    [
        (ViTModel(ViTConfig(**PLAIN)), False),
        (Dinov2Model(Dinov2Config(**PLAIN)), True),
        (BeitModel(BeitConfig(**PLAIN)), True),
        (ConvNextModel(ConvNextConfig(num_stages=2, depths=[1, 1], hidden_sizes=[8, 24])), True),
    ],
    ids=["vit", "dinov2", "beit", "convnext"],
)
def test_build_classifier_keeps_the_weights_of_the_backbone(model, stochastic_depth, tmp_path):
    save(model, tmp_path / "start")
    classifier = build_classifier(str(tmp_path / "start"), CLASSES, SETTINGS, seed=0)
    weights = classifier.base_model.state_dict()
    for name, value in load_backbone(tmp_path / "start").state_dict().items():
        assert torch.equal(weights[name], value), name
    assert classifier(torch.zeros(2, 3, 32, 32)).logits.shape == (2, 3)
    assert getattr(classifier.config, "drop_path_rate", None) == (0.2 if stochastic_depth else None)
    classifier.save_pretrained(tmp_path / "tuned")
    for name, value in load_backbone(tmp_path / "tuned").state_dict().items():
        assert torch.equal(weights[name], value), name


def test_build_classifier_names_a_backbone_without_a_classifier(tmp_path):
    save(DINOv3ViTModel(DINOv3ViTConfig(**PLAIN)), tmp_path)
    with pytest.raises(InputError, match="DINOv3ViTModel cannot be fine-tuned"):
        build_classifier(str(tmp_path), CLASSES, SETTINGS, seed=0)
