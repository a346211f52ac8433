"""The transformer encoder that reads the CLS, face and EEG tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """Post-norm `torch.nn.TransformerEncoderLayer` layers; the output is that of the CLS token."""

    def __init__(
        self,
        hidden_size: int,
        num_heads: int,
        dim_feedforward: int,
        dropout: float,
        num_layers: int,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                hidden_size, num_heads, dim_feedforward, dropout, batch_first=True
            )
            for _ in range(num_layers)
        )

    def forward(
        self, tokens: Tensor, valid: Tensor, output_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Encode a sequence.

        Parameters
        ----------
        tokens : (B, L, d)
            CLS first.
        valid : (B, L) bool
            False for tokens that are ignored by the attention.
        output_attentions
            Also return the attention of CLS.

        Returns
        -------
        cls : (B, d)
        attention : (B, L) or None
            Attention of CLS to each token, averaged over heads and layers.
        """
        attentions = []
        layer: Any
        for layer in self.layers:
            if output_attentions:
                with torch.no_grad():
                    # the layer returns no weights: compute those of the CLS query again
                    weights = layer.self_attn(
                        tokens[:, :1], tokens, tokens, key_padding_mask=~valid
                    )[1]
                    attentions.append(weights[:, 0])
            tokens = layer(tokens, src_key_padding_mask=~valid)
        return tokens[:, 0], torch.stack(attentions).mean(0) if attentions else None
