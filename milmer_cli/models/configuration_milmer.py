"""Configuration of a Milmer model, saved beside its weights as ``config.json``."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PretrainedConfig

from milmer_cli.errors import SettingsError
from milmer_cli.models.image_features import feature_shape, image_size
from milmer_cli.models.image_processor import IMAGENET_MEAN, IMAGENET_STD
from milmer_cli.models.pretrained_files import known_config
from milmer_cli.settings.schema import (
    AlignmentScope,
    EegAlignment,
    EegAmplitude,
    Fusion,
    Modalities,
    Scorer,
    Selection,
)

SELECTIONS: tuple[Selection, ...] = (
    "none",
    "softmax",
    "amil",
    "mean",
    "attention_topk",
    "attention_weighted_topk",
)
EEG_AMPLITUDES: tuple[EegAmplitude, ...] = ("none", "sd", "bands")
EEG_ALIGNMENTS: tuple[EegAlignment, ...] = ("none", "euclidean", "standardize")
ALIGNMENT_SCOPES: tuple[AlignmentScope, ...] = ("inductive", "transductive")
FUSIONS: tuple[Fusion, ...] = ("none", "mlp", "cross_attention")


class MilmerConfig(PretrainedConfig):
    """Configuration of a `MilmerModel`.

    Parameters
    ----------
    backbone_config
        Configuration of the backbone, an image model of transformers, as an object or a dictionary.
        None for a model without a backbone, which accepts ``face_tokens`` only, or no faces.
    class_names
        Names of the classes, in the order of the logits.
    n_channels
        EEG channels.
    n_samples
        EEG samples of a segment.
    channel_embedding
        Add a learned embedding of the channel to each EEG token. Without it, as published, the
        model is invariant to the order of the channels.
    eeg_amplitude
        Amplitude features that are added to each EEG token; see `milmer_cli.models.eeg_amplitude`.
        Published: ``none``, also for a configuration that was saved without this field.
    eeg_alignment
        How the EEG must be aligned before it is given to the model; see
        `milmer_cli.models.eeg_alignment`.
    eeg_alignment_scope
        ``inductive``: by the map that is saved with the model; ``transductive``: by a map that is
        estimated from the EEG of the recording.
    sfreq_hz
        Sampling rate of the EEG, in Hz; read by ``eeg_amplitude="bands"`` only.
    band_hz
        Pass band of the EEG, in Hz, to which the bands are limited.
    num_instances
        Face images of a bag.
    selection
        How face images are selected or pooled; see `milmer_cli.models.mil`.
    scorer
        ``pooled`` scores the mean token of an image and scales the tokens of the selected images,
        so that the scorer learns. ``published`` scores all tokens of an image and only selects.
    num_select
        Images that are selected from a bag.
    selection_noise
        Scale of the Gumbel noise on the scores during training (pooled scorer only).
    fusion
        How the selected face tokens are balanced; see `milmer_cli.models.fusion`.
    modalities
        ``both``, ``eeg`` (no backbone, selection or fusion is built) or ``face``.
    hidden_size
        Size of a token; 0 for that of the backbone (768 without a backbone).
    tokens_per_face
        Tokens of a face image; 0 for that of the backbone (49 without a backbone).
    num_heads
        Attention heads of the encoder and of the cross-attention.
    num_layers
        Encoder layers.
    dim_feedforward
        Size of the hidden layer in each encoder layer.
    dropout
        Dropout of the encoder and of the cross-attention.
    classifier_dropout
        Dropout before the classifier.
    modality_dropout
        Probability that a training segment with both modalities loses one of them.
    channel_dropout
        Fraction of the EEG channel tokens that are masked in a training segment; never all of them.
    input_size
        Height and width of the images for the backbone, in pixels; None for those of
        ``backbone_config``.
    image_mean
        RGB mean for the backbone, of values in 0-1 (ImageNet's by default).
    image_std
        RGB standard deviation for the backbone, of values in 0-1.
    temperatures
        Temperature by which the logits of a segment are divided in evaluation mode, by the
        modalities that the segment has (``both``, ``eeg``, ``face``). None for 1.

    Raises
    ------
    SettingsError
        If the values are not consistent.
    """

    model_type = "milmer"
    sub_configs = {"backbone_config": AutoConfig}  # noqa: RUF012 - transformers reads this form

    def __init__(
        self,
        backbone_config: PretrainedConfig | dict[str, Any] | None = None,
        class_names: tuple[str, ...] | list[str] | None = None,
        n_channels: int = 32,
        n_samples: int = 384,
        channel_embedding: bool = True,
        eeg_amplitude: EegAmplitude = "none",
        eeg_alignment: EegAlignment = "none",
        eeg_alignment_scope: AlignmentScope = "inductive",
        sfreq_hz: float = 128.0,
        band_hz: tuple[float, float] | list[float] = (1.0, 50.0),
        num_instances: int = 10,
        selection: Selection = "attention_weighted_topk",
        scorer: Scorer = "pooled",
        num_select: int = 3,
        selection_noise: float = 2.0,
        fusion: Fusion = "cross_attention",
        modalities: Modalities = "both",
        hidden_size: int = 0,
        tokens_per_face: int = 0,
        num_heads: int = 12,
        num_layers: int = 2,
        dim_feedforward: int = 2048,
        dropout: float = 0.2,
        classifier_dropout: float = 0.1,
        modality_dropout: float = 0.1,
        channel_dropout: float = 0.0,
        input_size: tuple[int, int] | list[int] | None = None,
        image_mean: tuple[float, ...] | list[float] = IMAGENET_MEAN,
        image_std: tuple[float, ...] | list[float] = IMAGENET_STD,
        temperatures: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(backbone_config, dict):
            backbone_config = known_config(backbone_config, "backbone_config")
        if class_names is not None:
            kwargs["id2label"] = dict(enumerate(class_names))
            kwargs["label2id"] = {name: label for label, name in enumerate(class_names)}
        elif "id2label" not in kwargs:
            kwargs.setdefault("num_labels", 4)
        self.backbone_config: Any = backbone_config  # PretrainedConfig or None
        self.n_channels = n_channels
        self.n_samples = n_samples
        self.channel_embedding = channel_embedding
        self.eeg_amplitude = eeg_amplitude
        self.eeg_alignment = eeg_alignment
        self.eeg_alignment_scope = eeg_alignment_scope
        self.sfreq_hz = sfreq_hz
        self.band_hz = list(band_hz)
        self.num_instances = num_instances
        self.selection = selection
        self.scorer = scorer
        self.num_select = num_select
        self.selection_noise = selection_noise
        self.fusion = fusion
        self.modalities = modalities
        self.input_size = None if input_size is None else list(input_size)
        default_shape = self._backbone_shape() or (49, 768)
        self.tokens_per_face = tokens_per_face or default_shape[0]
        self.hidden_size = hidden_size or default_shape[1]
        self.num_heads = num_heads
        self.num_layers = num_layers
        self.dim_feedforward = dim_feedforward
        self.dropout = dropout
        self.classifier_dropout = classifier_dropout
        self.modality_dropout = modality_dropout
        self.channel_dropout = channel_dropout
        self.temperatures = {"both": 1.0, "eeg": 1.0, "face": 1.0} | (temperatures or {})
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        super().__init__(**kwargs)
        self._check()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return tuple(self.id2label[label] for label in range(self.num_labels))

    @property
    def min_instances(self) -> int:
        """Smallest bag that the selection accepts."""
        return 1 if self.selection in ("none", "amil", "mean") else self.num_select

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the images for the backbone, in pixels."""
        if self.input_size:
            return self.input_size[0], self.input_size[1]
        return image_size(self.backbone_config)

    def to_dict(self) -> dict[str, Any]:
        """Return the values of config.json, without the folder that a backbone was read from."""
        values: dict[str, Any] = super().to_dict()
        for config in (values, values.get("backbone_config") or {}):
            config.pop("_name_or_path", None)
        return values

    def _backbone_shape(self) -> tuple[int, int] | None:
        """Return the number of tokens of an image and their width, or None without a backbone."""
        if self.backbone_config is None:
            return None
        return feature_shape(self.backbone_config, self.image_size)

    def _check(self) -> None:
        for name, value, expected in (
            ("selection", self.selection, SELECTIONS),
            ("fusion", self.fusion, FUSIONS),
            ("eeg_amplitude", self.eeg_amplitude, EEG_AMPLITUDES),
            ("eeg_alignment", self.eeg_alignment, EEG_ALIGNMENTS),
            ("eeg_alignment_scope", self.eeg_alignment_scope, ALIGNMENT_SCOPES),
        ):
            if value not in expected:
                raise SettingsError(
                    f"model.{name}: expected one of {', '.join(expected)}, got {value!r}."
                )
        if self.hidden_size % self.num_heads:
            raise SettingsError(
                f"model.num_heads: expected a divisor of the hidden size {self.hidden_size}, got "
                f"{self.num_heads} heads.",
                "Set model.num_heads to a divisor of the backbone's hidden size.",
            )
        if self.min_instances > self.num_instances:
            raise SettingsError(
                f"model.num_select: expected at most {self.num_instances} (the images of a bag), "
                f"got {self.num_select}.",
                "Lower model.num_select.",
            )
        shape = self._backbone_shape()
        given = (self.tokens_per_face, self.hidden_size)
        if shape and given != shape:
            raise SettingsError(
                f"tokens_per_face and hidden_size: expected {shape} of the backbone, got {given}."
            )
