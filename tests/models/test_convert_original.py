"""Load checkpoints of the original code."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import SwinConfig, SwinModel

from milmer_cli.errors import InputError, SettingsError, WeightsError
from milmer_cli.models import MilmerModel

SIZES = {"d": 24, "tokens": 16, "ff": 40, "samples": 32}


@pytest.fixture
def state(recipe: SimpleNamespace) -> dict[str, torch.Tensor]:
    return recipe.state("cross_attention", "attention_weighted_topk", **SIZES)


def test_from_published_loads_a_file_with_its_swin(
    state: dict[str, torch.Tensor], tiny_swin: SwinConfig, tmp_path: Path
) -> None:
    swin = SwinModel(tiny_swin, add_pooling_layer=False)
    swin.save_pretrained(tmp_path)  # writes the names that the original code's transformers used
    from safetensors.torch import load_file

    stored = load_file(tmp_path / "model.safetensors")
    state |= {f"swin_model.{name}": value for name, value in stored.items()}
    index = "swin_model.encoder.layers.0.blocks.0.attention.self.relative_position_index"
    state[index] = torch.zeros(16, 16, dtype=torch.int64)
    torch.save(state, tmp_path / "milmer.pt")
    model, info = MilmerModel.from_published(
        tmp_path / "milmer.pt", backbone_config=tiny_swin, output_loading_info=True
    )
    assert info == {"missing_keys": set(), "unexpected_keys": set()}
    assert model.config.selection == "attention_weighted_topk"
    assert model.config.fusion == "cross_attention"
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, swin.state_dict()[name]), name
    faces = torch.randint(0, 256, (1, 10, 32, 32, 3), dtype=torch.uint8)
    with torch.no_grad():
        assert model(torch.randn(1, 5, 32), faces).logits.isfinite().all()
    assert all(not p.is_meta and p.requires_grad for p in model.parameters())


def test_from_published_infers_the_swin_from_its_shapes(recipe: SimpleNamespace) -> None:
    config = SwinConfig(embed_dim=3, depths=[1, 2, 1, 1], num_heads=[1, 1, 3, 6], window_size=7)
    swin = SwinModel(config, add_pooling_layer=False).state_dict()
    state = recipe.state("none", "amil", d=24, tokens=49, ff=40, samples=32)
    state |= {f"swin_model.{name}": value for name, value in swin.items()}
    found = MilmerModel.from_published(state).config.backbone_config
    for field in ("embed_dim", "patch_size", "window_size", "image_size"):
        assert getattr(found, field) == getattr(config, field)
    assert (list(found.depths), list(found.num_heads)) == ([1, 2, 1, 1], [1, 1, 3, 6])


def test_from_published_loads_a_file_of_torch_before_1_6(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "old.pt"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    model = MilmerModel.from_published(path)
    assert torch.equal(model.classifier.weight, state["classifier.weight"])


def test_from_published_accepts_config_fields(state: dict[str, torch.Tensor]) -> None:
    names = ("a", "b", "c", "d")
    model = MilmerModel.from_published(state, class_names=names, modality_dropout=0.2)
    assert model.config.class_names == names
    assert model.config.modality_dropout == 0.2
    assert model.config.eeg_amplitude == "none"
    with pytest.raises(WeightsError, match=r"lacks the weights of amplitude\.mean"):
        MilmerModel.from_published(state, eeg_amplitude="bands")
    with pytest.raises(SettingsError, match=r"expected 4 names, .* got 2"):
        MilmerModel.from_published(state, class_names=("low", "high"))


def test_from_published_without_cls_token(state: dict[str, torch.Tensor]) -> None:
    del state["cls_token"]
    model, info = MilmerModel.from_published(state, output_loading_info=True)
    assert (model.cls_token == 0).all()
    assert info["missing_keys"] == {"cls_token", "swin_model.*"}


def test_from_published_reports_weights_of_unused_selections(
    state: dict[str, torch.Tensor], recipe: SimpleNamespace
) -> None:
    state |= recipe.state("cross_attention", "softmax", **SIZES)
    with pytest.raises(InputError, match="softmax and attention_weighted_topk"):
        MilmerModel.from_published(state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, info = MilmerModel.from_published(state, "softmax", output_loading_info=True)
    assert model.config.selection == "softmax"
    assert info["unexpected_keys"] == {
        f"topk_{part}_proj.{kind}" for part in ("value", "weight") for kind in ("weight", "bias")
    }
    with pytest.warns(UserWarning, match="extra_head"):
        MilmerModel.from_published({**state, "extra_head.weight": torch.zeros(1)}, "softmax")


def test_from_published_refuses_missing_weights_and_wrong_shapes(
    state: dict[str, torch.Tensor],
) -> None:
    wrong = {**state, "query_tokens": torch.zeros(1, 48, 12)}
    with pytest.raises(
        WeightsError, match=r"query_tokens is \(1, 48, 12\), expected \(1, 48, 24\)"
    ):
        MilmerModel.from_published(wrong)
    with pytest.raises(WeightsError, match=r"lacks the weights of .*selection\.value\.weight"):
        MilmerModel.from_published(state, "amil")
    del state["eeg_proj.bias"]
    with pytest.raises(WeightsError, match=r"eeg_project\.bias"):
        MilmerModel.from_published(state)
    with pytest.raises(WeightsError, match="lacks the weights of classifier"):
        MilmerModel.from_published({"a": torch.zeros(1)})


class Payload:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("payload-ran"),))


def test_from_published_does_not_run_code_of_a_file(
    state: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Payload()}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match="not a state dict"):
        MilmerModel.from_published(tmp_path / "evil.pt")
    assert not (tmp_path / "payload-ran").exists()
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(WeightsError, match="not a state dict"):
        MilmerModel.from_published(tmp_path / "text.pt")
    with pytest.raises(InputError, match="does not exist"):
        MilmerModel.from_published(tmp_path / "nowhere.pt")
