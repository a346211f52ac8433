"""The transformer in which CLS, face and EEG tokens meet."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """PyTorch's post-norm encoder layers, of which only the CLS output is read."""

    def __init__(
        self, width: int, heads: int, feedforward: int, dropout: float, layers: int
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, feedforward, dropout, batch_first=True)
            for _ in range(layers)
        )

    def forward(
        self, tokens: Tensor, valid: Tensor, need_attention: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Encode a sequence.

        Parameters
        ----------
        tokens : (B, L, d)
            CLS first.
        valid : (B, L) bool
            False for tokens that nothing may attend to.

        Returns
        -------
        cls : (B, d)
        attention : (B, L) or None
            Of CLS to each token, averaged over heads and layers.
        """
        attention = []
        for layer in self.layers:
            if need_attention:
                with torch.no_grad():
                    attention.append(_cls_attention(layer.self_attn, tokens, ~valid))
            tokens = layer(tokens, src_key_padding_mask=~valid)
        cls = tokens[:, 0]
        return cls, torch.stack(attention).mean(0) if attention else None


def _cls_attention(attention: Any, tokens: Tensor, ignored: Tensor) -> Tensor:
    """Ask one layer's attention for that of the first token: (B, L)."""
    return attention(tokens[:, :1], tokens, tokens, key_padding_mask=ignored)[1][:, 0]
