"""Unusable entries of expression lists are counted with their line and reason."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from milmer_cli.fer.readers.csv_file import read_rows
from milmer_cli.fer.readers.layouts import read_images


def pixels(size: int, value: int = 7) -> str:
    return " ".join([str(value)] * size**2)


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8)).save(path)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"9,{pixels(2)},Training", "unknown class number"),
        (f"-1,{pixels(2)},Training", "unknown class number"),
        (f"1.5,{pixels(2)},Training", "unknown class number"),
        (f"nan,{pixels(2)},Training", "unknown class number"),
        (f"\u00b2,{pixels(2)},Training", "unknown class number"),
        (f"{'9' * 400},{pixels(2)},Training", "unknown class number"),
        (f",{pixels(2)},Training", "unknown class number"),
        (f"1,{pixels(2)}", "row with too few cells"),
        ("1", "row with too few cells"),
        ("1,300 1 1 1,Training", "invalid pixels"),
        ("1,a b c d,Training", "invalid pixels"),
        ('1,"', "row with too few cells"),
    ],
)
def test_read_fer2013_counts_unusable_rows(tmp_path: Path, row: str, reason: str) -> None:
    good = f"0,{pixels(2)},Training"
    text = "\n".join(["emotion,pixels,Usage", good, "", row]) + "\n"
    (tmp_path / "fer2013.csv").write_text(text, encoding="utf-8")
    data_set = read_images(tmp_path)
    assert [image.class_name for image in data_set.images] == ["anger"]
    assert data_set.excluded == ((reason, 1),)
    assert f"excluded 1 ({reason}: line 4)" in data_set.describe(("anger",))


def test_read_fer2013_with_large_images_and_latin1(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    rows = [f"0,{pixels(224, 200)},Training,caf\xe9", f"3,{pixels(224, 3)},PublicTest,\u20ac"]
    content = b"emotion,pixels,Usage,note\n"
    content += rows[0].encode("latin-1") + b"\n" + rows[1].encode() + b"\n"
    (tmp_path / "fer2013.csv").write_bytes(content)
    first, second = read_images(tmp_path).images
    assert isinstance(first.source, np.ndarray)
    assert first.source.shape == (224, 224)
    assert second.set_name == "validation"
    assert csv.field_size_limit() == limit


def test_read_ferplus_counts_invalid_votes(tmp_path: Path) -> None:
    names = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    votes = ["10,0,0,0,0,0,0,0,0,0", "x,0,0,0,0,0,0,0,0,0", "9,0", "-1,5,0,0,0,0,0,0,0,0"]
    lines = [f"Training,f.png,{row}" for row in votes]
    (tmp_path / "fer2013new.csv").write_text(f"Usage,Image name,{names}\n" + "\n".join(lines))
    face = f"0,{pixels(2)},Training\n"
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n" + face * 4)
    data_set = read_images(tmp_path)
    assert [image.class_name for image in data_set.images] == ["neutral"]
    assert data_set.excluded_at == {
        "invalid number of votes": ["line 3", "line 5"],
        "row with too few cells": ["line 4"],
    }


def test_read_affectnet_lists_count_unusable_rows(tmp_path: Path) -> None:
    write_image(tmp_path / "1" / "a.jpg")
    write_image(tmp_path / "1" / "caf\xe9.jpg")
    rows = ["1/a.jpg,1", "1/caf\xe9.jpg,2", "1/a.jpg,-1", "1/a.jpg,11", "1/a.jpg,x", "1/a.jpg",
            "1/b.jpg,1", "1/a.jpg,9"]  # fmt: skip
    text = "subDirectory_filePath,expression\n" + "\n".join(rows) + "\n"
    (tmp_path / "training.csv").write_bytes(text.encode("latin-1"))
    data_set = read_images(tmp_path)
    assert [image.class_name for image in data_set.images] == ["happiness", "sadness"]
    assert data_set.excluded_at == {
        "unknown class number": [f"training.csv, line {line}" for line in (4, 5, 6)],
        "row with too few cells": ["training.csv, line 7"],
        "image missing": ["training.csv, line 8"],
        "uncertain, or no face": ["training.csv, line 9"],
    }


def test_read_affectnet_annotations_count_unusable_files(tmp_path: Path) -> None:
    folder = tmp_path / "train_set"
    contents = {"a": np.array("1"), "b": np.array(-1), "c": np.array([1, 2]), "d": np.array("x"),
                "e": np.array(10), "f": np.array(7)}  # fmt: skip
    (folder / "annotations").mkdir(parents=True)
    for name, values in contents.items():
        write_image(folder / "images" / f"{name}.jpg")
        np.save(folder / "annotations" / f"{name}_exp.npy", values)
    write_image(folder / "images" / "g.jpg")
    (folder / "annotations" / "g_exp.npy").write_bytes(b"\x93NUMPY")
    data_set = read_images(tmp_path)
    assert [image.class_name for image in data_set.images] == ["happiness", "contempt"]
    assert dict(data_set.excluded) == {
        "unknown class number": 1, "invalid annotation": 3, "uncertain, or no face": 1,
    }  # fmt: skip


def test_read_rafdb_counts_unusable_lines(tmp_path: Path) -> None:
    write_image(tmp_path / "Image" / "original" / "train_1.jpg")
    lines = ["train_1.jpg 4", "train_1.jpg 0", "train_1.jpg -1", "train_1.jpg", "train_2.jpg 1",
             "caf\xe9.jpg 1"]  # fmt: skip
    (tmp_path / "EmoLabel").mkdir()
    path = tmp_path / "EmoLabel" / "list_patition_label.txt"
    path.write_bytes("\n".join(lines).encode("latin-1"))
    data_set = read_images(tmp_path)
    assert [image.class_name for image in data_set.images] == ["happiness"]
    assert data_set.excluded_at == {
        "unknown class number": ["line 2", "line 3", "line 4"],
        "image missing": ["line 5", "line 6"],
    }


def test_read_ckplus_counts_unusable_labels(tmp_path: Path) -> None:
    labels = {
        "1": b"   3.0000000e+00\n",
        "2": b"-1",
        "3": b"9",
        "4": b"nan",
        "5": b"\xff",
        "6": b"",
    }
    for sequence, label in labels.items():
        write_image(tmp_path / "cohn-kanade-images" / "S1" / sequence / "1.png")
        file = tmp_path / "Emotion" / "S1" / sequence / "S1_emotion.txt"
        file.parent.mkdir(parents=True)
        file.write_bytes(label)
    data_set = read_images(tmp_path)
    assert [image.class_name for image in data_set.images] == ["disgust"]
    assert data_set.excluded == (("unknown class number", 5),)


def test_read_rows_pads_incomplete_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfa, b\n1\n2,3,4\n")
    rows = list(read_rows(tmp_path / "a.csv"))
    assert [(row.line, row.cells, row.is_complete) for row in rows] == [
        (2, {"a": "1", "b": ""}, False),
        (3, {"a": "2", "b": "3"}, True),
    ]
