"""How the kept face tokens are balanced against the EEG tokens before both meet in the encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from milmer_cli.model.config import MilmerConfig


class TokenMlp(nn.Module):
    """``mlp``: each token up to four times its width, GELU, and down again."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, n, d) to (B, n, d)."""
        return self.down(nn.functional.gelu(self.up(tokens)))


class QueryAttention(nn.Module):
    """``cross_attention``: learned queries attend to the face tokens; their number never varies."""

    def __init__(self, width: int, queries: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.zeros(1, queries, width))
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)

    def forward(
        self, tokens: Tensor, valid: Tensor, need_weights: bool = False
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Gather the face tokens.

        Parameters
        ----------
        tokens : (B, n, d)
        valid : (B, n) bool
        need_weights
            Return how much each query took from each token.

        Returns
        -------
        gathered : (B, queries, d)
        valid : (B, queries) bool
            False throughout where a bag has no token at all.
        weights : (B, queries, n) or None
        """
        present = valid.any(1, keepdim=True)  # (B, 1)
        ignored = ~valid & present  # attending to nothing would be NaN; an empty bag holds zeros
        gathered, weights = self.attention(
            self.queries.expand(len(tokens), -1, -1),
            tokens,
            tokens,
            key_padding_mask=ignored,
            need_weights=need_weights,
        )
        return gathered, present.expand(-1, gathered.shape[1]), weights


def build_fusion(config: MilmerConfig) -> TokenMlp | QueryAttention | None:
    """Build the chosen fusion; None keeps the tokens as they are."""
    match config.fusion:
        case "none":
            return None
        case "mlp":
            return TokenMlp(config.width)
        case "cross_attention":
            queries = config.num_select * config.tokens_per_face
            return QueryAttention(config.width, queries, config.heads, config.dropout)
