"""From the settings to a model with a backbone in it."""

from __future__ import annotations

from pathlib import Path

from milmer_cli.model.backbone import (
    backbone_config,
    feature_width,
    is_scratch,
    load_backbone,
)
from milmer_cli.model.config import MilmerConfig
from milmer_cli.model.milmer import MilmerModel
from milmer_cli.settings.schema import ModelSettings


def build_model(
    settings: ModelSettings,
    class_names: tuple[str, ...],
    n_channels: int = 32,
    n_samples: int = 384,
    instances: int = 10,
    image_size: int = 0,
) -> MilmerModel:
    """Build a model with new weights around a backbone with pretrained ones.

    Seed torch before: the new weights are drawn from its default generator.

    Parameters
    ----------
    settings
        The ``model`` section.
    class_names
        In the order of the logits.
    n_channels, n_samples
        Of the EEG segments.
    instances
        Face images a bag.
    image_size
        Side of the images the backbone sees, in pixels; 0 for its own.

    Raises
    ------
    WeightsError
        The backbone's weights are nowhere to be had.
    SettingsError
        The settings do not fit each other or the backbone.
    """
    backbone = None
    width = 0
    if settings.modalities == "eeg":
        # Without the network: nothing of the backbone but its width is wanted.
        if is_scratch(settings.backbone) or Path(settings.backbone).is_dir():
            width = feature_width(backbone_config(settings.backbone))
    else:
        backbone = load_backbone(settings.backbone, image_size).model
    config = MilmerConfig(
        backbone_config=backbone.config if backbone is not None else None,
        class_names=class_names,
        n_channels=n_channels,
        n_samples=n_samples,
        channel_embedding=settings.channel_embedding,
        instances=instances,
        selection=settings.selection,
        scorer=settings.scorer,
        num_select=settings.num_select,
        selection_noise=settings.selection_noise,
        fusion=settings.fusion,
        modalities=settings.modalities,
        width=width,
        heads=settings.heads,
        encoder_layers=settings.encoder_layers,
        feedforward=settings.feedforward,
        dropout=settings.dropout,
        classifier_dropout=settings.classifier_dropout,
        modality_dropout=settings.modality_dropout,
    )
    model = MilmerModel(config)
    if backbone is not None:
        model.backbone = backbone
        if settings.freeze_backbone:
            model.freeze_backbone()
    return model
