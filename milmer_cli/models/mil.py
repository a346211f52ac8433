r"""Attention-based multiple-instance learning: select the face images of a bag (Ilse et al. 2018).

A selector works in two steps, so that only the selected instances need a backward pass:
`InstanceSelector.select` scores a summary of each instance and returns an `InstanceSelection`;
`InstanceSelection.gate` scales the tokens of the selected instances. Missing instances have a
weight of exactly 0 and are never selected while the bag has found instances left.

The scorer is that of attention-based MIL without the gate (equation 8 of the paper):

.. math:: a_i = \mathrm{softmax}_i\; w^\top \tanh(V h_i)

With ``scorer="published"`` the selection is a set of indices and no gradient reaches the scorer.
With ``scorer="pooled"`` the tokens of the k selected instances are multiplied by *gates*: k times
the softmax of the scores of the selected instances. All gates are 1 if all scores are equal, which
is the published arithmetic. For k = 1 the gate is 1 with the gradient of the instance's weight. Two
measures make the scorer learn:

- During training, Gumbel noise is added to the scores before the top k are taken. This samples k
  instances without replacement from the softmax of the scores (Kool et al. 2019). Without noise an
  instance with a low initial score is never selected and never receives a gradient. The scale of 2
  corresponds to a softmax of half the scores; with a scale of 1 the scorer stops learning as soon
  as some informative instance is usually selected. The effect of the noise fades as the scores
  grow.
- The scorer reads detached summaries. The backbone learns from the tokens of the selected
  instances, and the scorer learns from their gates. Therefore the two-pass computation of
  `MilmerModel` (score without gradient, then encode the selected instances with gradient) has
  exactly the gradient of the one-pass computation.

To add a selection: write an `InstanceSelector`, add it to `build_selection`, name it in `Selection`
of the settings schema and in ``configuration_milmer.SELECTIONS``.

References
----------
Ilse, Tomczak & Welling (2018), Attention-based deep multiple instance learning. ICML.
Kool, van Hoof & Welling (2019), Stochastic beams and where to find them: the Gumbel-top-k trick for
sampling sequences without replacement. ICML.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from milmer_cli.models.configuration_milmer import MilmerConfig


class InstanceSelection(NamedTuple):
    """The selected instances of B bags of I instances.

    Attributes
    ----------
    weights : (B, I) float
        Attention weight of each instance; they sum to 1. Exactly 0 for a missing instance, and for
        all instances of an empty bag.
    indices : (B, k) int64
        The selected instances, highest score first.
    valid : (B, k) bool
        False where a bag has fewer than k found instances.
    gates : (B, k) float or None
        Factors of the tokens of the selected instances; None for no scaling.
    """

    weights: Tensor
    indices: Tensor
    valid: Tensor
    gates: Tensor | None

    def gate(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and concatenate the tokens of the selected instances.

        Parameters
        ----------
        tokens : (B, k, N, d)

        Returns
        -------
        tokens : (B, k * N, d)
        valid : (B, k * N) bool
        """
        if self.gates is not None:
            tokens = tokens * self.gates[..., None, None].to(tokens.dtype)
        return tokens.flatten(1, 2), self.valid.repeat_interleave(tokens.shape[2], dim=1)


def gather_instances(values: Tensor, indices: Tensor) -> Tensor:
    """Gather ``indices`` (B, k) along the second axis of ``values`` (B, I, ...)."""
    index = indices.reshape(*indices.shape, *[1] * (values.dim() - 2))
    return values.gather(1, index.expand(-1, -1, *values.shape[2:]))


def masked_softmax(scores: Tensor, found: Tensor) -> Tensor:
    """Softmax over the found entries of the last axis; exactly 0 elsewhere, and in empty rows."""
    # The smallest finite number, not -inf: a row of -inf would give NaN for an empty bag.
    scores = scores.float().masked_fill(~found, torch.finfo(torch.float32).min)
    return scores.softmax(-1) * found


def masked_topk(scores: Tensor, found: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k found entries with the highest scores.

    Missing entries have a score of -inf, so that they come last: they fill the k indices only if a
    bag has fewer than k found entries, and ``valid`` marks them.

    Parameters
    ----------
    scores : (B, I) float
    found : (B, I) bool
    k
        At most I.

    Returns
    -------
    indices : (B, k) int64
        Highest score first.
    valid : (B, k) bool
        Whether the entry was found.
    """
    ranked = scores.detach().float().masked_fill(~found, -torch.inf)
    indices = ranked.topk(k, dim=1).indices
    return indices, found.gather(1, indices)


class InstanceSelector(nn.Module):
    """Base class of the selectors.

    Parameters
    ----------
    num_select
        Instances to select from each bag.
    gated
        Whether the selected tokens are scaled, so that the scorer receives a gradient.
    noise
        Scale of the Gumbel noise on the scores during training.

    Attributes
    ----------
    summary
        The input of `select` for each instance: ``none`` (an empty tensor), ``mean``, its mean
        token (B, I, d), or ``tokens``, all its tokens (B, I, N, d).
    """

    summary: Literal["none", "mean", "tokens"] = "none"

    def __init__(self, num_select: int, gated: bool, noise: float = 0.0) -> None:
        super().__init__()
        self.num_select = num_select
        self.gated = gated
        self.noise = noise

    def select(self, summaries: Tensor, found: Tensor) -> InstanceSelection:
        """Select instances.

        Parameters
        ----------
        summaries
            See `summary`.
        found : (B, I) bool
        """
        raise NotImplementedError

    def _select_topk(self, weights: Tensor, scores: Tensor, found: Tensor) -> InstanceSelection:
        noisy = scores
        if self.training and self.noise:
            # -log of an exponential variable is a Gumbel variable
            noisy = scores - self.noise * torch.empty_like(weights).exponential_().log()
        indices, valid = masked_topk(noisy, found, self.num_select)
        gates = None
        if self.gated and self.num_select > 1:
            gates = masked_softmax(scores.gather(1, indices), valid) * valid.sum(1, keepdim=True)
        elif self.gated:
            # the softmax of a single score is 1 and has no gradient: use that of the weight
            weight = weights.gather(1, indices)
            gates = (1 + weight - weight.detach()) * valid
        return InstanceSelection(weights, indices, valid, gates)


class FirstInstanceSelector(InstanceSelector):
    """``none``: the first found face."""

    def __init__(self) -> None:
        super().__init__(num_select=1, gated=False)

    def select(self, summaries: Tensor, found: Tensor) -> InstanceSelection:
        """See `InstanceSelector.select`."""
        indices = found.int().argmax(1, keepdim=True)  # the first of equal maxima
        weights = torch.zeros(found.shape, device=found.device).scatter(1, indices, 1.0) * found
        return InstanceSelection(weights, indices, found.gather(1, indices), None)


class PositionSelector(InstanceSelector):
    """``softmax``: one learned score for each position in the bag, equal for all bags."""

    def __init__(self, num_instances: int, num_select: int, gated: bool, noise: float) -> None:
        super().__init__(num_select, gated, noise)
        self.instance_weights = nn.Parameter(torch.zeros(1, num_instances))

    def select(self, summaries: Tensor, found: Tensor) -> InstanceSelection:
        """See `InstanceSelector.select`."""
        scores = self.instance_weights.expand(found.shape[0], -1)
        return self._select_topk(masked_softmax(scores, found), scores, found)


class AttentionSelector(InstanceSelector):
    """``attention_topk`` and ``attention_weighted_topk``: the instances of highest attention.

    The pooled scorer reads the mean token of an instance. The published scorer reads all its tokens
    as one vector of N * d values and has a square layer of that size.

    Parameters
    ----------
    config
        Sizes and scorer.
    recover
        ``attention_topk``: map the attention-weighted mean of the bag to one score an instance, and
        select by these scores. Otherwise select by the attention.
    """

    def __init__(self, config: MilmerConfig, recover: bool) -> None:
        pooled = config.scorer == "pooled"
        noise = config.selection_noise if pooled else 0.0
        super().__init__(config.num_select, gated=pooled, noise=noise)
        self.summary = "mean" if pooled else "tokens"
        features = config.hidden_size * (1 if pooled else config.tokens_per_face)
        self.value = nn.Linear(features, features)
        # a bias before a softmax has no gradient; the published scorer has one nevertheless
        self.score = nn.Linear(features, 1, bias=not pooled)
        self.recover = nn.Linear(features, config.num_instances) if recover else None

    def select(self, summaries: Tensor, found: Tensor) -> InstanceSelection:
        """See `InstanceSelector.select`."""
        features = summaries.flatten(2)  # (B, I, features)
        scores = self.score(torch.tanh(self.value(features))).squeeze(-1)  # (B, I)
        weights = masked_softmax(scores, found)
        if self.recover is not None:
            bags = torch.einsum("bi,bif->bf", weights.to(features.dtype), features)
            scores = self.recover(bags)
            weights = masked_softmax(scores, found)
        return self._select_topk(weights, scores, found)


class MilPooling(nn.Module):
    """``amil``: attention-based MIL pooling; ``mean``: the same with equal weights.

    Nothing is selected: the weighted mean of the mean tokens of a bag is its only face token.

    Parameters
    ----------
    hidden_size
        Size of a token.
    learned
        Whether the weights are learned (``amil``).
    """

    def __init__(self, hidden_size: int, learned: bool = True) -> None:
        super().__init__()
        self.learned = learned
        if learned:
            self.value = nn.Linear(hidden_size, hidden_size)
            self.score = nn.Linear(hidden_size, 1)

    def forward(self, tokens: Tensor, found: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pool a bag.

        Parameters
        ----------
        tokens : (B, I, N, d)
        found : (B, I) bool

        Returns
        -------
        pooled : (B, 1, d)
        valid : (B, 1) bool
            False for an empty bag.
        weights : (B, I)
        """
        means = tokens.mean(2)  # (B, I, d)
        scores = means.new_zeros(means.shape[:2])
        if self.learned:
            scores = self.score(torch.tanh(self.value(means))).squeeze(-1)
        weights = masked_softmax(scores, found)
        pooled = torch.einsum("bi,bid->bd", weights.to(means.dtype), means)[:, None]
        return pooled, found.any(1, keepdim=True), weights


def build_selection(config: MilmerConfig) -> InstanceSelector | MilPooling:
    """Build the selector or the pooling that ``config.selection`` names."""
    match config.selection:
        case "none":
            return FirstInstanceSelector()
        case "softmax":
            gated = config.scorer == "pooled"
            noise = config.selection_noise if gated else 0.0
            return PositionSelector(config.num_instances, config.num_select, gated, noise)
        case "amil":
            return MilPooling(config.hidden_size)
        case "mean":
            return MilPooling(config.hidden_size, learned=False)
        case "attention_topk" | "attention_weighted_topk":
            return AttentionSelector(config, recover=config.selection == "attention_topk")
