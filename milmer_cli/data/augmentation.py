"""Augmentation of face images, on the device; `train` and `finetune-swin` use the same function."""

from __future__ import annotations

import torch
from torch.nn import functional

from milmer_cli.data.dataset import Bag

MAX_ROTATION = torch.pi / 12
MAX_SCALE = 0.15
MAX_SHIFT = 0.16
"""In units of half the image: 8 % of its width or height."""
MAX_BRIGHTNESS = 0.3
MAX_CONTRAST = 0.3


def augment(pixels: torch.Tensor, strength: float) -> torch.Tensor:
    """Flip, rotate, scale and shift images and change brightness and contrast, each at random.

    Parameters
    ----------
    pixels
        (n, ..., 3, height, width) float in 0-1. One transformation is drawn for each of the n
        entries: all images of a bag, (n, n_instances, 3, height, width), are changed in the same
        way, so that the differences between them, which the selection reads, are kept.
    strength
        At 1: rotation up to 15 degrees, scale up to 15 %, shift up to 8 % of the image, brightness
        and contrast up to 30 %. Half of the entries are flipped at any strength.

    Returns
    -------
    Tensor
        Same shape. Outside its border, an image is continued by reflection.
    """
    n, device = len(pixels), pixels.device

    def draw(limit: float) -> torch.Tensor:
        return strength * limit * (2 * torch.rand(n, device=device) - 1)

    flip = torch.where(torch.rand(n, device=device) < 0.5, -1.0, 1.0)
    angle, scale = draw(MAX_ROTATION), 1 + draw(MAX_SCALE)
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [cosine * flip, -sine, draw(MAX_SHIFT), sine * flip, cosine, draw(MAX_SHIFT)]
    theta = torch.stack(rows, dim=1).view(n, 2, 3)
    channels = pixels.flatten(1, -3)  # images of an entry as channels of one image
    grid = functional.affine_grid(theta, list(channels.shape), align_corners=False)
    warped = functional.grid_sample(channels, grid, padding_mode="reflection", align_corners=False)
    warped = warped.view(pixels.shape)
    mean = warped.mean(dim=(-3, -2, -1), keepdim=True)
    ones = [1] * (pixels.ndim - 1)
    contrast = (1 + draw(MAX_CONTRAST)).view(-1, *ones)
    brightness = (1 + draw(MAX_BRIGHTNESS)).view(-1, *ones)
    return (((warped - mean) * contrast + mean) * brightness).clamp(0, 1)


class BagAugmentation:
    """Augments the faces of a batch of bags during training.

    Parameters
    ----------
    strength
        See `augment`; 0 disables it.
    """

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def __call__(self, batch: Bag, training: bool) -> Bag:
        """Return the batch, with other ``faces`` if ``training``."""
        if not (training and self.strength and "faces" in batch):
            return batch
        pixels = batch["faces"].movedim(-1, -3).float() / 255
        faces = (255 * augment(pixels, self.strength)).round().to(torch.uint8)
        return {**batch, "faces": faces.movedim(-3, -1)}
