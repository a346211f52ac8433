"""Build a new model from the settings, with a pretrained backbone."""

from __future__ import annotations

from milmer_cli.models.backbones import backbone_config, input_size, load_backbone
from milmer_cli.models.configuration_milmer import MilmerConfig
from milmer_cli.models.image_features import feature_shape
from milmer_cli.models.image_processor import ImageProcessor, load_image_processor
from milmer_cli.models.modeling_milmer import MilmerModel
from milmer_cli.settings.schema import ModelSettings
from milmer_cli.weights.local_backbones import is_scratch, own_folder


def build_model(
    settings: ModelSettings,
    class_names: tuple[str, ...],
    n_channels: int = 32,
    n_samples: int = 384,
    num_instances: int = 10,
    sfreq_hz: float = 128.0,
    band_hz: tuple[float, float] = (1.0, 50.0),
) -> MilmerModel:
    """Build a model with random weights and a pretrained backbone.

    The weights are drawn from torch's default generator: set the seed first.

    Parameters
    ----------
    settings
        The ``model`` section.
    class_names
        Names of the classes, in the order of the logits.
    n_channels
        EEG channels.
    n_samples
        EEG samples of a segment.
    num_instances
        Face images of a bag.
    sfreq_hz, band_hz
        Sampling rate and pass band of the EEG, in Hz.

    Raises
    ------
    WeightsError
        If the weights of the backbone cannot be found.
    SettingsError
        If the settings contradict each other or the backbone.
    """
    backbone, processor = None, ImageProcessor()
    hidden_size = 0
    if settings.modalities == "eeg":
        # only the size of the backbone's tokens is needed: read it, but never from the network
        if is_scratch(settings.backbone) or own_folder(settings.backbone):
            _, hidden_size = feature_shape(backbone_config(settings.backbone))
    else:
        backbone = load_backbone(settings.backbone)
        processor = load_image_processor(settings.backbone)
    config = MilmerConfig(
        backbone_config=backbone.config if backbone is not None else None,
        input_size=input_size(settings.backbone, backbone.config) if backbone is not None else None,
        image_mean=processor.mean,
        image_std=processor.std,
        class_names=class_names,
        n_channels=n_channels,
        n_samples=n_samples,
        channel_embedding=settings.channel_embedding,
        eeg_amplitude=settings.eeg_amplitude,
        sfreq_hz=sfreq_hz,
        band_hz=band_hz,
        num_instances=num_instances,
        selection=settings.selection,
        scorer=settings.scorer,
        num_select=settings.num_select,
        selection_noise=settings.selection_noise,
        fusion=settings.fusion,
        modalities=settings.modalities,
        hidden_size=hidden_size,
        num_heads=settings.num_heads,
        num_layers=settings.num_layers,
        dim_feedforward=settings.dim_feedforward,
        dropout=settings.dropout,
        classifier_dropout=settings.classifier_dropout,
        modality_dropout=settings.modality_dropout,
        channel_dropout=settings.channel_dropout,
    )
    model = MilmerModel(config)
    if backbone is not None:
        model.backbone = backbone
        if settings.freeze_backbone:
            model.freeze_backbone()
    return model
