"""Parameter groups of AdamW (weight decay and layer-wise learning rates), and class weights."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from milmer_cli.models import MilmerModel
from milmer_cli.settings.schema import LearningSettings

NO_DECAY = re.compile(
    r"bias|norm|position|(cls|register|distillation)_token|queries|token_types|channel_embedding|"
    r"logit_scale"
)
"""Names of parameters without weight decay; all other vectors have none either."""

BLOCK = re.compile(
    r"(?P<block>(?:.*?\.)??(?:layers?|stages|blocks?)\.\d+(?P<inner>\.(?:layers?|blocks?)\.\d+)?)\."
)
"""Names of the parameters of a block: ``layers.3.``, or of a stage: ``layers.1.blocks.2.``."""


def trainable_parameters(model: nn.Module) -> dict[str, torch.Tensor]:
    """Detached parameters that are not frozen, by name; they share memory with the model."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def find_backbone(model: nn.Module) -> tuple[str, nn.Module] | None:
    """Find the backbone of a Milmer model or of an image classifier.

    Returns
    -------
    tuple of (str, module) or None
        Prefix of the names of its parameters, and the backbone.
    """
    if isinstance(model, MilmerModel):
        return None if model.backbone is None else ("backbone.", model.backbone)
    if isinstance(model, PreTrainedModel) and model.base_model is not model:
        return f"{model.base_model_prefix}.", model.base_model
    return None


def layer_depths(backbone: nn.Module) -> dict[str, int]:
    """Count the blocks between each parameter of a backbone and the output of the backbone.

    transformers defines the modules of a model in the order of its forward pass: embeddings,
    blocks, final norm. A layer between two stages belongs to the adjacent block of its own stage.

    Parameters
    ----------
    backbone
        An image model of transformers.

    Returns
    -------
    dict
        By the name of the parameter: 0 for the final norm, 1 for the last block, number of blocks
        + 1 for the embeddings. If no name has the form of `BLOCK`, 0 for all.
    """
    matches = {name: BLOCK.match(name) for name, _ in backbone.named_parameters()}
    blocks = list(dict.fromkeys(m["block"] for m in matches.values() if m and m["inner"]))
    if not blocks:  # no stages
        blocks = list(dict.fromkeys(m["block"] for m in matches.values() if m))
    number, depths = 0, {}
    for name, match in matches.items():
        if match and match["block"] in blocks:
            number = 1 + blocks.index(match["block"])
        elif match:  # between two stages
            own = [i for i, block in enumerate(blocks, 1) if block.startswith(match["block"] + ".")]
            number = max(number, own[0]) if own else number
        elif number == len(blocks):
            number += 1
        depths[name] = len(blocks) + 1 - number if blocks else 0
    return depths


def parameter_groups(model: nn.Module, learning: LearningSettings) -> list[dict[str, Any]]:
    """Group the trainable parameters by learning rate and weight decay.

    Parameters
    ----------
    model
        A Milmer model, an image classifier of transformers, or any module without a backbone.
    learning
        ``lr``, ``weight_decay``, ``backbone_lr_ratio`` and ``layer_decay`` are used.

    Returns
    -------
    list of dict
        ``params``, ``lr`` and ``weight_decay`` of each group; the head comes first.
    """
    prefix, backbone = find_backbone(model) or ("", nn.Module())
    depths = {prefix + name: depth for name, depth in layer_depths(backbone).items()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    groups[learning.lr, learning.weight_decay] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        lr = learning.lr
        if name in depths:
            lr *= learning.backbone_lr_ratio * learning.layer_decay ** depths[name]
        no_decay = parameter.ndim < 2 or NO_DECAY.search(name)
        groups[lr, 0.0 if no_decay else learning.weight_decay].append(parameter)
    return [
        {"params": parameters, "lr": lr, "weight_decay": decay}
        for (lr, decay), parameters in groups.items()
        if parameters
    ]


def balanced_class_weights(counts: torch.Tensor) -> torch.Tensor:
    """Weights inversely proportional to class frequency, with mean 1 over the samples.

    Absent classes have weight 0.

    Parameters
    ----------
    counts
        Samples of each class, (n_classes,).
    """
    present = counts > 0
    weights = counts.sum() / (present.sum() * counts.clamp(min=1))
    return torch.where(present, weights, torch.zeros_like(weights)).float()
