from __future__ import annotations

from pathlib import Path

import pytest

from milmer_cli.errors import InputError
from milmer_cli.fer.labeled_images import (
    LabeledImage,
    LabeledImages,
    common_class,
    merge_classes,
)


def data_set(*class_names):
    images = tuple(LabeledImage(Path("a.jpg"), name, "a.jpg") for name in class_names)
    return LabeledImages("folders", Path("data"), images)


def test_merge_classes_common_classes_first():
    merged = merge_classes([data_set("neutral", "anger"), data_set("happiness", "bored", "anger")])
    assert merged == ("anger", "happiness", "neutral", "bored")


def test_merge_classes_rejects_a_single_class():
    with pytest.raises(InputError, match="All images have the class happiness"):
        merge_classes([data_set("happiness", "happiness")])


def test_merge_classes_rejects_numbers_of_several_data_sets():
    merge_classes([data_set("1", "2")])
    with pytest.raises(InputError, match="cannot be merged"):
        merge_classes([data_set("1", "2"), data_set("happiness")])


@pytest.mark.parametrize(
    ("name", "expected"), [("Happy", "happiness"), ("1_fearful", "fear"), ("Mixed Up", "mixed_up")]
)
def test_common_class(name, expected):
    assert common_class(name) == expected
