"""Pictures to batches: parts share no person, broken files are named, variations stay pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from milmer_cli.errors import InputError
from milmer_cli.settings import load_settings
from milmer_cli.training.expressions import Picture
from milmer_cli.training.images import Look, Pictures, readable, split_pictures, vary


def pictures(n, people=0, part=""):
    grey = np.zeros((4, 4), np.uint8)
    person = [f"p{i % people}" if people else "" for i in range(n)]
    return [Picture(grey, "x", f"{i}", part, person[i]) for i in range(n)]


def test_no_person_is_in_two_parts():
    given = pictures(60, people=12)
    parts = split_pictures(given, np.arange(60) % 3, 0.25, seed=0)
    people = [{given[row].person for row in rows} for rows in (parts.train, parts.validation)]
    assert not people[0] & people[1]
    assert len(parts.validation) == 15
    assert sorted([*parts.train, *parts.validation]) == list(range(60))


def test_own_parts_are_kept():
    given = [*pictures(20), *pictures(5, part="validation"), *pictures(7, part="test")]
    parts = split_pictures(given, np.zeros(32, int), 0.2, seed=0)
    assert parts.train.tolist() == list(range(20))
    assert parts.validation.tolist() == list(range(20, 25))
    assert parts.test.tolist() == list(range(25, 32))


def test_one_person_cannot_be_split():
    with pytest.raises(InputError, match="one person"):
        split_pictures(pictures(9, people=1), np.arange(9) % 3, 0.2, seed=0)


def test_broken_pictures_are_named(tmp_path):
    Image.new("RGB", (30, 30)).save(tmp_path / "good.png")
    Image.effect_noise((64, 64), 90).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:700])
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.png").touch()
    names = ("good.png", "cut.jpg", "text.jpg", "empty.png")
    reasons = readable([Picture(tmp_path / name, "x", name) for name in names])
    assert [bool(reason) for reason in reasons] == [False, True, True, True]


def test_items_are_rgb_of_one_size(tmp_path):
    colours = np.zeros((10, 20, 3), np.uint8)
    colours[:, :10, 0] = 200  # left half red
    Image.fromarray(colours).save(tmp_path / "a.png")
    item = Pictures([Picture(tmp_path / "a.png", "x", "a")], np.array([2]), 8)[0]
    assert item["pixels"].shape == (3, 8, 8)
    assert item["pixels"].dtype == torch.uint8
    assert item["pixels"][0, :, 0].min() > 190
    assert item["pixels"][1:].max() == 0
    assert item["labels"] == 2


def test_variations_differ_by_picture_and_only_in_training():
    torch.manual_seed(0)
    same = torch.rand(1, 3, 32, 32).repeat(6, 1, 1, 1)
    varied = vary(same, 1.0)
    assert varied.shape == same.shape
    assert varied.min() >= 0
    assert varied.max() <= 1
    assert len({tuple(image.flatten().tolist()) for image in varied}) == 6
    look = Look(load_settings().finetune, [0.5] * 3, [0.25] * 3)
    batch = {"pixels": (same * 255).to(torch.uint8)}
    still = look(batch, training=False)["pixel_values"]
    torch.testing.assert_close(still, (batch["pixels"].float() / 255 - 0.5) / 0.25)
    assert not torch.equal(look(batch, training=True)["pixel_values"], still)


def test_variation_without_strength_only_mirrors():
    torch.manual_seed(0)
    image = torch.rand(1, 3, 16, 16)
    for varied in vary(image.repeat(8, 1, 1, 1), 0.0):
        near = [torch.allclose(varied, other, atol=1e-4) for other in (image[0], image[0].flip(-1))]
        assert any(near)
