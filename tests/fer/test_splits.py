from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.fer.labeled_images import LabeledImage
from milmer_cli.fer.splits import describe_separation, split_images


def make_images(n, subjects=0, set_name=""):
    gray = np.zeros((4, 4), np.uint8)
    names = [f"subject {i % subjects}" if subjects else "" for i in range(n)]
    return [LabeledImage(gray, "x", f"{i}", set_name, names[i]) for i in range(n)]


def test_split_images_no_subject_in_two_sets():
    images = make_images(60, subjects=12)
    fold = split_images(images, np.arange(60) % 3, 0.25, seed=0)
    subjects = [{images[row].subject for row in rows} for rows in (fold.train, fold.validation)]
    assert not subjects[0] & subjects[1]
    assert len(fold.validation) == 15
    assert sorted([*fold.train, *fold.validation]) == list(range(60))


def test_split_images_keeps_the_sets_of_the_data_set():
    images = [
        *make_images(20),
        *make_images(5, set_name="validation"),
        *make_images(7, set_name="test"),
    ]
    fold = split_images(images, np.zeros(32, int), 0.2, seed=0)
    assert fold.train.tolist() == list(range(20))
    assert fold.validation.tolist() == list(range(20, 25))
    assert fold.test.tolist() == list(range(25, 32))


def test_split_images_rejects_a_single_subject():
    with pytest.raises(InputError, match="at least two subjects"):
        split_images(make_images(9, subjects=1), np.arange(9) % 3, 0.2, seed=0)


def test_split_images_of_few_images_per_class():
    fold = split_images(make_images(6), np.arange(6) % 3, 0.2, seed=0)
    assert (len(fold.train), len(fold.validation)) == (3, 3)
    with pytest.raises(InputError, match="two images of a class"):
        split_images(make_images(3), np.arange(3), 0.2, seed=0)


def test_split_images_rejects_images_without_a_training_set():
    with pytest.raises(InputError, match="No image belongs to a training set"):
        split_images(make_images(9, set_name="test"), np.arange(9) % 3, 0.2, seed=0)


def test_describe_separation_says_what_the_sets_share():
    own = describe_separation(make_images(3, set_name="test"), "test")
    assert own == "the data sets' own test set"
    assert "no subject occurs in two sets; the epoch" in describe_separation(
        make_images(4, subjects=2), "validation"
    )
    assert "subjects are unknown" in describe_separation(make_images(4), "validation")
