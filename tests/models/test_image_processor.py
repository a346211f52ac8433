"""The normalization of a backbone is read from its preprocessor_config.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from milmer_cli.errors import InputError
from milmer_cli.models.image_processor import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ImageProcessor,
    load_image_processor,
    write_image_processor,
)

HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}


def load(folder: Path, **values: Any) -> ImageProcessor:
    (folder / "preprocessor_config.json").write_text(json.dumps(values))
    return load_image_processor(folder)


@pytest.mark.parametrize(
    ("values", "mean", "std"),
    [
        (HALF, 0.5, 0.25),
        ({**HALF, "rescale_factor": 1 / 127.5}, 0.25, 0.125),  # values in 0-2
        ({**HALF, "do_rescale": False}, 0.5 / 255, 0.25 / 255),
        ({"do_normalize": False}, 0.0, 1.0),
    ],
)
def test_load_image_processor_reads_the_normalization(
    tmp_path: Path, values: dict[str, Any], mean: float, std: float
) -> None:
    processor = load(tmp_path, **values)
    assert processor.mean == pytest.approx([mean] * 3)
    assert processor.std == pytest.approx([std] * 3)
    assert processor.note == ""


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ({"size": 192}, (192, 192)),
        ({"size": {"height": 64, "width": 96}}, (64, 96)),
        ({"size": {"shortest_edge": 256}}, (256, 256)),
        (
            {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 224},
            (224, 224),
        ),
        ({}, None),
    ],
)
def test_load_image_processor_reads_the_size(
    tmp_path: Path, values: dict[str, Any], size: tuple[int, int] | None
) -> None:
    assert load(tmp_path, **HALF, **values).size == size


def test_load_image_processor_without_a_file_is_imagenets_with_a_note(tmp_path: Path) -> None:
    processor = load_image_processor(tmp_path)
    assert (processor.mean, processor.std) == (IMAGENET_MEAN, IMAGENET_STD)
    assert "ImageNet" in processor.note
    assert load(tmp_path, size=99).note == processor.note
    assert load(tmp_path, size=99).size == (99, 99)
    assert load_image_processor("scratch:micro").note == ""


def test_load_image_processor_refuses_gray_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3 channels"):
        load(tmp_path, image_mean=[0.5], image_std=[0.5])


def test_load_image_processor_of_the_hub_without_connection_is_imagenets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert "ImageNet" in load_image_processor("somebody/some-swin").note


def test_write_image_processor_is_read_again_exactly(tmp_path: Path) -> None:
    processor = ImageProcessor((32, 32), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    write_image_processor(tmp_path, processor, (32, 32))
    assert load_image_processor(tmp_path) == processor
