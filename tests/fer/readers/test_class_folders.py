"""Class folders: only folders with images are classes, and names of sets never are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from milmer_cli.errors import InputError
from milmer_cli.fer.labeled_images import LabeledImages, merge_classes, number_warning
from milmer_cli.fer.readers.layouts import read_images


def write_images(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(root / name)


def found(data_set: LabeledImages) -> Counter[tuple[str, str]]:
    return Counter((image.class_name, image.set_name) for image in data_set.images)


PAIR = ("angry/a.png", "happy/b.png")
ANGRY_HAPPY = {("anger", ""): 1, ("happiness", ""): 1}


@pytest.mark.parametrize(
    "stray",
    [
        ".ipynb_checkpoints/a-checkpoint.png",
        "__MACOSX/angry/a.png",
        ".hidden/a.png",
        "angry/.ipynb_checkpoints/a.png",
        "angry/._a.png",
        "angry/__MACOSX/a.png",
    ],
)
@pytest.mark.parametrize("parent", ["", "train/"])
def test_read_class_folders_ignores_stray_folders(tmp_path: Path, stray: str, parent: str) -> None:
    write_images(tmp_path, *(parent + name for name in (*PAIR, stray)))
    set_name = "training" if parent else ""
    expected = {("anger", set_name): 1, ("happiness", set_name): 1}
    assert found(read_images(tmp_path)) == expected


@pytest.mark.parametrize(
    "beside", [".ipynb_checkpoints/x.png", "__MACOSX/x.png", "other/x.png", "angry/x.png"]
)
def test_read_class_folders_uses_no_folder_beside_the_sets(tmp_path: Path, beside: str) -> None:
    write_images(tmp_path, *(f"train/{name}" for name in PAIR), *(f"test/{n}" for n in PAIR))
    write_images(tmp_path, beside)
    (tmp_path / "empty").mkdir()
    data_set = read_images(tmp_path)
    assert found(data_set) == {
        (name, set_name): 1 for name in ("anger", "happiness") for set_name in ("training", "test")
    }
    visible = not beside.startswith((".", "__"))
    assert data_set.excluded == ((("folder beside the sets", 1),) if visible else ())


@pytest.mark.parametrize(
    ("name", "set_name"),
    [
        *[(name, "training") for name in ("train", "Train", "TRAINING", "train_set", "trainset")],
        *[(name, "validation") for name in ("valid", "val", "validation", "dev", "val-set")],
        *[(name, "test") for name in ("test", "Testing", "test set", "PrivateTest")],
    ],
)
def test_read_class_folders_with_names_of_sets(tmp_path: Path, name: str, set_name: str) -> None:
    write_images(tmp_path, *(f"{name}/{image}" for image in PAIR))
    assert found(read_images(tmp_path)) == {("anger", set_name): 1, ("happiness", set_name): 1}
    assert found(read_images(tmp_path / name)) == found(read_images(tmp_path))


@pytest.mark.parametrize("outer", ["archive", "archive/images", "train", "a/b/c"])
def test_read_class_folders_looks_into_the_only_folder(tmp_path: Path, outer: str) -> None:
    write_images(tmp_path, *(f"{outer}/train/{name}" for name in PAIR))
    write_images(tmp_path, *(f"{outer}/valid/{name}" for name in PAIR))
    write_images(tmp_path, "__MACOSX/x.png")
    (tmp_path / "empty").mkdir()
    assert found(read_images(tmp_path)) == {
        (name, set_name): 1
        for name in ("anger", "happiness")
        for set_name in ("training", "validation")
    }


def test_read_class_folders_of_classes_in_the_only_folder(tmp_path: Path) -> None:
    write_images(tmp_path, *(f"images/{name}" for name in PAIR))
    assert found(read_images(tmp_path)) == ANGRY_HAPPY


def test_read_class_folders_with_sets_below_the_classes(tmp_path: Path) -> None:
    write_images(tmp_path, "angry/train/a.png", "happy/train/b.png", "happy/test/c.png")
    assert found(read_images(tmp_path)) == {
        ("anger", "training"): 1,
        ("happiness", "training"): 1,
        ("happiness", "test"): 1,
    }


def test_read_class_folders_ignores_empty_folders(tmp_path: Path) -> None:
    write_images(tmp_path, *PAIR)
    (tmp_path / "sad" / "deep").mkdir(parents=True)
    (tmp_path / "test").mkdir()
    assert found(read_images(tmp_path)) == ANGRY_HAPPY
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="no known layout"):
        read_images(tmp_path / "nothing")


@pytest.mark.parametrize(("names", "warned"), [("0 1", True), ("1.0 2", True), ("a 1_sad", False)])
def test_number_warning(tmp_path: Path, names: str, warned: bool) -> None:
    write_images(tmp_path, *(f"{name}/a.png" for name in names.split()))
    data_set = read_images(tmp_path)
    assert bool(number_warning(data_set)) == warned
    assert len(merge_classes([data_set])) == 2
