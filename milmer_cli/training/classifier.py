"""Swin with a head for expressions: made around a backbone, saved so that anybody can load it."""

from __future__ import annotations

import json
from pathlib import Path

from transformers import (
    AutoModelForImageClassification,
    PretrainedConfig,
    PreTrainedModel,
    set_seed,
)

from milmer_cli.model import load_backbone
from milmer_cli.model.backbone import image_size
from milmer_cli.model.config import MilmerConfig
from milmer_cli.settings.schema import FinetuneSettings


def build_classifier(
    backbone: str, names: tuple[str, ...], settings: FinetuneSettings, seed: int
) -> PreTrainedModel:
    """Put a new head on a Swin or SwinV2 backbone.

    Parameters
    ----------
    backbone
        As for `load_backbone`.
    names
        The classes, in the order of the logits.
    settings
        ``image_size`` and ``drop_path``.
    seed
        Of the head's, and of a backbone's from nothing, first weights.

    Raises
    ------
    WeightsError
        The backbone's weights are nowhere to be had.
    SettingsError
        The pictures are too small for it.
    """
    set_seed(seed)
    loaded = load_backbone(backbone, settings.image_size).model
    config: PretrainedConfig = loaded.config
    config.drop_path_rate = settings.drop_path
    config.id2label = dict(enumerate(names))
    config.label2id = {name: number for number, name in enumerate(names)}
    classifier: PreTrainedModel = AutoModelForImageClassification.from_config(config)
    classifier.base_model.load_state_dict(loaded.state_dict(), strict=True)
    return classifier


def side_of(classifier: PreTrainedModel) -> int:
    """Side of the pictures that a classifier takes, in pixels."""
    return image_size(classifier.config)[0]


def normalising() -> tuple[list[float], list[float]]:
    """Mean and standard deviation of RGB values in 0-1, as Milmer normalises faces."""
    config = MilmerConfig()
    return config.image_mean, config.image_std


def write_preprocessor(folder: Path, side: int) -> None:
    """Write preprocessor_config.json: what a picture goes through before the classifier."""
    mean, std = normalising()
    content = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": side, "width": side},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": mean,
        "image_std": std,
    }
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
