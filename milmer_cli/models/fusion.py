"""Fusion: balance the number or the size of the selected face tokens against the EEG tokens.

To add a fusion: write a module, add it to `build_fusion`, name it in `Fusion` of the settings
schema and in ``configuration_milmer.FUSIONS``, and call it in `MilmerModel.forward`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from milmer_cli.models.configuration_milmer import MilmerConfig


class TokenMlp(nn.Module):
    """``mlp``: a linear layer to four times the size of a token, GELU, and a linear layer back."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.up = nn.Linear(hidden_size, 4 * hidden_size)
        self.down = nn.Linear(4 * hidden_size, hidden_size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, n, d) to (B, n, d)."""
        return self.down(nn.functional.gelu(self.up(tokens)))


class QueryAttention(nn.Module):
    """``cross_attention``: a fixed number of learned queries attends to the face tokens."""

    def __init__(self, hidden_size: int, num_queries: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.zeros(1, num_queries, hidden_size))
        self.attention = nn.MultiheadAttention(hidden_size, num_heads, dropout, batch_first=True)

    def forward(self, tokens: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Attend to the face tokens.

        Parameters
        ----------
        tokens : (B, n, d)
        valid : (B, n) bool

        Returns
        -------
        attended : (B, num_queries, d)
        valid : (B, num_queries) bool
            False for a bag without valid tokens.
        """
        present = valid.any(1, keepdim=True)  # (B, 1)
        # With all keys ignored, the softmax of an empty bag would be NaN. Its tokens are zeros, so
        # let the queries attend to them and mask the result.
        ignored = ~valid & present
        attended, _ = self.attention(
            self.queries.expand(tokens.shape[0], -1, -1),
            tokens,
            tokens,
            key_padding_mask=ignored,
            need_weights=False,
        )
        return attended, present.expand(-1, attended.shape[1])


def build_fusion(config: MilmerConfig) -> TokenMlp | QueryAttention | None:
    """Build the fusion that ``config.fusion`` names; None for ``none``."""
    match config.fusion:
        case "none":
            return None
        case "mlp":
            return TokenMlp(config.hidden_size)
        case "cross_attention":
            num_queries = config.num_select * config.tokens_per_face
            return QueryAttention(config.hidden_size, num_queries, config.num_heads, config.dropout)
