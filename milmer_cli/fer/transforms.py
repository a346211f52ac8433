"""Normalization and augmentation of a batch of images, on the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from milmer_cli.data.augmentation import augment
from milmer_cli.inference.predict_proba import Batch


class ImageTransform:
    """Converts a batch of `ImageDataset` to the input of the classifier.

    Parameters
    ----------
    strength
        Strength of the augmentation of training images; 0 disables it (see `augment`).
    mean, std
        (3,) mean and standard deviation of RGB values in 0-1 with which the backbone was trained.
    """

    def __init__(self, strength: float, mean: Sequence[float], std: Sequence[float]) -> None:
        self.strength = strength
        self.mean = torch.tensor(mean).view(1, 3, 1, 1)
        self.std = torch.tensor(std).view(1, 3, 1, 1)

    def __call__(self, batch: Batch, training: bool) -> Batch:
        """Return ``pixel_values``, (batch, 3, height, width) float; augmented if ``training``."""
        pixels = batch["pixels"].float() / 255
        if training and self.strength:
            pixels = augment(pixels, self.strength)
        mean, std = self.mean.to(pixels.device), self.std.to(pixels.device)
        return {"pixel_values": (pixels - mean) / std}
