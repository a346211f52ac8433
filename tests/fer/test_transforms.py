from __future__ import annotations

import torch

from milmer_cli.fer.transforms import ImageTransform


def test_image_transform_normalizes_and_augments_in_training_only():
    torch.manual_seed(0)
    batch = {"pixels": (torch.rand(6, 3, 32, 32) * 255).to(torch.uint8)}
    transform = ImageTransform(1.0, [0.5] * 3, [0.25] * 3)
    evaluated = transform(batch, training=False)["pixel_values"]
    torch.testing.assert_close(evaluated, (batch["pixels"].float() / 255 - 0.5) / 0.25)
    assert not torch.equal(transform(batch, training=True)["pixel_values"], evaluated)
