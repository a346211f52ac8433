"""finetune-swin writes a folder that transformers and Milmer load, with honest scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoModelForImageClassification,
    SwinConfig,
    SwinModel,
    ViTConfig,
    ViTModel,
)
from transformers.models.swin.modeling_swin import SwinEmbeddings

from helpers import RecordingProgress
from milmer_cli.errors import InputError, SettingsError, WeightsError
from milmer_cli.models import build_model, load_backbone
from milmer_cli.reports import finetune_output
from milmer_cli.settings import load_settings
from milmer_cli.stages.finetune_swin import finetune_swin, finetune_swin_dry_run

SMALL = [
    "model.backbone=scratch:micro",
    "finetune.batch_size=8",
    "finetune.epochs=6",
    "finetune.lr=2e-3",
    "finetune.layer_decay=1",
    "finetune.drop_path_rate=0",
    "finetune.augment=0.2",
    "run.device=cpu",
    "run.report_to=none",
]
COLORS = {"happy": (220, 40, 40), "sad": (40, 40, 220), "calm": (40, 220, 40)}


def write_images(folder: Path, per_class: int) -> None:
    rng = np.random.default_rng(0)
    for name, color in COLORS.items():
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            noise = rng.integers(-30, 30, (60, 50, 3))
            image = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(image).save(folder / name / f"{number}.png")


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory):
    base = tmp_path_factory.mktemp("expressions")
    write_images(base / "data" / "train", 10)
    write_images(base / "data" / "test", 3)
    (base / "data" / "train" / "sad" / "broken.jpg").write_text("no image")
    progress = RecordingProgress()
    result = finetune_swin(base / "data", base / "swin", load_settings(overrides=SMALL), progress)
    return base, result, progress


def test_finetune_swin_learns_and_scores_the_test_set(finetuned):
    _, result, _ = finetuned
    assert result.metrics["scored_on"] == "test"
    assert result.metrics["scores"]["macro_f1"] > 0.8
    assert result.metrics["images"] == {"training": 24, "validation": 6, "test": 9}
    row = dict(result.summary())["test set"]
    assert "majority" in row
    assert "own test set" in row


def test_finetune_swin_output_loads_as_classifier_and_as_backbone(finetuned):
    base, _, _ = finetuned
    classifier, info = AutoModelForImageClassification.from_pretrained(
        base / "swin", output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert [classifier.config.id2label[k] for k in range(3)] == ["happiness", "sadness", "calm"]
    settings = json.loads((base / "swin" / "preprocessor_config.json").read_text())
    mean, std = (torch.tensor(settings[k]).view(3, 1, 1) for k in ("image_mean", "image_std"))
    image = Image.open(base / "data" / "test" / "sad" / "0.png").resize((112, 112))
    pixels = (torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255 - mean) / std
    with torch.inference_mode():
        assert classifier(pixels[None]).logits.argmax() == 1
    backbone = load_backbone(base / "swin")
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, classifier.base_model.state_dict()[name]), name


def test_finetune_swin_excludes_and_lists_broken_images(finetuned):
    base, result, progress = finetuned
    assert result.metrics["skipped"] == 1
    assert "broken.jpg" in (base / "swin" / "skipped.csv").read_text()
    assert any("broken.jpg" in warning for warning in progress.warnings)


def test_finetune_swin_reports_class_numbers_and_counts(finetuned):
    _, _, progress = finetuned
    assert "0 happiness x 13" in progress.text
    assert "1 sadness x 14" in progress.text
    assert "2 calm x 13" in progress.text


def test_finetune_swin_model_card_has_data_scores_and_settings(finetuned):
    base, _, _ = finetuned
    card = (base / "swin" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers")
    assert "| folders | whole images | 13 | 14 | 13 |" in card
    assert "macro F1" in card
    assert "majority rate" in card
    assert "1 images could not be used (skipped.csv)" in card
    assert "batch_size: 8" in card
    assert (base / "swin" / "confusion.png").stat().st_size > 1000


@pytest.mark.slow
def test_finetune_swin_confusion_figure_names_the_source_of_its_labels(monkeypatch, tmp_path):
    figures = []
    monkeypatch.setattr(finetune_output, "save_figure", lambda figure, path: figures.append(figure))
    write_images(tmp_path / "data", 4)
    settings = load_settings(overrides=[*SMALL, "finetune.epochs=1"])
    finetune_swin(tmp_path / "data", tmp_path / "swin", settings)
    labels = [ax.get_ylabel() for figure in figures for ax in figure.axes]
    assert labels == ["labeled in the data set"]


def test_finetune_swin_returns_the_finished_run(finetuned):
    base, result, _ = finetuned
    before = (base / "swin" / "model.safetensors").stat().st_mtime_ns
    again = finetune_swin(str(base / "data"), str(base / "swin"), load_settings(overrides=SMALL))
    assert again.metrics == result.metrics
    assert (base / "swin" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(InputError, match=r"finetune\.lr"):
        finetune_swin(
            base / "data", base / "swin", load_settings(overrides=[*SMALL, "finetune.lr=1e-3"])
        )


@pytest.mark.slow
def test_finetune_swin_without_test_set_says_that_scores_are_optimistic(finetuned, tmp_path):
    base, _, _ = finetuned
    settings = load_settings(overrides=[*SMALL, "finetune.epochs=1"])
    result = finetune_swin(base / "data" / "train", tmp_path / "swin", settings)
    assert result.metrics["scored_on"] == "validation"
    assert "optimistic" in dict(result.summary())["validation set"]
    assert "subjects are unknown" in result.metrics["protocol"]


@pytest.mark.slow
def test_finetune_swin_starts_from_the_given_backbone(finetuned, tmp_path):
    base, _, _ = finetuned
    frozen = ["finetune.epochs=1", "finetune.lr=1e-12", "finetune.weight_decay=0"]
    settings = load_settings(overrides=[*SMALL, *frozen, f"model.backbone={base / 'swin'}"])
    finetune_swin(base / "data", tmp_path / "swin", settings)
    before, after = (load_backbone(folder / "swin").state_dict() for folder in (base, tmp_path))
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, atol=1e-6, rtol=1e-4)


@pytest.mark.slow
def test_finetune_swin_keeps_the_normalization_of_its_backbone(tmp_path):
    """Images of ViT are normalized with 0.5; the fine-tuned folder and Milmer use it too."""
    config = ViTConfig(
        hidden_size=24, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    ViTModel(config).save_pretrained(tmp_path / "vit")
    half = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": {"height": 32, "width": 32}}
    (tmp_path / "vit" / "preprocessor_config.json").write_text(json.dumps(half))
    write_images(tmp_path / "data", 4)
    backbone = f"model.backbone={tmp_path / 'vit'}"
    settings = load_settings(overrides=[*SMALL, "finetune.epochs=1", backbone])
    finetune_swin(tmp_path / "data", tmp_path / "tuned", settings)
    written = json.loads((tmp_path / "tuned" / "preprocessor_config.json").read_text())
    assert {key: written[key] for key in half} == half
    tuned = load_settings(overrides=[f"model.backbone={tmp_path / 'tuned'}"]).model
    model = build_model(tuned, ("a", "b"))
    assert (model.config.image_mean, model.config.image_std) == ([0.5] * 3, [0.25] * 3)
    assert model.config.image_size == (32, 32)


@pytest.mark.slow
def test_finetune_swin_trains_a_backbone_that_is_not_square_on_its_size(tmp_path, monkeypatch):
    config = SwinConfig(
        image_size=[32, 64], patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2],
        window_size=4,
    )  # fmt: skip
    SwinModel(config).save_pretrained(tmp_path / "swin")
    write_images(tmp_path / "data", 4)
    backbone = f"model.backbone={tmp_path / 'swin'}"
    settings = load_settings(overrides=[*SMALL, "finetune.epochs=1", backbone])
    trained_on = set()
    embed = SwinEmbeddings.forward

    def record(self, pixel_values, *args, **options):
        trained_on.add(tuple(pixel_values.shape[-2:]))
        return embed(self, pixel_values, *args, **options)

    monkeypatch.setattr(SwinEmbeddings, "forward", record)
    finetune_swin(tmp_path / "data", tmp_path / "tuned", settings)

    tuned = f"model.backbone={tmp_path / 'tuned'}"
    model = build_model(load_settings(overrides=[tuned, "model.num_heads=4"]).model, ("a", "b"))
    assert trained_on == {(32, 64)}
    assert model.config.image_size == (32, 64)
    written = json.loads((tmp_path / "tuned" / "preprocessor_config.json").read_text())
    assert written["size"] == {"height": 32, "width": 64}


def test_finetune_swin_rejects_unusable_classes_before_writing(tmp_path):
    settings = load_settings(overrides=SMALL)
    Image.new("RGB", (8, 8)).save(_parent(tmp_path / "one" / "happy" / "a.png"))
    with pytest.raises(InputError, match="All images have the class happiness"):
        finetune_swin(tmp_path / "one", tmp_path / "swin", settings)
    Image.new("RGB", (8, 8)).save(_parent(tmp_path / "numbers" / "3" / "a.png"))
    with pytest.raises(InputError, match="cannot be merged"):
        finetune_swin([tmp_path / "one", tmp_path / "numbers"], tmp_path / "swin", settings)
    assert not (tmp_path / "swin").exists()


def _parent(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.slow
def test_finetune_swin_dry_run_counts_and_measures_and_writes_nothing(finetuned, tmp_path):
    base, whole, _ = finetuned
    progress = RecordingProgress()
    result = finetune_swin_dry_run(
        base / "data", tmp_path / "swin", load_settings(overrides=SMALL), progress
    )
    assert result.images == whole.metrics["images"]
    assert (result.skipped, list(result.classes)) == (1, list(whole.metrics["classes"]))
    assert result.n_steps == 3 * 6  # 24 images in batches of 8, 6 epochs
    assert result.training_s == pytest.approx(result.n_steps * result.step_s)
    assert f"{tmp_path / 'swin'}: the run would start from the beginning." in progress.messages
    assert list(tmp_path.iterdir()) == []
    assert "1 excluded" in dict(result.summary())["images"]
    json.dumps(result.to_json())


def test_finetune_swin_dry_run_fails_like_the_fine_tuning(finetuned, tmp_path):
    base, _, _ = finetuned
    for expected, out, *overrides in (
        (InputError, base / "swin", "finetune.lr=1e-3"),
        (InputError, base / "data"),
        (WeightsError, tmp_path / "swin", f"model.backbone={tmp_path / 'missing'}"),
        (SettingsError, tmp_path / "swin", "model.backbone=scratch:tiny", "finetune.image_size=64"),
    ):
        messages = []
        for stage in (finetune_swin_dry_run, finetune_swin):
            with pytest.raises(expected) as caught:
                stage(base / "data", out, load_settings(overrides=[*SMALL, *overrides]))
            messages.append(str(caught.value))
        assert messages[0] == messages[1]


def test_finetune_swin_restart_keeps_the_model_if_the_training_cannot_start(finetuned):
    base, _, _ = finetuned
    before = sorted((base / "swin").rglob("*"))
    for backbone in (base / "swin", base / "missing"):
        settings = load_settings(overrides=[*SMALL, f"model.backbone={backbone}"])
        with pytest.raises(InputError):
            finetune_swin(base / "data", base / "swin", settings, restart=True)
    assert sorted((base / "swin").rglob("*")) == before
