from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from milmer_cli.fer.dataset import ImageDataset
from milmer_cli.fer.labeled_images import LabeledImage


def test_image_dataset_items_are_rgb_of_one_size(tmp_path):
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, :10, 0] = 200  # the left half is red
    Image.fromarray(pixels).save(tmp_path / "a.png")
    images = [LabeledImage(tmp_path / "a.png", "x", "a")]
    item = ImageDataset(images, np.array([2]), (8, 6))[0]
    assert item["pixels"].shape == (3, 8, 6)
    assert item["pixels"].dtype == torch.uint8
    assert item["pixels"][0, :, 0].min() > 190
    assert item["pixels"][1:].max() == 0
    assert item["labels"] == 2
