"""`ImageDataset`: decoded and resized images for PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from milmer_cli.fer.image_files import read_rgb
from milmer_cli.fer.labeled_images import LabeledImage
from milmer_cli.images import open_image
from milmer_cli.inference.predict_proba import Batch


def load_image(image: LabeledImage) -> Image.Image:
    """Decode an image as RGB.

    Raises
    ------
    OSError, SyntaxError, ValueError
        The file cannot be decoded, see `read_rgb`.
    """
    source = image.source
    if isinstance(source, np.ndarray):
        return Image.fromarray(source).convert("RGB")
    if isinstance(source, bytes):
        with open_image(source) as opened:
            return opened.convert("RGB")
    return read_rgb(source)


class ImageDataset(Dataset[Batch]):
    """Images of one size with their labels.

    An item has ``pixels``, (3, height, width) uint8 RGB, and ``labels``, () int64.

    Parameters
    ----------
    images
        (n,).
    labels
        (n,) class indices.
    size
        Height and width in pixels. Images are resized without keeping their aspect ratio.
    """

    def __init__(
        self, images: Sequence[LabeledImage], labels: np.ndarray, size: tuple[int, int]
    ) -> None:
        self.images = list(images)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.size = size

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: int) -> Batch:
        image = load_image(self.images[item])
        height, width = self.size
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        return {"pixels": pixels, "labels": torch.tensor(self.labels[item])}
