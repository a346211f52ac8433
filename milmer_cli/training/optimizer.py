"""AdamW's parameter groups: what decays, and at which rate each depth of the network learns."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, SwinModel, Swinv2Model

from milmer_cli.settings.schema import LearningSettings

UNDECAYED = re.compile(
    r"bias|norm|position|cls_token|queries|token_types|channel_embedding|logit_scale"
)
"""Names of parameters that weight decay leaves alone; so does every vector."""

BLOCK = re.compile(r"encoder\.layers\.(\d+)\.(?:blocks\.(\d+)\.|downsample)")


def backbone_of(model: nn.Module) -> tuple[str, PreTrainedModel] | None:
    """Find the Swin backbone inside a model.

    Returns
    -------
    tuple of (str, model) or None
        The prefix of its parameters' names, and the backbone.
    """
    for name, module in model.named_modules():
        if isinstance(module, SwinModel | Swinv2Model):
            return (f"{name}." if name else ""), module
    return None


def distance_from_output(name: str, depths: list[int]) -> int:
    """Tell how many blocks lie between a backbone parameter and the backbone's output.

    Parameters
    ----------
    name
        Name of the parameter inside the backbone.
    depths
        Blocks in each stage.

    Returns
    -------
    int
        0 for the last norm, 1 for the last block, ``sum(depths) + 1`` for the embeddings.
    """
    if match := BLOCK.match(name):
        stage = int(match[1])
        block = int(match[2]) if match[2] else depths[stage] - 1
        return sum(depths) - sum(depths[:stage]) - block
    return sum(depths) + 1 if name.startswith("embeddings.") else 0


def parameter_groups(model: nn.Module, recipe: LearningSettings) -> list[dict[str, Any]]:
    """Sort the trainable parameters by learning rate and weight decay.

    Parameters
    ----------
    model
        A model with at most one Swin backbone inside.
    recipe
        ``lr``, ``weight_decay``, ``backbone_lr_ratio`` and ``layer_decay`` are used.

    Returns
    -------
    list of dict
        ``params``, ``lr`` and ``weight_decay`` of each group; the head comes first.
    """
    found = backbone_of(model)
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    groups[recipe.lr, recipe.weight_decay] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        lr = recipe.lr
        if found and name.startswith(found[0]):
            distance = distance_from_output(name[len(found[0]) :], list(found[1].config.depths))
            lr *= recipe.backbone_lr_ratio * recipe.layer_decay**distance
        bare = parameter.ndim < 2 or UNDECAYED.search(name)
        groups[lr, 0.0 if bare else recipe.weight_decay].append(parameter)
    return [
        {"params": parameters, "lr": lr, "weight_decay": decay}
        for (lr, decay), parameters in groups.items()
        if parameters
    ]


def balanced_weights(counts: torch.Tensor) -> torch.Tensor:
    """Weights that give every class that occurs the same say, with mean 1 over the samples.

    Parameters
    ----------
    counts
        Samples of each class, (n_classes,).
    """
    present = counts > 0
    weights = counts.sum() / (present.sum() * counts.clamp(min=1))
    return torch.where(present, weights, torch.zeros_like(weights)).float()
