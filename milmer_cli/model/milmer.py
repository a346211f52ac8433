"""The Milmer model: EEG and a bag of faces to the logits of an emotion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from milmer_cli.model.backbone import MODELS, image_size, normalised
from milmer_cli.model.config import MilmerConfig
from milmer_cli.model.encoder import Encoder
from milmer_cli.model.fusion import QueryAttention, build_fusion
from milmer_cli.model.output import MilmerOutput
from milmer_cli.model.published import load_published
from milmer_cli.model.selection import Choice, LearnedPositions, WeightedMean, build_selection, take
from milmer_cli.settings.schema import Fusion, Selection

PIXELS_AT_ONCE = {"cpu": 8 * 224**2}
"""What goes through the backbone in one pass without gradients: what a processor's caches hold is
done soonest (docs/benchmarks.md)."""
MANY_PIXELS = 64 * 224**2


class MilmerModel(PreTrainedModel):
    """Multimodal emotion classifier on EEG and a bag of face images.

    1. EEG tokens: LayerNorm over each channel's samples, Linear, ReLU, and which channel it is of
       (a learned embedding; not in the published model); one token a channel.
    2. Face tokens: the last hidden state of a Swin or SwinV2 backbone, per instance.
    3. Selection: which instances of the bag are kept (`milmer_cli.model.selection`).
    4. Fusion: what happens to their tokens (`milmer_cli.model.fusion`).
    5. [CLS, faces, EEG] with token types through a transformer encoder; CLS to the classes.

    Missing instances, segments without EEG and segments without any face are masked: their content
    changes no bit of the output.

    **Lean backward.** A selection that chooses needs the backbone's gradient only for what it kept.
    With `lean` (the default) a training step scores the bag without gradients, in chunks of
    `score_chunk` images (0: as suits the device), and runs the chosen instances again with
    gradients. The gradient is that of the plain computation (``lean = False``), for the scorer
    reads its summaries without a gradient in both. With stochastic depth or dropout in the backbone
    the two differ: the lean scores come from the whole backbone, as in use, and the tokens from a
    thinned one; the plain computation takes both from one thinned pass.

    Parameters
    ----------
    config
        Sizes and parts; nothing that it does not name is built.

    References
    ----------
    Wang et al., Milmer: a framework for multiple instance learning based multimodal emotion
    recognition.
    """

    config_class = MilmerConfig
    base_model_prefix = ""
    main_input_name = "eeg"
    _supports_sdpa = True

    def __init__(self, config: MilmerConfig) -> None:
        super().__init__(config)
        self.lean = True
        self.score_chunk = 0
        width = config.width
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.token_types = nn.Parameter(torch.zeros(2, width))  # row 0 faces, row 1 EEG
        if config.modalities != "face":
            self.eeg_norm = nn.LayerNorm(config.n_samples)
            self.eeg_project = nn.Linear(config.n_samples, width)
            if config.channel_embedding:
                self.channel_embedding = nn.Parameter(torch.zeros(config.n_channels, width))
        self.backbone: Any = None
        if config.modalities != "eeg":
            if (backbone := config.backbone_config) is not None:
                self.backbone = MODELS[backbone.model_type](backbone, add_pooling_layer=False)
                self.register_buffer("image_mean", 255 * torch.tensor(config.image_mean))
                self.register_buffer("image_std", 255 * torch.tensor(config.image_std))
            self.selection = build_selection(config)
            self.fusion = build_fusion(config)
        self.encoder = Encoder(
            width, config.heads, config.feedforward, config.dropout, config.encoder_layers
        )
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(width, config.num_labels)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """PyTorch's own initial weights for its layers, as published; ours are drawn here."""
        match module:
            case nn.Linear() | nn.LayerNorm():
                module.reset_parameters()
            case nn.MultiheadAttention():
                module._reset_parameters()
            case QueryAttention():
                nn.init.normal_(module.queries)  # alike queries would stay alike
            case LearnedPositions():
                nn.init.normal_(module.instance_weights, std=0.02)
            case MilmerModel():
                nn.init.normal_(module.cls_token, std=0.02)
                nn.init.normal_(module.token_types, std=0.02)
                if hasattr(module, "channel_embedding"):
                    # As large as the tokens it is added to: smaller ones take longer to be heard.
                    nn.init.normal_(module.channel_embedding, std=0.3)
                if module.backbone is not None:
                    module.image_mean.copy_(255 * torch.tensor(module.config.image_mean))
                    module.image_std.copy_(255 * torch.tensor(module.config.image_std))

    @classmethod
    def from_published(
        cls,
        source: str | Path | dict[str, Tensor],
        selection: Selection | None = None,
        fusion: Fusion | None = None,
        backbone_config: PretrainedConfig | None = None,
        output_loading_info: bool = False,
        **config: Any,
    ) -> Any:
        """Load a checkpoint trained with the original code.

        Parameters
        ----------
        source
            The state dict, whose tensors the model then shares, or a file that ``torch.save`` wrote
            with it (read with ``weights_only=True``).
        selection, fusion
            What it was trained with. Inferred where the weights leave no doubt; a checkpoint may
            hold the weights of unused selections, so the selection often has to be named.
        backbone_config
            Of its ``swin_model``; read from the weights' shapes by default. A checkpoint without
            ``swin_model`` makes a model that takes ``face_tokens``.
        output_loading_info
            Return ``(model, info)``; info holds the sets ``missing_keys``, ``unexpected_keys``.
        **config
            Further fields of `MilmerConfig`, such as ``class_names``.

        Raises
        ------
        WeightsError
            A weight that the model needs is missing or has another shape, or the file is none.
        """
        model, info = load_published(cls, source, selection, fusion, backbone_config, config)
        return (model, info) if output_loading_info else model

    def freeze_backbone(self) -> None:
        """Keep the backbone as it is: no gradient, and evaluation mode whatever the model's."""
        if self.backbone is not None:
            self.backbone.requires_grad_(False)
            self.backbone.eval()

    def train(self, mode: bool = True) -> MilmerModel:
        """Set the mode of all parts but a frozen backbone."""
        super().train(mode)
        if self.backbone is not None and not self._backbone_learns():
            self.backbone.eval()
        return self

    def forward(
        self,
        eeg: Tensor | None = None,
        faces: Tensor | None = None,
        eeg_found: Tensor | None = None,
        faces_found: Tensor | None = None,
        face_tokens: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool = False,
    ) -> MilmerOutput:
        """Classify B segments.

        Parameters
        ----------
        eeg : (B, C, T) float
            Microvolts. None: no segment has EEG.
        faces : (B, I, H, W, 3) uint8
            RGB, resized here where the backbone wants another size. None: no segment has faces.
        eeg_found : (B,) bool
            False where a segment has no EEG. None: all have.
        faces_found : (B, I) bool
            False where an instance is missing. None: none is.
        face_tokens : (B, I, N, d) float
            The backbone's tokens in place of ``faces`` (frozen backbone).
        labels : (B,) int64
        output_attentions
            Return the attention of CLS.
        """
        if self.config.modalities == "eeg":
            faces = face_tokens = None
        elif self.config.modalities == "face":
            eeg = None
        images = faces if face_tokens is None else face_tokens
        if eeg is None and images is None:
            raise ValueError(f"MilmerModel ({self.config.modalities}) needs eeg, faces or both")
        self._check_shapes(eeg, images)
        batch = len(next(part for part in (eeg, images) if part is not None))
        if eeg is None or eeg_found is None:
            eeg_found = torch.full((batch,), eeg is not None, device=self.cls_token.device)
        if images is None or faces_found is None:
            shape = (batch, 0) if images is None else images.shape[:2]
            faces_found = torch.ones(shape, dtype=torch.bool, device=self.cls_token.device)
        if self.training:
            eeg_found, faces_found = self._drop_modality(eeg_found, faces_found)

        parts = [self.cls_token.expand(batch, -1, -1)]
        masks = [torch.ones(batch, 1, dtype=torch.bool, device=self.cls_token.device)]
        weights = chosen = to_kept = None
        n_faces = 0
        if images is not None:
            if face_tokens is None and self.backbone is None:
                raise ValueError("this MilmerModel has no backbone; give it face_tokens, not faces")
            kept, valid, weights, chosen = self._select(
                images, faces_found, encoded=face_tokens is not None
            )
            if isinstance(self.fusion, QueryAttention):
                kept, valid, to_kept = self.fusion(kept, valid, output_attentions)
            elif self.fusion is not None:
                kept = self.fusion(kept)
            n_faces = kept.shape[1]
            parts.append(kept + self.token_types[0])
            masks.append(valid)
        if eeg is not None:
            parts.append(self._eeg_tokens(eeg, eeg_found) + self.token_types[1])
            masks.append(eeg_found[:, None].expand(-1, eeg.shape[1]))

        cls, attention = self.encoder(torch.cat(parts, 1), torch.cat(masks, 1), output_attentions)
        logits = self.classifier(self.dropout(cls))
        eeg_attention = face_attention = None
        if attention is not None:  # (B, 1 + faces + C)
            if eeg is not None:
                eeg_attention = attention[:, 1 + n_faces :]
            if n_faces:
                face_attention = attention[:, 1 : 1 + n_faces]
                if to_kept is not None:
                    face_attention = torch.einsum("bq,bqn->bn", face_attention, to_kept.detach())
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits.float(), labels)
        return MilmerOutput(loss, logits, weights, chosen, eeg_attention, face_attention)

    def _check_shapes(self, eeg: Tensor | None, images: Tensor | None) -> None:
        config = self.config
        if eeg is not None:
            channels, samples = eeg.shape[1:]
            known = config.n_channels if config.channel_embedding else channels
            if (channels, samples) != (known, config.n_samples):
                raise ValueError(
                    f"the EEG is {channels} channels of {samples} samples, and this MilmerModel "
                    f"knows {known} of {config.n_samples}"
                )
        if images is not None and images.shape[1] < config.kept_faces:
            raise ValueError(
                f"a bag of {images.shape[1]} faces, of which {config.kept_faces} are to be chosen"
            )

    def _drop_modality(self, eeg_found: Tensor, faces_found: Tensor) -> tuple[Tensor, Tensor]:
        """Take one modality, either with equal odds, from some of the segments that have both."""
        both = eeg_found & faces_found.any(1)
        draw = torch.rand(len(both), device=both.device)
        rate = self.config.modality_dropout
        no_eeg = both & (draw < rate / 2)
        no_faces = both & (draw >= rate / 2) & (draw < rate)
        return eeg_found & ~no_eeg, faces_found & ~no_faces[:, None]

    def _eeg_tokens(self, eeg: Tensor, found: Tensor) -> Tensor:
        """(B, C, T) microvolts to (B, C, d)."""
        eeg = torch.where(found[:, None, None], eeg, 0.0).to(self.eeg_norm.weight.dtype)
        tokens = torch.relu(self.eeg_project(self.eeg_norm(eeg)))
        return tokens + self.channel_embedding if self.config.channel_embedding else tokens

    def _select(
        self, faces: Tensor, found: Tensor, encoded: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Keep tokens (B, n, d) with their validity (B, n), weights (B, I) and indices (B, k)."""
        tokens = None
        if encoded:
            tokens = torch.where(found[..., None, None], faces, 0).to(self.cls_token.dtype)
        if isinstance(self.selection, WeightedMean):
            tokens = self.encode_faces(faces, found) if tokens is None else tokens
            kept, valid, weights = self.selection(tokens, found)
            return kept, valid, weights, None

        reads = self.selection.reads
        scores_first = self.lean and self._learning_backbone()
        if tokens is None and reads != "nothing" and not scores_first:
            tokens = self.encode_faces(faces, found)
        if reads == "nothing":
            summaries = self.cls_token.new_empty(0)
        elif tokens is None:
            summaries = self._summaries_without_gradient(faces, found, mean=reads == "mean")
        else:
            summaries = tokens.mean(2) if reads == "mean" else tokens
        with torch.autocast(self.device.type, enabled=False):  # ranks are lost in half precision
            choice: Choice = self.selection.choose(
                summaries.detach().to(self.cls_token.dtype), found
            )
        if tokens is None:
            tokens = self.encode_faces(take(faces, choice.indices), choice.valid)
        else:
            tokens = take(tokens, choice.indices)
        kept, valid = choice.keep(tokens)
        return kept, valid, choice.weights, choice.indices.masked_fill(~choice.valid, -1)

    def encode_faces(self, faces: Tensor, found: Tensor, mean: bool = False) -> Tensor:
        """Run the backbone on the found faces, in chunks where it does not learn.

        Parameters
        ----------
        faces : (B, J, H, W, 3) uint8
        found : (B, J) bool
        mean
            Return each face's mean token only.

        Returns
        -------
        Tensor
            (B, J, N, d), or (B, J, d) with ``mean``; zeros for a face that was not found.
        """
        images = faces[found]  # (n, H, W, 3)
        chunk_size = len(images) if self._learning_backbone() else self._chunk_size()
        outputs = []
        for chunk in images.split(max(chunk_size, 1)):
            if len(chunk):
                output = self.backbone(self._pixels(chunk)).last_hidden_state
                outputs.append(output.mean(1) if mean else output)
        shape = (self.config.width,) if mean else (self.config.tokens_per_face, self.config.width)
        if not outputs:
            return self.cls_token.new_zeros(*found.shape, *shape)
        encoded = torch.cat(outputs)
        return encoded.new_zeros(*found.shape, *shape).index_put((found,), encoded)

    def _chunk_size(self) -> int:
        height, width = image_size(self.config.backbone_config)
        pixels = PIXELS_AT_ONCE.get(self.device.type, MANY_PIXELS)
        return self.score_chunk or pixels // (height * width)

    def _pixels(self, images: Tensor) -> Tensor:
        """(n, H, W, 3) uint8 to what the backbone takes."""
        size = image_size(self.config.backbone_config)
        return normalised(images, size, self.image_mean, self.image_std)

    def _backbone_learns(self) -> bool:
        return any(parameter.requires_grad for parameter in self.backbone.parameters())

    def _learning_backbone(self) -> bool:
        """Whether what goes through the backbone now is kept for a backward pass."""
        return self.backbone is not None and torch.is_grad_enabled() and self._backbone_learns()

    def _summaries_without_gradient(self, faces: Tensor, found: Tensor, mean: bool) -> Tensor:
        """Score a bag with the whole backbone, as in use: nothing is kept for a backward pass."""
        modes = {module: module.training for module in self.backbone.modules()}
        self.backbone.eval()
        try:
            with torch.no_grad():
                return self.encode_faces(faces, found, mean)
        finally:
            for module, mode in modes.items():
                module.training = mode
            # Older versions of torch hand the weights that autocast cast here, which know of no
            # gradient, to the pass that follows (pytorch issue 158232).
            torch.clear_autocast_cache()


AutoConfig.register("milmer", MilmerConfig, exist_ok=True)
AutoModel.register(MilmerConfig, MilmerModel, exist_ok=True)
