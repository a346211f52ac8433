"""Checkpoints of the original Milmer code, read into our model.

Names and shapes are those of the published model: ``swin_model.*``, ``cls_token`` (absent from
checkpoints trained on CUDA, where it stayed zero), ``token_type_embeddings``, ``layernorm``,
``eeg_proj``, ``transformer_encoder``, ``classifier`` and the parts of the fusions and selections.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig, SwinConfig, SwinModel

from milmer_cli.errors import InputError, SettingsError, WeightsError
from milmer_cli.model.backbone import MODELS, quiet
from milmer_cli.model.config import MilmerConfig
from milmer_cli.settings.schema import Fusion, Selection

NAMES = {
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
SELECTION_NAMES: dict[Selection, dict[str, str]] = {
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
    """Build ``model_class`` around a published checkpoint: `MilmerModel.from_published`."""
    state = source if isinstance(source, dict) else _read(Path(source))
    selection = selection or _infer_selection(state)
    fusion = fusion or _infer_fusion(state)
    swin = {key.removeprefix(SWIN): state[key] for key in state if key.startswith(SWIN)}
    if swin and backbone_config is None:
        backbone_config = _swin_config(swin)
    num_select = fields.get("num_select", 3)
    sizes = _sizes(state, backbone_config if swin else None, num_select)
    names, classes = fields.get("class_names"), sizes["num_labels"]
    if names is not None and len(names) != classes:
        raise SettingsError(
            f"The published checkpoint has {classes} classes, and {len(names)} are named.",
            "Name all of them, in the order of the logits.",
        )
    config = MilmerConfig(
        backbone_config=backbone_config if swin else None,
        selection=selection,
        scorer="published",
        fusion=fusion,
        **{"channel_embedding": False, "modality_dropout": 0.0, **sizes, **fields},
    )
    with torch.device("meta"):  # the flat scorers hold gigabytes: never draw them first
        model = model_class(config)
    names = {**NAMES, **SELECTION_NAMES[selection]}
    renamed = {_rename(key, names): key for key in state if not key.startswith(SWIN)}
    wanted = {
        key: tensor for key, tensor in model.state_dict().items() if not key.startswith("backbone.")
    }
    unexpected = {original for key, original in renamed.items() if key not in wanted}
    missing = set(wanted) - set(renamed) - {"cls_token", "image_mean", "image_std"}
    if missing:
        raise WeightsError(
            f"The published checkpoint lacks what makes {', '.join(sorted(missing))}, and holds "
            f"{', '.join(sorted(unexpected)) or 'nothing'} beside what the model needs.",
            "Name the selection and the fusion that it was trained with.",
        )
    _refuse_wrong_shapes(
        {renamed[key]: wanted[key].shape for key in wanted if key in renamed}, state
    )

    loaded = {key: state[renamed[key]] for key in wanted if key in renamed}
    loaded.setdefault("cls_token", torch.zeros(1, 1, config.width))
    for name in {"image_mean", "image_std"} & set(wanted):
        loaded[name] = 255 * torch.tensor(getattr(config, name))
    model.load_state_dict(loaded, strict=False, assign=True)
    if model.backbone is not None:
        model.backbone, unused = _load_swin(swin, config.backbone_config)
        unexpected |= {SWIN + key for key in unused}
    if strange := sorted(key for key in unexpected if not _is_published(key)):
        warnings.warn(
            f"Not part of the published model, and left out: {', '.join(strange)}", stacklevel=3
        )
    absent = ({"cls_token"} - set(state)) | (set() if swin else {SWIN + "*"})
    return model.eval(), {"missing_keys": absent, "unexpected_keys": unexpected}


def _read(path: Path) -> dict[str, Tensor]:
    try:
        mapped = zipfile.is_zipfile(path)  # torch.save wrote no zip files before version 1.6
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except FileNotFoundError as error:
        raise InputError(f"There is no checkpoint {path}.") from error
    except (UnpicklingError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise WeightsError(
            f"{path} is not a state dict that torch.save wrote: {str(error).splitlines()[0]}",
            "Save model.state_dict() with the original code; whole pickled models are not read.",
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(value, Tensor) for value in state.values()
    ):
        raise WeightsError(f"{path} holds no state dict (names to tensors).")
    return state


def _rename(key: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        if key == old or (old.endswith(".") and key.startswith(old)):
            return new + key.removeprefix(old)
    return f"unknown.{key}"


def _is_published(key: str) -> bool:
    every = {**NAMES, **{old: "" for names in SELECTION_NAMES.values() for old in names}}
    return key.startswith(SWIN) or not _rename(key, every).startswith("unknown.")


def _refuse_wrong_shapes(shapes: dict[str, torch.Size], state: dict[str, Tensor]) -> None:
    wrong = [
        f"{key} is {tuple(state[key].shape)}, not {tuple(shape)}"
        for key, shape in shapes.items()
        if state[key].shape != shape
    ]
    if wrong:
        raise WeightsError(f"The published checkpoint does not fit: {'; '.join(wrong)}.")


def _infer_selection(state: dict[str, Tensor]) -> Selection:
    """Infer the selection whose weights are there, if there is only one."""
    possible: list[Selection] = [
        name
        for name, names in SELECTION_NAMES.items()
        if names and all(any(key.startswith(old) for key in state) for old in names)
    ]
    if not possible:
        return "none"
    if len(possible) > 1:
        raise InputError(
            f"The published checkpoint holds the weights of {' and '.join(possible)}.",
            "Say which of them it was trained with: from_published(..., selection=...).",
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
            f"The published checkpoint holds the weights of {' and '.join(possible)}.",
            "Say which of them it was trained with: from_published(..., fusion=...).",
        )
    return possible[0] if possible else "none"


def _sizes(
    state: dict[str, Tensor], backbone_config: PretrainedConfig | None, num_select: int
) -> dict[str, int]:
    """Sizes that the weights' shapes give away."""
    try:
        classes, width = state["classifier.weight"].shape
        sizes = {
            "num_labels": classes,
            "n_samples": len(state["layernorm.weight"]),
            "feedforward": len(state["transformer_encoder.layers.0.linear1.weight"]),
        }
    except (KeyError, ValueError) as error:
        raise WeightsError(
            "The published checkpoint lacks classifier, layernorm or transformer_encoder.",
            "Give the state dict of the whole model, with the names of the original code.",
        ) from error
    sizes["encoder_layers"] = len(_numbers(state, r"transformer_encoder\.layers\.(\d+)\."))
    if "instance_weights" in state:
        sizes["instances"] = state["instance_weights"].shape[-1]
    elif "topk_dimension_recover.bias" in state:
        sizes["instances"] = len(state["topk_dimension_recover.bias"])
    if backbone_config is None:
        sizes["width"] = width
        if "topk_weight_proj.weight" in state:
            sizes["tokens_per_face"] = state["topk_weight_proj.weight"].shape[1] // width
        elif "query_tokens" in state:
            sizes["tokens_per_face"] = state["query_tokens"].shape[1] // num_select
    return sizes


def _swin_config(swin: dict[str, Tensor]) -> SwinConfig:
    """Infer the configuration of a Swin for 224 pixels from the shapes of its weights."""
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


def _load_swin(swin: dict[str, Tensor], config: PretrainedConfig) -> tuple[SwinModel, set[str]]:
    """Load the backbone; transformers knows the names that its own earlier versions used."""
    with quiet():
        model, info = MODELS[config.model_type].from_pretrained(
            None,
            config=config,
            state_dict=swin,
            add_pooling_layer=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    if lost := sorted({*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}):
        raise WeightsError(
            f"The swin_model of the published checkpoint lacks {', '.join(lost[:3])} or has it in "
            "another shape.",
            "Give its configuration: from_published(..., backbone_config=...).",
        )
    return model, set(info["unexpected_keys"])
