"""The map of the EEG channels that is saved with a model (``model.eeg_alignment``, inductive)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from milmer_cli.models.configuration_milmer import MilmerConfig


class AlignmentReference(nn.Module):
    r"""Affine map of the EEG channels, :math:`x \mapsto W (x - m)`, estimated on the training set.

    The model does not apply it: EEG is aligned when it is read, that of training participants by
    their own maps. This map is for new participants.

    Parameters
    ----------
    config
        ``n_channels`` is used.

    Attributes
    ----------
    matrix : (C, C) float32 buffer
    offset : (C,) float32 buffer, microvolts
    """

    matrix: Tensor
    offset: Tensor

    def __init__(self, config: MilmerConfig) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.eye(config.n_channels))
        self.register_buffer("offset", torch.zeros(config.n_channels))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Set the map to the identity."""
        self.matrix.copy_(torch.eye(len(self.matrix)))
        self.offset.zero_()

    @torch.no_grad()
    def set_map(self, matrix: Tensor, offset: Tensor) -> None:
        """Set W, (C, C), and m, (C,) microvolts."""
        self.matrix.copy_(matrix)
        self.offset.copy_(offset)
