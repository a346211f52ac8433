"""MilmerModel: sizes, modules, saving and loading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel, SwinConfig, Swinv2Config

from milmer_cli.errors import SettingsError
from milmer_cli.models import MilmerConfig, MilmerModel, build_model
from milmer_cli.settings.schema import ModelSettings

Batch = dict[str, torch.Tensor]
NAMES = ("HAHV", "LAHV", "LALV", "HALV")


def test_save_pretrained_and_from_pretrained_keep_the_logits(
    make_model: Callable[..., MilmerModel], batch: Batch, tmp_path: Path
) -> None:
    model = make_model(class_names=NAMES).eval()
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    assert isinstance(AutoConfig.from_pretrained(tmp_path), MilmerConfig)
    for loaded in (MilmerModel.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path)):
        assert isinstance(loaded, MilmerModel)
        assert loaded.config.class_names == NAMES
        with torch.no_grad():
            assert torch.equal(loaded(**batch).logits, model(**batch).logits)


def test_config_contains_no_folder_of_the_backbone(tmp_path: Path) -> None:
    config = MilmerConfig(SwinConfig(name_or_path="/home/jane/swin"))
    config.name_or_path = "/home/jane/run"
    config.save_pretrained(tmp_path)
    text = (tmp_path / "config.json").read_text()
    assert "jane" not in text
    assert "_name_or_path" not in text


def test_to_moves_every_tensor(make_model: Callable[..., MilmerModel]) -> None:
    for selection in ("softmax", "amil", "attention_topk"):
        model = make_model(selection=selection).to("meta")
        assert all(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))


def test_forward_refuses_unexpected_shapes(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model().eval()
    with pytest.raises(ValueError, match="expected 4 channels of 32 samples, got 3 of 32"):
        model(eeg=batch["eeg"][:, :3])
    with pytest.raises(ValueError, match="expected at least 3 images a bag, got 2"):
        model(faces=batch["faces"][:, :2])


def test_config_takes_sizes_from_the_backbone() -> None:
    v2 = Swinv2Config(
        image_size=64, embed_dim=12, depths=[1, 1, 1], num_heads=[1, 2, 4], window_size=4
    )
    config = MilmerConfig(backbone_config=v2, num_heads=4, n_samples=32)
    assert (config.hidden_size, config.tokens_per_face) == (48, 16)
    model = MilmerModel(config).eval()
    assert model.fusion.queries.shape == (1, 3 * 16, 48)
    faces = torch.randint(0, 256, (1, 10, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        assert model(torch.randn(1, 32, 32), faces).logits.shape == (1, 4)


def test_pixel_values_are_antialiased_and_normalized(
    make_model: Callable[..., MilmerModel],
) -> None:
    model = make_model()
    rows = torch.arange(128)[:, None, None].expand(128, 128, 3)
    stripes = (255 * (rows % 2)).to(torch.uint8)[None]  # finer than the small image can show
    pixels = model._pixel_values(stripes)
    grey = (127.5 - model.image_mean) / model.image_std
    assert pixels.shape == (1, 3, 32, 32)
    torch.testing.assert_close(pixels[0].mean((1, 2)), grey, rtol=0, atol=0.05)
    assert pixels.std((2, 3)).max() < 0.1
    white = model._pixel_values(torch.full((1, 32, 32, 3), 255, dtype=torch.uint8))[0, :, 0, 0]
    expected = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(white, expected)


def test_init_builds_only_the_configured_modules(make_model: Callable[..., MilmerModel]) -> None:
    eeg = make_model(modalities="eeg")
    assert eeg.backbone is None
    assert not [n for n, _ in eeg.named_parameters() if n.startswith(("selection", "fusion"))]
    assert not [n for n, _ in make_model(modalities="face").named_parameters() if "eeg" in n]
    plain = make_model(selection="none", fusion="none")
    assert not [n for n, _ in plain.named_parameters() if n.startswith(("selection", "fusion"))]


@pytest.mark.parametrize("modality", ["eeg", "face"])
def test_forward_of_one_modality_trains_all_parameters(
    modality: str, make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model(modalities=modality).train()
    output = model(**batch)
    output.loss.backward()
    assert (output.instance_weights is None) == (modality == "eeg")
    assert all(parameter.grad is not None for parameter in model.parameters())
    missing = "faces" if modality == "eeg" else "eeg"
    with pytest.raises(ValueError, match="needs"):
        model(**{missing: batch[missing]})


def test_eeg_attention_of_missing_eeg_is_zero(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    for fusion in ("none", "mlp", "cross_attention"):
        model = make_model(fusion=fusion).eval()
        with torch.no_grad():
            output = model(**batch, output_attentions=True)
            torch.testing.assert_close(output.logits, model(**batch).logits, rtol=0, atol=1e-5)
        assert output.eeg_attention.shape == (4, 4)
        assert (output.eeg_attention[3] == 0).all()  # no EEG
        share = output.eeg_attention[:3].sum(1)
        assert ((share > 0) & (share < 1)).all()
        torch.testing.assert_close(model.classifier(output.pooler_output), output.logits)


def test_default_model_has_less_than_60_million_parameters() -> None:
    with torch.device("meta"):
        model = MilmerModel(MilmerConfig(backbone_config=SwinConfig()))
    assert sum(parameter.numel() for parameter in model.parameters()) < 60e6


def test_build_model_follows_the_settings(tmp_path: Path) -> None:
    settings = ModelSettings(backbone="scratch:micro", num_select=2, selection_noise=0.5)
    model = build_model(settings, ("low", "high"), n_channels=3, n_samples=64, num_instances=4)
    assert model.config.class_names == ("low", "high")
    assert (model.config.num_select, model.selection.num_select, model.selection.noise) == (
        2,
        2,
        0.5,
    )
    assert model.fusion.queries.shape[1] == 2 * 4
    frozen = build_model(settings.model_copy(update={"freeze_backbone": True}), ("low", "high"))
    assert not any(parameter.requires_grad for parameter in frozen.backbone.parameters())
    eeg = build_model(ModelSettings(modalities="eeg"), NAMES)  # downloads nothing
    assert eeg.backbone is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_heads": 5}, "num_heads: expected a divisor of the hidden size 24, got 5"),
        ({"num_select": 7}, "num_select: expected at most 6"),
        ({"selection": "best"}, "selection: expected one of none, .* got 'best'"),
        ({"hidden_size": 48}, "of the backbone, got"),
    ],
)
def test_config_refuses_inconsistent_values(
    changes: dict, words: str, make_model: Callable[..., MilmerModel]
) -> None:
    with pytest.raises(SettingsError, match=words):
        make_model(**changes)
