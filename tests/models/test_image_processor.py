"""Size and normalization of a backbone are those of its image processor in transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from transformers import AutoImageProcessor

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


IMAGE_PROCESSORS = [
    "Beit", "Bit", "CLIP", "ConvNext", "DeiT", "EfficientNet", "Levit", "MobileNetV1",
    "MobileNetV2", "PoolFormer", "Pvt", "Siglip", "ViT",
]  # fmt: skip
COLOR = np.array([200, 100, 50])
"""A color whose channels differ."""


def transformers_processor(name: str, **values: Any) -> Any:
    """An image processor of transformers; the class that needs no torchvision."""
    return getattr(transformers, f"{name}ImageProcessorPil")(**values)


def assert_same_as_transformers(folder: Path, processor: Any, square: int = 300) -> None:
    """Compare size and color of a uniform image."""
    expected = processor(np.full((square, square, 3), COLOR, np.uint8), return_tensors="pt")
    pixels = expected["pixel_values"][0].numpy()
    loaded = load_image_processor(folder)
    assert loaded.size == pixels.shape[1:]
    values = (COLOR / 255 - np.array(loaded.mean)) / np.array(loaded.std)
    center = pixels[:, pixels.shape[1] // 2, pixels.shape[2] // 2]
    np.testing.assert_allclose(values, center, rtol=1e-4, atol=1e-5)
    assert loaded.note == ""


@pytest.mark.parametrize("name", IMAGE_PROCESSORS)
def test_load_image_processor_agrees_with_the_class_of_transformers(
    tmp_path: Path, name: str
) -> None:
    processor = transformers_processor(name)
    processor.save_pretrained(tmp_path)
    assert_same_as_transformers(tmp_path, processor)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("EfficientNet", {"include_top": True}),  # divides by the SD twice
        ("EfficientNet", {"include_top": False}),
        ("EfficientNet", {"rescale_offset": True, "rescale_factor": 1 / 127.5}),
        ("EfficientNet", {"rescale_offset": True, "do_normalize": False, "include_top": False}),
        ("EfficientNet", {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}),
        ("ViT", {"image_mean": 0.5, "image_std": 0.25}),
        ("ViT", {"do_normalize": False, "image_mean": None, "image_std": None}),
        ("ViT", {"do_rescale": False, "image_mean": [120.0] * 3, "image_std": [60.0] * 3}),
        ("ViT", {"size": [48, 64]}),
        ("ViT", {"size": {"shortest_edge": 50, "longest_edge": 40}}),
        ("ViT", {"size": {"max_height": 40, "max_width": 60}}),
        ("ViT", {"do_center_crop": True, "crop_size": [32, 40]}),
        ("ConvNext", {"size": {"shortest_edge": 384}}),
        ("DeiT", {"size": {"height": 256, "width": 256}}),  # crops to 224
        ("CLIP", {"size": {"shortest_edge": 256}}),
        ("CLIP", {"size": {"shortest_edge": 256}, "do_center_crop": False}),
    ],
)
@pytest.mark.parametrize("only_given", [False, True], ids=["all values", "given values"])
def test_load_image_processor_agrees_with_transformers(
    tmp_path: Path, name: str, values: dict[str, Any], only_given: bool
) -> None:
    processor = transformers_processor(name, **values)
    if only_given:  # as people write the file; the defaults are those of the class
        given = {"image_processor_type": f"{name}ImageProcessor", **values}
        size = {"size": dict(processor.size)}
        (tmp_path / "preprocessor_config.json").write_text(json.dumps({**size, **given}))
    else:
        processor.save_pretrained(tmp_path)
    assert_same_as_transformers(tmp_path, processor)


@pytest.mark.parametrize(
    "values",
    [
        {"feature_extractor_type": "CLIPFeatureExtractor"},
        {"image_processor_type": "CLIPImageProcessorFast"},
        {"image_processor_type": "CLIPImageProcessor"},
    ],
)
def test_load_image_processor_of_an_older_or_fast_class(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    processor = load(tmp_path, size=256, **values)
    assert processor.size == (224, 224)
    assert processor.mean[0] == 0.48145466


def test_load_image_processor_without_a_class_uses_that_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "clip_vision_model"}')
    assert load(tmp_path, **HALF, size=256).size == (256, 256)
    (tmp_path / "config.json").write_text('{"model_type": "deit"}')
    assert load(tmp_path, **HALF, size=256).size == (224, 224)


def test_load_image_processor_without_a_size_leaves_it_to_the_model(tmp_path: Path) -> None:
    for values in ({}, {"size": 64, "do_resize": False}):
        given = {"image_processor_type": "ViTImageProcessor", **HALF, **values}
        assert load(tmp_path, **given).size is None


def test_load_image_processor_of_one_longest_edge(tmp_path: Path) -> None:
    assert load(tmp_path, **HALF, size={"longest_edge": 32}).size == (32, 32)


@pytest.mark.parametrize("saved_by", ["transformers", "hand"])
def test_load_image_processor_nested_in_the_file_of_a_processor(
    tmp_path: Path, saved_by: str
) -> None:
    processor = transformers_processor("CLIP", size={"shortest_edge": 64}, crop_size=48)
    load(tmp_path, image_mean=[0.1] * 3, image_std=[0.2] * 3)  # transformers prefers the other one
    values = {**json.loads(processor.to_json_string()), "processor_class": "CLIPProcessor"}
    document = {"image_processor": values, "processor_class": "CLIPProcessor"}
    (tmp_path / "processor_config.json").write_text(json.dumps(document))
    if saved_by == "transformers":
        loaded = AutoImageProcessor.from_pretrained(tmp_path, local_files_only=True)
        assert loaded.crop_size["height"] == 48
    assert_same_as_transformers(tmp_path, processor)


def test_load_image_processor_next_to_the_file_of_a_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "processor_config.json").write_text('{"processor_class": "CLIPProcessor"}')
    assert "ImageNet" in load_image_processor(tmp_path).note
    assert load(tmp_path, **HALF).mean == (0.5, 0.5, 0.5)


def test_load_image_processor_refuses_reordered_channels(tmp_path: Path) -> None:
    transformers_processor("MobileViT").save_pretrained(tmp_path)
    with pytest.raises(InputError, match="BGR instead of RGB"):
        load_image_processor(tmp_path)
    transformers_processor("MobileViT", do_flip_channel_order=False).save_pretrained(tmp_path)
    processor = load_image_processor(tmp_path)
    assert (processor.mean, processor.std, processor.note) == ((0.0,) * 3, (1.0,) * 3, "")


@pytest.mark.parametrize("step", ["do_flip_channel_order", "rescale_offset", "include_top"])
def test_load_image_processor_refuses_a_step_that_its_class_ignores(
    tmp_path: Path, step: str
) -> None:
    for values in ({}, {"image_processor_type": "ViTImageProcessor"}):
        with pytest.raises(InputError, match=f"{step} is set, but ViTImageProcessor"):
            load(tmp_path, **HALF, **values, **{step: True})
        assert load(tmp_path, **HALF, **values, **{step: False}).note == ""


def test_load_image_processor_of_an_unknown_class_has_a_note(tmp_path: Path) -> None:
    unknown = {"image_processor_type": "OwnImageProcessor"}
    assert "OwnImageProcessor" in load(tmp_path, **unknown, **HALF).note
    assert "ImageNet" in load(tmp_path, **unknown).note
    with pytest.raises(InputError, match="do_flip_channel_order is set"):
        load(tmp_path, **unknown, **HALF, do_flip_channel_order=True)
    for name in ("pipeline", "Trainer", "AutoModel"):
        assert name in load(tmp_path, image_processor_type=name, **HALF).note


@pytest.mark.parametrize(
    "values",
    [
        {"image_mean": None, "image_std": None},
        {"image_mean": ["a", "b", "c"]},
        {"image_mean": [0.5, 0.5]},
        {"image_mean": {"r": 0.5}},
        {"image_mean": [float("nan")] * 3},
        {"image_mean": [1e400] * 3},
        {"image_std": [0, 0, 0]},
        {"image_std": [0.5, 0, 0.5]},
        {"image_std": [0.5, -0.5, 0.5]},
        {"image_std": None},
        {"rescale_factor": 0},
        {"rescale_factor": None},
        {"rescale_factor": "1/255"},
        {"do_rescale": None},
        {"do_normalize": None},
        {"size": "32"},
        {"size": 32.5},
        {"size": 0},
        {"size": [32, -32]},
        {"size": {"width": 64}},
        {"size": {"height": "32", "width": 32}},
        {"size": 10**9},
        {"crop_size": [], "do_center_crop": True},
        {"image_processor_type": 3, "image_std": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("typed", [True, False])
def test_load_image_processor_refuses_damaged_values(
    tmp_path: Path, values: dict[str, Any], typed: bool
) -> None:
    kind = {"image_processor_type": "ViTImageProcessor"} if typed else {}
    with pytest.raises(InputError, match=r"preprocessor_config\.json: expected") as caught:
        load(tmp_path, **{**kind, **HALF, **values})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["[1, 2]", '"text"', "3", "null", "{", "\xff\xfe"])
@pytest.mark.parametrize("file", ["preprocessor_config.json", "processor_config.json"])
def test_load_image_processor_refuses_another_document(
    tmp_path: Path, file: str, content: str
) -> None:
    (tmp_path / file).write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=file):
        load_image_processor(tmp_path)
