"""finetune-swin: from pictures of expressions to a folder that transformers and Milmer load."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from transformers import AutoModelForImageClassification

from milmer_cli.errors import InputError
from milmer_cli.model import load_backbone
from milmer_cli.settings import load_settings
from milmer_cli.stages.finetune_swin import finetune_swin
from milmer_cli.training.expressions import Picture
from milmer_cli.training.faces import cut_out_faces

SMALL = [
    "model.backbone=scratch:micro",
    "finetune.batch_size=8",
    "finetune.epochs=6",
    "finetune.lr=2e-3",
    "finetune.layer_decay=1",
    "finetune.drop_path=0",
    "finetune.augment=0.2",
    "run.device=cpu",
    "run.report_to=none",
]
TONES = {"happy": (220, 40, 40), "sad": (40, 40, 220), "calm": (40, 220, 40)}


def write_pictures(folder: Path, each: int) -> None:
    draw = np.random.default_rng(0)
    for name, tone in TONES.items():
        (folder / name).mkdir(parents=True)
        for number in range(each):
            noise = draw.integers(-30, 30, (60, 50, 3))
            image = np.clip(np.array(tone) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(image).save(folder / name / f"{number}.png")


class Listener:
    def __init__(self):
        self.notes = []

    def start(self, task, total=None, unit=""): ...
    def advance(self, task, by=1.0): ...
    def done(self, task): ...
    def note(self, message, level="info"):
        self.notes.append((level, message))


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    base = tmp_path_factory.mktemp("expressions")
    write_pictures(base / "data" / "train", 10)
    write_pictures(base / "data" / "test", 3)
    (base / "data" / "train" / "sad" / "broken.jpg").write_text("no picture")
    listener = Listener()
    result = finetune_swin(base / "data", base / "swin", load_settings(overrides=SMALL), listener)
    return base, result, listener


def test_learns_and_scores_the_test_part(tuned):
    _, result, _ = tuned
    assert result.metrics["scored_on"] == "test"
    assert result.metrics["scores"]["macro_f1"] > 0.8
    assert result.metrics["pictures"] == {"train": 24, "validation": 6, "test": 9}
    row = dict(result.summary())["test part"]
    assert "majority" in row
    assert "own test part" in row


def test_folder_loads_as_classifier_and_as_backbone(tuned):
    base, _, _ = tuned
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
    backbone = load_backbone(base / "swin").model
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, classifier.base_model.state_dict()[name]), name


def test_broken_pictures_are_listed_and_skipped(tuned):
    base, result, listener = tuned
    assert result.metrics["skipped"] == 1
    assert "broken.jpg" in (base / "swin" / "skipped.csv").read_text()
    assert any("broken.jpg" in note for level, note in listener.notes if level == "warning")


def test_mapping_and_counts_are_told(tuned):
    _, _, listener = tuned
    told = " ".join(note for _, note in listener.notes)
    assert "0 happiness x 13" in told
    assert "1 sadness x 14" in told
    assert "2 calm x 13" in told


def test_card_tells_data_scores_and_settings(tuned):
    base, _, _ = tuned
    card = (base / "swin" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers")
    assert "| folders | 13 | 14 | 13 |" in card
    assert "macro F1" in card
    assert "majority rate" in card
    assert "batch_size: 8" in card
    assert (base / "swin" / "confusion.png").stat().st_size > 1000


def test_the_same_model_is_not_made_again(tuned):
    base, result, _ = tuned
    before = (base / "swin" / "model.safetensors").stat().st_mtime_ns
    again = finetune_swin(base / "data", base / "swin", load_settings(overrides=SMALL))
    assert again.metrics == result.metrics
    assert (base / "swin" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(InputError, match=r"finetune\.lr"):
        finetune_swin(
            base / "data", base / "swin", load_settings(overrides=[*SMALL, "finetune.lr=1e-3"])
        )


def test_sets_without_a_test_part_say_that_their_score_flatters(tuned, tmp_path):
    base, _, _ = tuned
    settings = load_settings(overrides=[*SMALL, "finetune.epochs=1"])
    result = finetune_swin(base / "data" / "train", tmp_path / "swin", settings)
    assert result.metrics["scored_on"] == "validation"
    assert "flatters" in dict(result.summary())["validation part"]
    assert "persons are not known" in result.metrics["protocol"]


def test_fine_tuning_starts_from_the_backbone_it_is_given(tuned, tmp_path):
    base, _, _ = tuned
    still = ["finetune.epochs=1", "finetune.lr=1e-12", "finetune.weight_decay=0"]
    settings = load_settings(overrides=[*SMALL, *still, f"model.backbone={base / 'swin'}"])
    finetune_swin(base / "data", tmp_path / "swin", settings)
    before, after = (
        load_backbone(folder / "swin").model.state_dict() for folder in (base, tmp_path)
    )
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, atol=1e-6, rtol=1e-4)


def test_one_expression_and_numbered_folders_are_refused(tmp_path):
    settings = load_settings(overrides=SMALL)
    Image.new("RGB", (8, 8)).save(_parent(tmp_path / "one" / "happy" / "a.png"))
    with pytest.raises(InputError, match="nothing to tell apart"):
        finetune_swin(tmp_path / "one", tmp_path / "swin", settings)
    Image.new("RGB", (8, 8)).save(_parent(tmp_path / "numbers" / "3" / "a.png"))
    with pytest.raises(InputError, match="cannot be merged"):
        finetune_swin([tmp_path / "one", tmp_path / "numbers"], tmp_path / "swin", settings)
    assert not (tmp_path / "swin").exists()


def test_faces_are_cut_out_and_pictures_without_one_are_left_out():
    astronaut = Image.fromarray(data.astronaut()).crop((100, 0, 356, 256))
    pictures = [
        Picture(np.array(astronaut.convert("L")), "happiness", "with"),
        Picture(np.full((80, 80), 128, np.uint8), "sadness", "without"),
    ]
    settings = load_settings(overrides=["faces.detector=dlib"]).faces
    faces, reasons = cut_out_faces(pictures, settings, 64)
    assert reasons == ["", "no face found"]
    assert [(face.label, face.name, face.image.shape) for face in faces] == [
        ("happiness", "with", (64, 64, 3))
    ]


def _parent(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    return path
