"""Which instances of a bag the model keeps.

Every selection works in two steps, so that only what is kept needs a backward pass:
`Selection.choose` reads a summary of each instance and says which to take, `Choice.keep` scales
their tokens. Missing instances weigh exactly 0 and are never chosen while a found one is left.

With the published scorer a choice is a bare index and no gradient reaches the scorer. With the
pooled one the chosen tokens are scaled by ``k x softmax`` of the scores *of the chosen instances*
(1 each while all score alike, which is the published arithmetic; a single one by 1, with the
gradient of its weight in the bag), and two things make it learn to
choose:

- In training, Gumbel noise is added to the scores before the best are taken, which draws instances
  without replacement by a softmax of the scores (Kool et al. 2019). An instance the scorer dislikes
  at first is still tried; without noise, one that is never chosen never gets a gradient. Noise of
  scale 2 (a softmax of half the scores) makes the scorer set what is informative well apart: with
  scale 1 it stops learning once some informative instance is usually among the chosen. The noise
  fades by itself as the scores grow.
- The scorer reads the summaries without sending a gradient into the backbone: the backbone learns
  through the tokens that are kept, the scorer through their weights. That is the default
  arithmetic, not an approximation of it, and it is why scoring without gradients and running only
  the chosen instances again gives the gradient of the plain computation.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from milmer_cli.model.config import MilmerConfig


class Choice(NamedTuple):
    """The outcome of a selection over B bags of I instances.

    Attributes
    ----------
    weights : (B, I) float
        Weight of each instance in its bag; sums to 1, exactly 0 for a missing one (all 0 in an
        empty bag).
    indices : (B, k) int64
        The chosen instances, best first.
    valid : (B, k) bool
        False where a bag has fewer than k found instances.
    gates : (B, k) float or None
        What the chosen tokens are scaled by; None for a bare index.
    """

    weights: Tensor
    indices: Tensor
    valid: Tensor
    gates: Tensor | None

    def keep(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and join the tokens of the chosen instances.

        Parameters
        ----------
        tokens : (B, k, N, d)

        Returns
        -------
        kept : (B, k * N, d)
        valid : (B, k * N) bool
        """
        if self.gates is not None:
            tokens = tokens * self.gates[..., None, None].to(tokens.dtype)
        return tokens.flatten(1, 2), self.valid.repeat_interleave(tokens.shape[2], dim=1)


def take(values: Tensor, indices: Tensor) -> Tensor:
    """Pick ``indices`` (B, k) along the second axis of ``values`` (B, I, ...)."""
    index = indices.reshape(*indices.shape, *[1] * (values.dim() - 2))
    return values.gather(1, index.expand(-1, -1, *values.shape[2:]))


def masked_softmax(scores: Tensor, found: Tensor) -> Tensor:
    """Softmax over the found entries of the last axis; exactly 0 elsewhere, and in empty rows."""
    scores = scores.float().masked_fill(~found, torch.finfo(torch.float32).min)
    return scores.softmax(-1) * found


def top(scores: Tensor, found: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Rank the found entries: the best k, best first, and whether each of them is a found one."""
    ranked = scores.detach().float().masked_fill(~found, -torch.inf)
    indices = ranked.topk(k, dim=1).indices  # (B, k)
    return indices, found.gather(1, indices)


class Selection(nn.Module):
    """Base of the selections that choose.

    ``reads`` says what `choose` wants of each instance: ``nothing`` (an empty tensor), its mean
    token (B, I, d), or all its tokens (B, I, N, d).
    """

    reads: Literal["nothing", "mean", "tokens"] = "nothing"

    def __init__(self, num_select: int, gated: bool, noise: float = 0.0) -> None:
        super().__init__()
        self.num_select = num_select
        self.gated = gated
        self.noise = noise

    def choose(self, summaries: Tensor, found: Tensor) -> Choice:
        """Choose instances from ``summaries`` (see `reads`) and ``found`` (B, I)."""
        raise NotImplementedError

    def _choice(self, weights: Tensor, scores: Tensor, found: Tensor) -> Choice:
        drawn = scores
        if self.training and self.noise:
            drawn = scores - self.noise * torch.empty_like(weights).exponential_().log()
        indices, valid = top(drawn, found, self.num_select)
        gates = None
        if self.gated and self.num_select > 1:
            gates = masked_softmax(scores.gather(1, indices), valid) * valid.sum(1, keepdim=True)
        elif self.gated:  # a softmax of one is 1 whatever its score: only the gradient goes through
            weight = weights.gather(1, indices)
            gates = (1 + weight - weight.detach()) * valid
        return Choice(weights, indices, valid, gates)


class FirstInstance(Selection):
    """``none``: the first found face."""

    def __init__(self) -> None:
        super().__init__(num_select=1, gated=False)

    def choose(self, summaries: Tensor, found: Tensor) -> Choice:
        """See `Selection.choose`."""
        indices = found.int().argmax(1, keepdim=True)  # the first maximum
        weights = torch.zeros(found.shape, device=found.device).scatter(1, indices, 1.0) * found
        return Choice(weights, indices, found.gather(1, indices), None)


class LearnedPositions(Selection):
    """``softmax``: one learned score per position in the bag, the same for every sample."""

    def __init__(self, instances: int, num_select: int, gated: bool, noise: float) -> None:
        super().__init__(num_select, gated, noise)
        self.instance_weights = nn.Parameter(torch.zeros(1, instances))

    def choose(self, summaries: Tensor, found: Tensor) -> Choice:
        """See `Selection.choose`."""
        scores = self.instance_weights.expand(len(found), -1)
        return self._choice(masked_softmax(scores, found), scores, found)


class Attention(Selection):
    """Scores each instance by itself (attention-based MIL; Ilse et al. 2018, eq. 8).

    ``pooled`` scores its mean token. Otherwise, as published, all its tokens in one row, with a
    square layer on them and a bare index out of it.

    ``recover`` (attention_topk): the weighted mean of the bag gives the scores that choose.
    """

    def __init__(
        self,
        features: int,
        instances: int,
        num_select: int,
        recover: bool,
        pooled: bool,
        noise: float,
    ) -> None:
        super().__init__(num_select, gated=pooled, noise=noise)
        self.reads = "mean" if pooled else "tokens"
        self.value = nn.Linear(features, features)
        # behind a softmax a bias gets no gradient; the published scorer has one all the same
        self.score = nn.Linear(features, 1, bias=not pooled)
        self.recover = nn.Linear(features, instances) if recover else None

    def choose(self, summaries: Tensor, found: Tensor) -> Choice:
        """See `Selection.choose`."""
        features = summaries.flatten(2)  # (B, I, features)
        scores = self.score(torch.tanh(self.value(features))).squeeze(-1)  # (B, I)
        weights = masked_softmax(scores, found)
        if self.recover is not None:
            bags = torch.einsum("bi,bif->bf", weights.to(features.dtype), features)
            scores = self.recover(bags)
            weights = masked_softmax(scores, found)
        return self._choice(weights, scores, found)


class WeightedMean(nn.Module):
    """``amil``: chooses nothing, but makes one token: the weighted mean of the mean tokens.

    ``mean`` is the same with equal weights, which are not learned.
    """

    def __init__(self, width: int, learned: bool = True) -> None:
        super().__init__()
        self.learned = learned
        if learned:
            self.value = nn.Linear(width, width)
            self.score = nn.Linear(width, 1)

    def forward(self, tokens: Tensor, found: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Average a bag.

        Parameters
        ----------
        tokens : (B, I, N, d)
        found : (B, I) bool

        Returns
        -------
        kept : (B, 1, d)
        valid : (B, 1) bool
        weights : (B, I)
        """
        means = tokens.mean(2)  # (B, I, d)
        scores = means.new_zeros(means.shape[:2])
        if self.learned:
            scores = self.score(torch.tanh(self.value(means))).squeeze(-1)
        weights = masked_softmax(scores, found)
        kept = torch.einsum("bi,bid->bd", weights.to(means.dtype), means)[:, None]
        return kept, found.any(1, keepdim=True), weights


def build_selection(config: MilmerConfig) -> Selection | WeightedMean:
    """Build the parts of the chosen selection only."""
    pooled = config.scorer == "pooled"
    noise = config.selection_noise if pooled else 0.0
    match config.selection:
        case "none":
            return FirstInstance()
        case "softmax":
            return LearnedPositions(config.instances, config.num_select, pooled, noise)
        case "amil":
            return WeightedMean(config.width)
        case "mean":
            return WeightedMean(config.width, learned=False)
        case "attention_topk" | "attention_weighted_topk":
            recover = config.selection == "attention_topk"
            features = config.width * (1 if pooled else config.tokens_per_face)
            return Attention(features, config.instances, config.num_select, recover, pooled, noise)
