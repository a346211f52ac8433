"""A backbone with a head for facial expressions, in the format of transformers."""

from __future__ import annotations

from transformers import (
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING,
    AutoModelForImageClassification,
    PretrainedConfig,
    PreTrainedModel,
    set_seed,
)

from milmer_cli.errors import InputError
from milmer_cli.models import load_backbone
from milmer_cli.settings.schema import FinetuneSettings


def build_classifier(
    backbone: str, class_names: tuple[str, ...], settings: FinetuneSettings, seed: int
) -> PreTrainedModel:
    """Put a new head on a backbone.

    Parameters
    ----------
    backbone
        As for `load_backbone`.
    class_names
        In the order of the logits.
    settings
        ``image_size`` and ``drop_path_rate`` (for backbones with stochastic depth).
    seed
        Seed of the initial weights of the head, and of the backbone if it is not pretrained.

    Raises
    ------
    WeightsError
        The weights of the backbone are not available.
    SettingsError
        The images are too small for the backbone.
    InputError
        The backbone is not an image model, or transformers has no classifier for it.
    """
    set_seed(seed)
    pretrained = load_backbone(backbone, settings.image_size)
    config: PretrainedConfig = pretrained.config
    if hasattr(config, "drop_path_rate"):
        config.drop_path_rate = settings.drop_path_rate
    config.id2label = dict(enumerate(class_names))
    config.label2id = {name: index for index, name in enumerate(class_names)}
    classifier: PreTrainedModel | None = None
    if type(config) in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
        classifier = AutoModelForImageClassification.from_config(config, trust_remote_code=False)
    # a pooling layer, which some classifiers have, is part of the new head
    weights = pretrained.state_dict()
    if not classifier or classifier.base_model.load_state_dict(weights, strict=False)[1]:
        raise InputError(
            f"{type(pretrained).__name__} cannot be fine-tuned: transformers has no image "
            "classifier for it.",
            "Choose another model.backbone, such as Swin, SwinV2, ViT, DINOv2 or ConvNeXt.",
        )
    return classifier
