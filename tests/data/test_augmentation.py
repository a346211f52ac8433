from __future__ import annotations

import torch

from milmer_cli.data.augmentation import BagAugmentation, augment


def test_augment_differs_by_image_and_stays_in_range():
    torch.manual_seed(0)
    pixels = torch.rand(1, 3, 32, 32).repeat(6, 1, 1, 1)
    augmented = augment(pixels, 1.0)
    assert augmented.shape == pixels.shape
    assert augmented.min() >= 0
    assert augmented.max() <= 1
    assert len({tuple(image.flatten().tolist()) for image in augmented}) == 6


def test_augment_without_strength_only_flips():
    torch.manual_seed(0)
    image = torch.rand(1, 3, 16, 16)
    for augmented in augment(image.repeat(8, 1, 1, 1), 0.0):
        candidates = (image[0], image[0].flip(-1))
        assert any(torch.allclose(augmented, other, atol=1e-4) for other in candidates)


def make_faces(n_bags=5, n_instances=4):
    """Bags whose images are all the same photograph-like pattern, at another level each."""
    torch.manual_seed(0)
    pattern = torch.nn.functional.interpolate(torch.rand(1, 3, 5, 5), 32, mode="bicubic")[0]
    levels = torch.linspace(0.3, 0.9, n_instances)[:, None, None, None]
    bag = (255 * pattern.clamp(0, 1) * levels).to(torch.uint8).movedim(1, -1)
    return bag.repeat(n_bags, 1, 1, 1, 1)


def test_augment_changes_all_images_of_a_bag_in_the_same_way():
    image = torch.rand(6, 1, 3, 32, 32)
    bags = image.repeat(1, 4, 1, 1, 1)
    augmented = augment(bags, 1.0)
    assert augmented.shape == bags.shape
    for instance in range(4):
        torch.testing.assert_close(augmented[:, instance], augmented[:, 0])
    assert not torch.allclose(augmented, bags)


def test_augment_keeps_the_ratio_of_brightness_within_a_bag():
    faces = make_faces(n_bags=1).movedim(-1, -3).float() / 255 / 2  # no value is clipped
    for seed in range(5):
        torch.manual_seed(seed)
        (bag,) = augment(faces, 0.5)
        means = bag.mean(dim=(1, 2, 3))
        expected = torch.linspace(0.3, 0.9, 4) / 0.3
        torch.testing.assert_close(means / means[0], expected, atol=0.03, rtol=0)


def test_bag_augmentation_changes_faces_in_training_only():
    batch = {"faces": make_faces(), "faces_found": torch.ones(5, 4, dtype=torch.bool)}
    augmented = BagAugmentation(1.0)(batch, True)
    assert augmented["faces"].shape == batch["faces"].shape
    assert augmented["faces"].dtype == torch.uint8
    assert len({tuple(bag.flatten().tolist()) for bag in augmented["faces"]}) == 5
    assert augmented["faces_found"] is batch["faces_found"]
    assert BagAugmentation(1.0)(batch, False) is batch
    assert BagAugmentation(0.0)(batch, True) is batch
    tokens = {"face_tokens": torch.zeros(1)}  # of a frozen backbone
    assert BagAugmentation(1.0)(tokens, True) is tokens
