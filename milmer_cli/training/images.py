"""Pictures to batches: parts that share no person, pictures read and resized, batches varied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold
from torch.nn import functional
from torch.utils.data import Dataset

from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings.schema import FinetuneSettings
from milmer_cli.training.expressions import Picture
from milmer_cli.training.predictions import Batch

MOST_FOLDS = 20

Read = Callable[[Picture], Image.Image]


@dataclass(frozen=True, eq=False)
class Parts:
    """Rows of a list of pictures for each part, as (n,) int64 arrays; ``test`` may be empty."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split_pictures(
    pictures: Sequence[Picture], labels: np.ndarray, fraction: float, seed: int
) -> Parts:
    """Cut pictures into parts: by the sets' own parts, then by person.

    Parameters
    ----------
    pictures
        Those of a set without parts of its own count as training pictures.
    labels
        (n,) classes.
    fraction
        Share of the training pictures kept for validation, where the sets have no validation part.
    seed
        Draws which.

    Raises
    ------
    InputError
        There are too few pictures.
    """
    own = np.array([picture.part or "train" for picture in pictures])
    train, validation, test = (np.flatnonzero(own == p) for p in ("train", "validation", "test"))
    if not len(train):
        raise InputError(
            "None of the pictures is in a training part.",
            "Give the folder above train/ and test/, or the training part itself.",
        )
    if not len(validation):
        people = np.array([pictures[int(row)].person or f"picture {row}" for row in train])
        folds = min(max(2, round(1 / fraction)), MOST_FOLDS, len(np.unique(people)))
        if folds < 2:
            raise InputError(
                "The training pictures show one person only: none can be kept for validation.",
                "Add pictures of other people.",
            )
        cut = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        kept, held = next(cut.split(train, labels[train], people))
        train, validation = train[kept], train[held]
    return Parts(train, validation, test)


def read_picture(picture: Picture) -> Image.Image:
    """Read a picture as RGB.

    Raises
    ------
    OSError, SyntaxError, ValueError
        Pillow's, for a file that it cannot read to its end.
    """
    if isinstance(picture.image, np.ndarray):
        return Image.fromarray(picture.image).convert("RGB")
    with Image.open(picture.image) as image:
        return image.convert("RGB")


def readable(
    pictures: Sequence[Picture], read: Read = read_picture, progress: Progress = SILENT
) -> list[str]:
    """Read every picture once.

    Returns
    -------
    list of str
        For each picture why it cannot be used; empty where it can.
    """

    def look(picture: Picture) -> str:
        try:
            read(picture)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            return str(error).splitlines()[0] if str(error) else type(error).__name__
        return ""

    task = "look at every picture"
    progress.start(task, len(pictures), "pictures")
    reasons = []
    with ThreadPoolExecutor() as pool:
        for reason in pool.map(look, pictures):
            reasons.append(reason)
            progress.advance(task)
    progress.done(task)
    return reasons


class Pictures(Dataset[Batch]):
    """Pictures of one size.

    An item has ``pixels``, (3, size, size) uint8 RGB, and ``labels``, () int64.

    Parameters
    ----------
    pictures, labels
        (n,) each.
    size
        Side of the pictures, in pixels; they are resized, not cut.
    """

    def __init__(self, pictures: Sequence[Picture], labels: np.ndarray, size: int) -> None:
        self.pictures = list(pictures)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.size = size

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, item: int) -> Batch:
        image = read_picture(self.pictures[item])
        image = image.resize((self.size, self.size), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        return {"pixels": pixels, "labels": torch.tensor(self.labels[item])}


class Look:
    """Turns a batch of pictures on the device into the classifier's input; varies it in training.

    Parameters
    ----------
    settings
        ``augment`` says how strongly.
    mean, std
        Of RGB values in 0-1, that the backbone was trained with.
    """

    def __init__(
        self, settings: FinetuneSettings, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        self.strength = settings.augment
        self.mean = torch.tensor(mean).view(1, 3, 1, 1)
        self.std = torch.tensor(std).view(1, 3, 1, 1)

    def __call__(self, batch: Batch, training: bool) -> Batch:
        """Give ``pixel_values``, (B, 3, H, W) float."""
        pixels = batch["pixels"].float() / 255
        if training and self.strength:
            pixels = vary(pixels, self.strength)
        mean, std = self.mean.to(pixels.device), self.std.to(pixels.device)
        return {"pixel_values": (pixels - mean) / std}


def vary(pixels: torch.Tensor, strength: float) -> torch.Tensor:
    """Mirror, turn, zoom, shift and relight pictures, each in its own way.

    Parameters
    ----------
    pixels
        (B, 3, H, W) float, 0 to 1.
    strength
        1: up to 15 degrees, 15 % in size, 8 % of the side, 30 % in light and contrast.

    Returns
    -------
    Tensor
        The same shape; beyond the border the picture is mirrored.
    """
    n, device = len(pixels), pixels.device

    def draw(most: float) -> torch.Tensor:
        return strength * most * (2 * torch.rand(n, device=device) - 1)

    mirror = torch.where(torch.rand(n, device=device) < 0.5, -1.0, 1.0)
    angle, zoom = draw(torch.pi / 12), 1 + draw(0.15)
    cosine, sine = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = [cosine * mirror, -sine, draw(0.16), sine * mirror, cosine, draw(0.16)]
    theta = torch.stack(rows, dim=1).view(n, 2, 3)
    grid = functional.affine_grid(theta, list(pixels.shape), align_corners=False)
    moved = functional.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    middle = moved.mean(dim=(1, 2, 3), keepdim=True)
    contrast, light = 1 + draw(0.3), 1 + draw(0.3)
    relit = ((moved - middle) * contrast.view(-1, 1, 1, 1) + middle) * light.view(-1, 1, 1, 1)
    return relit.clamp(0, 1)
