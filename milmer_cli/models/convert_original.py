"""Convert checkpoints of the original Milmer code.

The keys and shapes are those of the published model: ``swin_model.*``, ``cls_token`` (missing in
checkpoints trained on CUDA, where it stayed zero), ``token_type_embeddings``, ``layernorm``,
``eeg_proj``, ``transformer_encoder``, ``classifier``, and the weights of fusion and selection.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel, SwinConfig

from milmer_cli.errors import InputError, SettingsError, WeightsError, shorten
from milmer_cli.models.backbones import incompatible_keys
from milmer_cli.models.configuration_milmer import MilmerConfig
from milmer_cli.models.image_features import backbone_class, backbone_options
from milmer_cli.models.library_messages import quiet
from milmer_cli.models.pretrained_files import read_tensors
from milmer_cli.settings.schema import Fusion, Selection

KEYS = {
    "cls_token": "cls_token",
    "token_type_embeddings.weight": "token_types",
    "layernorm.": "eeg_norm.",
    "eeg_proj.": "eeg_project.",
    "transformer_encoder.layers.": "encoder.layers.",
    "classifier.": "classifier.",
    "query_tokens": "fusion.queries",
    "cross_attention.": "fusion.attention.",
    "mlp_up.": "fusion.up.",
    "mlp_down.": "fusion.down.",
}
"""Published key, or its prefix up to a dot -> our key or prefix."""

SELECTION_KEYS: dict[Selection, dict[str, str]] = {
    "none": {},
    "softmax": {"instance_weights": "selection.instance_weights"},
    "amil": {
        "amil_value_proj.": "selection.value.",
        "amil_weight_proj.": "selection.score.",
    },
    "attention_weighted_topk": {
        "topk_value_proj.": "selection.value.",
        "topk_weight_proj.": "selection.score.",
    },
    "attention_topk": {
        "topk_value_proj.": "selection.value.",
        "topk_weight_proj.": "selection.score.",
        "topk_dimension_recover.": "selection.recover.",
    },
}
SWIN = "swin_model."


def load_published(
    model_class: Any,
    source: str | Path | dict[str, Tensor],
    selection: Selection | None,
    fusion: Fusion | None,
    backbone_config: PretrainedConfig | None,
    fields: dict[str, Any],
) -> tuple[Any, dict[str, set[str]]]:
    """Load a published checkpoint; see `MilmerModel.from_published`."""
    state = source if isinstance(source, dict) else read_tensors(Path(source))
    selection = selection or _infer_selection(state)
    fusion = fusion or _infer_fusion(state)
    swin = {key.removeprefix(SWIN): state[key] for key in state if key.startswith(SWIN)}
    if swin and backbone_config is None:
        backbone_config = _swin_config(swin)
    num_select = fields.get("num_select", 3)
    sizes = _sizes(state, backbone_config if swin else None, num_select)
    names, num_labels = fields.get("class_names"), sizes["num_labels"]
    if names is not None and len(names) != num_labels:
        raise SettingsError(
            f"class_names: expected {num_labels} names, the classes of the published checkpoint, "
            f"got {len(names)}.",
            "Give all names, in the order of the logits.",
        )
    config = MilmerConfig(
        backbone_config=backbone_config if swin else None,
        selection=selection,
        scorer="published",
        fusion=fusion,
        **{"channel_embedding": False, "modality_dropout": 0.0, **sizes, **fields},
    )
    # The published scorers have up to 1.4 billion weights: build the model without allocating
    # them, and assign the tensors of the checkpoint.
    with torch.device("meta"):
        model = model_class(config)
    unexpected = _assign(model, state, {**KEYS, **SELECTION_KEYS[selection]})
    if model.backbone is not None:
        model.backbone, unused = _load_swin(swin, config.backbone_config)
        unexpected |= {SWIN + key for key in unused}
    if unknown := sorted(key for key in unexpected if not _is_published(key)):
        warnings.warn(
            f"Ignored, because they are not part of the published model: {', '.join(unknown)}",
            stacklevel=3,
        )
    missing = ({"cls_token"} - set(state)) | (set() if swin else {SWIN + "*"})
    return model.eval(), {"missing_keys": missing, "unexpected_keys": unexpected}


def _assign(model: Any, state: dict[str, Tensor], keys: dict[str, str]) -> set[str]:
    """Assign all weights except those of the backbone; return the published keys not used."""
    published = {_rename(key, keys): key for key in state if not key.startswith(SWIN)}
    expected = {
        key: tensor for key, tensor in model.state_dict().items() if not key.startswith("backbone.")
    }
    unexpected = {original for key, original in published.items() if key not in expected}
    buffers = {"image_mean", "image_std"} & set(expected)
    if missing := set(expected) - set(published) - buffers - {"cls_token"}:
        raise WeightsError(
            f"The published checkpoint lacks the weights of {', '.join(sorted(missing))}; its "
            f"unused weights are {', '.join(sorted(unexpected)) or 'none'}.",
            "Give the selection and the fusion that it was trained with.",
        )
    loaded = {key: state[published[key]] for key in expected if key in published}
    wrong = [
        f"{published[key]} is {tuple(loaded[key].shape)}, expected {tuple(expected[key].shape)}"
        for key in loaded
        if loaded[key].shape != expected[key].shape
    ]
    if wrong:
        raise WeightsError(f"The published checkpoint does not fit: {'; '.join(wrong)}.")
    loaded.setdefault("cls_token", torch.zeros(1, 1, model.config.hidden_size))
    for name in buffers:
        loaded[name] = 255 * torch.tensor(getattr(model.config, name))
    model.load_state_dict(loaded, strict=False, assign=True)
    return unexpected


def _rename(key: str, keys: dict[str, str]) -> str:
    for old, new in keys.items():
        if key == old or (old.endswith(".") and key.startswith(old)):
            return new + key.removeprefix(old)
    return f"unknown.{key}"


def _is_published(key: str) -> bool:
    published = {**KEYS, **{old: "" for keys in SELECTION_KEYS.values() for old in keys}}
    return key.startswith(SWIN) or not _rename(key, published).startswith("unknown.")


def _infer_selection(state: dict[str, Tensor]) -> Selection:
    """Infer the selection from the keys; raise an error if several are possible."""
    possible: list[Selection] = [
        name
        for name, keys in SELECTION_KEYS.items()
        if keys and all(any(key.startswith(old) for key in state) for old in keys)
    ]
    if not possible:
        return "none"
    if len(possible) > 1:
        raise InputError(
            f"The published checkpoint contains the weights of {' and '.join(possible)}.",
            "State which of them it was trained with: from_published(..., selection=...).",
        )
    return possible[0]


def _infer_fusion(state: dict[str, Tensor]) -> Fusion:
    possible: list[Fusion] = []
    if "query_tokens" in state:
        possible.append("cross_attention")
    if "mlp_up.weight" in state:
        possible.append("mlp")
    if len(possible) > 1:
        raise InputError(
            f"The published checkpoint contains the weights of {' and '.join(possible)}.",
            "State which of them it was trained with: from_published(..., fusion=...).",
        )
    return possible[0] if possible else "none"


def _sizes(
    state: dict[str, Tensor], backbone_config: PretrainedConfig | None, num_select: int
) -> dict[str, int]:
    """Infer the sizes of the model from the shapes of the weights."""
    try:
        num_labels, hidden_size = state["classifier.weight"].shape
        sizes = {
            "num_labels": num_labels,
            "n_samples": len(state["layernorm.weight"]),
            "dim_feedforward": len(state["transformer_encoder.layers.0.linear1.weight"]),
        }
    except (KeyError, ValueError) as error:
        raise WeightsError(
            "The published checkpoint lacks the weights of classifier, layernorm or "
            "transformer_encoder.",
            "Give the state dict of the whole model, with the keys of the original code.",
        ) from error
    sizes["num_layers"] = len(_numbers(state, r"transformer_encoder\.layers\.(\d+)\."))
    if "instance_weights" in state:
        sizes["num_instances"] = state["instance_weights"].shape[-1]
    elif "topk_dimension_recover.bias" in state:
        sizes["num_instances"] = len(state["topk_dimension_recover.bias"])
    if backbone_config is None:
        sizes["hidden_size"] = hidden_size
        if "topk_weight_proj.weight" in state:
            sizes["tokens_per_face"] = state["topk_weight_proj.weight"].shape[1] // hidden_size
        elif "query_tokens" in state:
            sizes["tokens_per_face"] = state["query_tokens"].shape[1] // num_select
    return sizes


def _swin_config(swin: dict[str, Tensor]) -> SwinConfig:
    """Infer the configuration of a Swin for images of 224 pixels from the shapes of its weights."""
    try:
        embed, _, patch, _ = swin["embeddings.patch_embeddings.projection.weight"].shape
        stages = _numbers(swin, r"encoder\.layers\.(\d+)\.")
        tables = [
            next(
                swin[key]
                for key in sorted(swin)
                if key.startswith(f"encoder.layers.{stage}.blocks.0.")
                and key.endswith("relative_position_bias_table")
            )
            for stage in stages
        ]
    except (KeyError, StopIteration) as error:
        raise WeightsError(
            "The swin_model of the published checkpoint is not a Hugging Face SwinModel.",
            "Give its configuration: from_published(..., backbone_config=...).",
        ) from error
    return SwinConfig(
        patch_size=patch,
        embed_dim=embed,
        depths=[len(_numbers(swin, rf"encoder\.layers\.{i}\.blocks\.(\d+)\.")) for i in stages],
        num_heads=[table.shape[1] for table in tables],
        window_size=(round(len(tables[0]) ** 0.5) + 1) // 2,
    )


def _numbers(state: dict[str, Tensor], pattern: str) -> list[int]:
    matches = (re.match(pattern, key) for key in state)
    return sorted({int(match[1]) for match in matches if match})


def _load_swin(
    swin: dict[str, Tensor], config: PretrainedConfig
) -> tuple[PreTrainedModel, set[str]]:
    """Load the backbone; transformers converts the keys of its own earlier versions."""
    model_class = backbone_class(config)
    with quiet():
        model, info = model_class.from_pretrained(
            None,
            config=config,
            state_dict=swin,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **backbone_options(model_class),
        )
    if lacking := incompatible_keys(info):
        raise WeightsError(
            f"The swin_model of the published checkpoint lacks {shorten(lacking, 3)}, or has it in "
            "another shape.",
            "Give its configuration: from_published(..., backbone_config=...).",
        )
    return model, set(info["unexpected_keys"])
