"""What a Milmer model is made of; saved beside its weights as config.json, Hugging Face's way."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PretrainedConfig

from milmer_cli.errors import SettingsError
from milmer_cli.model.backbone import face_tokens, feature_width
from milmer_cli.settings.schema import Fusion, Modalities, Scorer, Selection

SELECTIONS: tuple[Selection, ...] = (
    "none",
    "softmax",
    "amil",
    "mean",
    "attention_topk",
    "attention_weighted_topk",
)
FUSIONS: tuple[Fusion, ...] = ("none", "mlp", "cross_attention")


class MilmerConfig(PretrainedConfig):
    """Sizes and parts of a `MilmerModel`.

    Parameters
    ----------
    backbone_config
        Configuration of the Swin or SwinV2 backbone, or the same as a dict. None for a model
        without one: it then takes ``face_tokens`` only, or sees no faces at all.
    class_names
        Names of the classes in the order of the logits; the four quadrants by default.
    n_channels, n_samples
        EEG channels and samples a channel in a segment.
    channel_embedding
        Whether each EEG token also says which channel it is of. Without (as published) the model
        sees a set of channels and cannot tell one from another.
    instances
        Face images a bag.
    selection
        How instances are chosen; see `milmer_cli.model.selection`.
    scorer
        ``pooled``: instances are scored on their mean token and the chosen tokens are scaled by
        their weights, so that the scorer learns. ``published``: flat faces are scored and only
        indexed.
    num_select
        Instances kept by the selections that choose.
    selection_noise
        Scale of the Gumbel noise on the scores when training chooses (pooled scorer only).
    fusion
        What happens to the kept face tokens before the encoder.
    modalities
        ``both``, ``eeg`` (no backbone, selection or fusion is built) or ``face``.
    width, tokens_per_face
        Width of every token and tokens a face; 0 takes them from the backbone (768 and 49 without
        one).
    heads, encoder_layers, feedforward, dropout, classifier_dropout
        The fusion transformer and the classifier.
    modality_dropout
        In training, the probability that a segment with both modalities loses one of them.
    image_mean, image_std
        Of the RGB values in 0-1 the backbone was trained with (ImageNet's).
    """

    model_type = "milmer"
    sub_configs = {"backbone_config": AutoConfig}  # noqa: RUF012 - the name and form transformers reads

    def __init__(
        self,
        backbone_config: PretrainedConfig | dict[str, Any] | None = None,
        class_names: tuple[str, ...] | list[str] | None = None,
        n_channels: int = 32,
        n_samples: int = 384,
        channel_embedding: bool = True,
        instances: int = 10,
        selection: Selection = "attention_weighted_topk",
        scorer: Scorer = "pooled",
        num_select: int = 3,
        selection_noise: float = 2.0,
        fusion: Fusion = "cross_attention",
        modalities: Modalities = "both",
        width: int = 0,
        tokens_per_face: int = 0,
        heads: int = 12,
        encoder_layers: int = 2,
        feedforward: int = 2048,
        dropout: float = 0.2,
        classifier_dropout: float = 0.1,
        modality_dropout: float = 0.1,
        image_mean: tuple[float, ...] | list[float] = (0.485, 0.456, 0.406),
        image_std: tuple[float, ...] | list[float] = (0.229, 0.224, 0.225),
        **kwargs: Any,
    ) -> None:
        if isinstance(backbone_config, dict):
            backbone_config = AutoConfig.for_model(**backbone_config)
        if class_names is not None:
            kwargs["id2label"] = dict(enumerate(class_names))
            kwargs["label2id"] = {name: label for label, name in enumerate(class_names)}
        elif "id2label" not in kwargs:
            kwargs.setdefault("num_labels", 4)
        self.backbone_config: PretrainedConfig | None = backbone_config
        self.n_channels = n_channels
        self.n_samples = n_samples
        self.channel_embedding = channel_embedding
        self.instances = instances
        self.selection = selection
        self.scorer = scorer
        self.num_select = num_select
        self.selection_noise = selection_noise
        self.fusion = fusion
        self.modalities = modalities
        self.width = width or (feature_width(backbone_config) if backbone_config else 768)
        self.tokens_per_face = tokens_per_face or (
            face_tokens(backbone_config) if backbone_config else 49
        )
        self.heads = heads
        self.encoder_layers = encoder_layers
        self.feedforward = feedforward
        self.dropout = dropout
        self.classifier_dropout = classifier_dropout
        self.modality_dropout = modality_dropout
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        super().__init__(**kwargs)
        self._check()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the logits."""
        return tuple(self.id2label[label] for label in range(self.num_labels))

    @property
    def kept_faces(self) -> int:
        """Faces whose tokens reach the fusion: `num_select`, or 1."""
        return 1 if self.selection in ("none", "amil", "mean") else self.num_select

    def _check(self) -> None:
        if self.selection not in SELECTIONS or self.fusion not in FUSIONS:
            raise SettingsError(
                f"There is no selection {self.selection!r} with fusion {self.fusion!r}.",
                f"Selections: {', '.join(SELECTIONS)}; fusions: {', '.join(FUSIONS)}.",
            )
        if self.width % self.heads:
            raise SettingsError(
                f"{self.heads} attention heads do not divide the width of {self.width}.",
                "Set model.heads to a divisor of the backbone's width.",
            )
        if self.kept_faces > self.instances:
            raise SettingsError(
                f"{self.num_select} instances cannot be chosen from a bag of {self.instances}.",
                "Lower model.num_select.",
            )
        backbone = self.backbone_config
        if backbone and (self.width, self.tokens_per_face) != (
            feature_width(backbone),
            face_tokens(backbone),
        ):
            raise SettingsError(
                f"The backbone gives {face_tokens(backbone)} tokens of width "
                f"{feature_width(backbone)} a face, not {self.tokens_per_face} of {self.width}."
            )
