"""The Milmer model: classify emotions from EEG and a bag of face images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig
from transformers.utils import ModelOutput

from milmer_cli.models.configuration_milmer import MilmerConfig
from milmer_cli.models.convert_original import load_published
from milmer_cli.models.eeg_alignment import AlignmentReference
from milmer_cli.models.eeg_amplitude import AmplitudeToken
from milmer_cli.models.encoder import Encoder
from milmer_cli.models.face_encoder import FaceEncoderModel
from milmer_cli.models.fusion import QueryAttention, build_fusion
from milmer_cli.models.image_features import create_backbone
from milmer_cli.models.inputs import check_inputs, drop_channels, drop_modality
from milmer_cli.models.mil import MilPooling, PositionSelector, build_selection, gather_instances
from milmer_cli.settings.schema import Fusion, Selection


@dataclass
class MilmerOutput(ModelOutput):
    """Output of `MilmerModel` for B segments.

    Attributes
    ----------
    loss : () float, or None without labels
        Mean cross entropy.
    logits : (B, n_classes) float
    instance_weights : (B, I) float, or None without faces
        Attention weight of each face image; exactly 0 for a missing one.
    selected_indices : (B, k) int64, or None if nothing is selected (amil, mean, no faces)
        The selected face images, highest score first; -1 where a bag has fewer than k images.
    eeg_attention : (B, C) float, or None unless ``output_attentions``
        Attention of the CLS token to each EEG channel, averaged over heads and layers.
    pooler_output : (B, d) float
        Final state of the CLS token, which the classifier reads.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    instance_weights: Tensor | None = None
    selected_indices: Tensor | None = None
    eeg_attention: Tensor | None = None
    pooler_output: Tensor | None = None


class MilmerModel(FaceEncoderModel):
    r"""Multimodal emotion classifier of Wang et al.: EEG and a bag of face images.

    The stages, for B segments of C channels and T samples with I face images each:

    1. **EEG tokens.** One token of size d for each channel:
       :math:`e_c = \mathrm{ReLU}(W\, \mathrm{LayerNorm}(x_c) + b) + p_c`, with a learned embedding
       :math:`p_c` of the channel (none in the published model). The EEG is in microvolts: in volts
       the epsilon of LayerNorm would suppress the signal. LayerNorm removes the amplitude, so a
       linear map of it is added; see `milmer_cli.models.eeg_amplitude`. (B, C, T) -> (B, C, d)
    2. **Face tokens.** The last hidden state of the backbone, N tokens of size d for each image;
       see `milmer_cli.models.image_features`. (B, I, H, W, 3) -> (B, I, N, d)
    3. **Selection.** Attention-based multiple-instance learning scores the images of a bag,
       :math:`a_i = \mathrm{softmax}_i\, w^\top \tanh(V h_i)`, and the k best are kept; see
       `milmer_cli.models.mil`. (B, I, N, d) -> (B, k N, d)
    4. **Fusion.** ``none``, ``mlp`` or ``cross_attention`` with k N learned queries; see
       `milmer_cli.models.fusion`. (B, k N, d) -> (B, k N, d)
    5. **Encoder.** [CLS, face tokens, EEG tokens], with a learned embedding of the token type added
       to the face and EEG tokens, pass through a transformer encoder. The classifier reads the CLS
       token. (B, 1 + k N + C, d) -> (B, n_classes)

    Missing images, missing EEG channels, segments without EEG and segments without any face are
    masked. Their content does not change a single bit of the output. A segment without any EEG
    channel is a segment without EEG.

    **Two-pass gradient.** Only the selected images need a backward pass through the backbone. With
    `two_pass` (the default) a training step scores the bag without gradients and then encodes the
    selected images again with gradients. The gradient equals that of the one-pass computation
    (``two_pass = False``), because the scorer reads detached summaries in both. If the backbone has
    stochastic depth, dropout or batch norm, the two differ: the two-pass scores come from the
    backbone in evaluation mode, as in inference.

    Parameters
    ----------
    config
        Sizes, and the modules to build.

    Attributes
    ----------
    two_pass : bool
        Whether a training step uses the two-pass gradient.

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
        self.two_pass = True
        d = config.hidden_size
        self.cls_token = nn.Parameter(torch.zeros(1, 1, d))
        self.token_types = nn.Parameter(torch.zeros(2, d))  # row 0: faces, row 1: EEG
        if config.modalities != "face":
            self.eeg_norm = nn.LayerNorm(config.n_samples)
            self.eeg_project = nn.Linear(config.n_samples, d)
            if config.channel_embedding:
                self.channel_embedding = nn.Parameter(torch.zeros(config.n_channels, d))
            if config.eeg_amplitude != "none":
                self.amplitude = AmplitudeToken(config)
            if config.eeg_alignment != "none" and config.eeg_alignment_scope == "inductive":
                self.eeg_reference = AlignmentReference(config)
        self.backbone: Any = None
        if config.modalities != "eeg":
            if (backbone := config.backbone_config) is not None:
                self.backbone = create_backbone(backbone)
                self.register_buffer("image_mean", 255 * torch.tensor(config.image_mean))
                self.register_buffer("image_std", 255 * torch.tensor(config.image_std))
            self.selection = build_selection(config)
            self.fusion = build_fusion(config)
        self.encoder = Encoder(
            d, config.num_heads, config.dim_feedforward, config.dropout, config.num_layers
        )
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(d, config.num_labels)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Initialize a module: PyTorch's defaults for its own layers, as published."""
        match module:
            case nn.Linear() | nn.LayerNorm():
                module.reset_parameters()
            case nn.MultiheadAttention():
                module._reset_parameters()
            case QueryAttention():
                nn.init.normal_(module.queries)  # equal queries would have equal gradients
            case PositionSelector():
                nn.init.normal_(module.instance_weights, std=0.02)
            case AmplitudeToken() | AlignmentReference():
                module.reset_parameters()
            case MilmerModel():
                nn.init.normal_(module.cls_token, std=0.02)
                nn.init.normal_(module.token_types, std=0.02)
                if hasattr(module, "channel_embedding"):
                    # of the size of the EEG tokens: with a smaller one the channels take longer to
                    # be distinguished
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
            A state dict, whose tensors the model then shares, or a file that ``torch.save`` wrote
            with it (read with ``weights_only=True``).
        selection, fusion
            Selection and fusion of the checkpoint. By default they are inferred from its keys. A
            checkpoint may contain weights of unused selections; ``selection`` is then required.
        backbone_config
            Configuration of its ``swin_model``; by default inferred from the shapes of the weights.
            A checkpoint without ``swin_model`` gives a model that accepts ``face_tokens``.
        output_loading_info
            Return ``(model, info)``, where info has the sets ``missing_keys`` and
            ``unexpected_keys``.
        **config
            Further arguments of `MilmerConfig`, such as ``class_names``.

        Raises
        ------
        WeightsError
            If the file is not a state dict, or a weight is missing or has another shape.
        """
        model, info = load_published(cls, source, selection, fusion, backbone_config, config)
        return (model, info) if output_loading_info else model

    def forward(
        self,
        eeg: Tensor | None = None,
        faces: Tensor | None = None,
        eeg_found: Tensor | None = None,
        faces_found: Tensor | None = None,
        face_tokens: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool = False,
        channels_found: Tensor | None = None,
    ) -> MilmerOutput:
        """Classify B segments.

        Parameters
        ----------
        eeg : (B, C, T) float
            Microvolts. None if no segment has EEG.
        faces : (B, I, H, W, 3) uint8
            RGB; resized to the size of the backbone. None if no segment has faces.
        eeg_found : (B,) bool
            Whether a segment has EEG. None if all have it.
        faces_found : (B, I) bool
            Whether a face was found. None if all were found.
        face_tokens : (B, I, N, d) float
            Tokens of a frozen backbone, instead of ``faces``.
        labels : (B,) int64
        output_attentions
            Return ``eeg_attention``.
        channels_found : (B, C) bool
            Whether an EEG channel was recorded and is good. None if all are.
        """
        if self.config.modalities == "eeg":
            faces = face_tokens = None
        elif self.config.modalities == "face":
            eeg = None
        instances = faces if face_tokens is None else face_tokens
        is_image = instances is not None and instances is faces
        check_inputs(self.config, eeg, channels_found, instances, needs_backbone=is_image)
        device = self.cls_token.device
        # the shape, not len(), which would make the batch size of an exported model constant
        batch = next(values.shape[0] for values in (eeg, instances) if values is not None)
        if eeg is None or eeg_found is None:
            eeg_found = torch.full((batch,), int(eeg is not None), dtype=torch.bool, device=device)
        if eeg is not None and channels_found is not None:
            eeg_found = eeg_found & channels_found.any(1)
        if instances is None or faces_found is None:
            shape = (batch, 0) if instances is None else instances.shape[:2]
            faces_found = torch.ones(shape, dtype=torch.bool, device=device)
        if self.training:
            rate = self.config.modality_dropout
            eeg_found, faces_found = drop_modality(eeg_found, faces_found, rate)

        tokens = [self.cls_token.expand(batch, -1, -1)]
        valid = [torch.ones(batch, 1, dtype=torch.bool, device=device)]
        weights = selected_indices = None
        if instances is not None:
            encoded = face_tokens is not None
            face, face_valid, weights, selected_indices = self._select_faces(
                instances, faces_found, encoded
            )
            if isinstance(self.fusion, QueryAttention):
                face, face_valid = self.fusion(face, face_valid)
            elif self.fusion is not None:
                face = self.fusion(face)
            tokens.append(face + self.token_types[0])
            valid.append(face_valid)
        if eeg is not None:
            eeg_valid = eeg_found[:, None].expand(eeg.shape[:2])
            if channels_found is not None:
                eeg_valid = eeg_valid & channels_found
            if self.training:
                eeg_valid = drop_channels(eeg_valid, self.config.channel_dropout)
            tokens.append(self._eeg_tokens(eeg, eeg_valid) + self.token_types[1])
            valid.append(eeg_valid)

        cls, attention = self.encoder(torch.cat(tokens, 1), torch.cat(valid, 1), output_attentions)
        logits = self.classifier(self.dropout(cls))
        if not self.training:
            logits = logits / self._temperature(eeg_found, faces_found).to(logits.dtype)
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits.float(), labels)
        eeg_attention = None
        if attention is not None and eeg is not None:
            eeg_attention = attention[:, -eeg.shape[1] :]
        return MilmerOutput(loss, logits, weights, selected_indices, eeg_attention, cls)

    def _temperature(self, eeg_found: Tensor, faces_found: Tensor) -> Tensor:
        """Return the temperature of each segment, (B, 1), by the modalities that it has."""
        values = self.config.temperatures
        table = torch.tensor(
            [1.0, values["eeg"], values["face"], values["both"]], device=eeg_found.device
        )
        return table[eeg_found.long() + 2 * faces_found.any(dim=1).long()][:, None]

    def _eeg_tokens(self, eeg: Tensor, found: Tensor) -> Tensor:
        """Map (B, C, T) microvolts to (B, C, d); ``found`` is (B, C)."""
        eeg = torch.where(found[..., None], eeg, 0.0)
        normalized = self.eeg_norm(eeg.to(self.eeg_norm.weight.dtype))
        tokens = torch.relu(self.eeg_project(normalized))
        if self.config.eeg_amplitude != "none":
            tokens = tokens + self.amplitude(eeg)
        return tokens + self.channel_embedding if self.config.channel_embedding else tokens

    def _select_faces(
        self, faces: Tensor, found: Tensor, encoded: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Encode and select: tokens (B, n, d), validity (B, n), weights (B, I), indices (B, k)."""
        tokens = None
        if encoded:
            tokens = torch.where(found[..., None, None], faces, 0).to(self.cls_token.dtype)
        if isinstance(self.selection, MilPooling):
            tokens = self.encode_faces(faces, found) if tokens is None else tokens
            return *self.selection(tokens, found), None

        summary = self.selection.summary
        two_pass = self.two_pass and self._backbone_needs_gradient()
        if tokens is None and summary != "none" and not two_pass:
            tokens = self.encode_faces(faces, found)
        if summary == "none":
            summaries = self.cls_token.new_empty(0)
        elif tokens is None:  # first pass: score without gradients
            summaries = self._encode_without_gradient(faces, found, mean=summary == "mean")
        else:
            summaries = tokens.mean(2) if summary == "mean" else tokens
        # in half precision close scores become equal and their order is lost
        with torch.autocast(self.cls_token.device.type, enabled=False):
            selection = self.selection.select(summaries.detach().to(self.cls_token.dtype), found)
        if tokens is None:  # second pass: encode the selected faces, with gradients
            tokens = self.encode_faces(gather_instances(faces, selection.indices), selection.valid)
        else:
            tokens = gather_instances(tokens, selection.indices)
        gated, valid = selection.gate(tokens)
        return gated, valid, selection.weights, selection.indices.masked_fill(~selection.valid, -1)


AutoConfig.register("milmer", MilmerConfig, exist_ok=True)
AutoModel.register(MilmerConfig, MilmerModel, exist_ok=True)
