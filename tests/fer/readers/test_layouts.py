"""Every layout is recognized, and class numbers become the names of its documentation."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from milmer_cli.errors import InputError
from milmer_cli.fer.readers.layouts import read_images


def write_image(path, gray=128):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20), (gray, gray, gray)).save(path)


def pixel_text(gray, size=48):
    return " ".join([str(gray)] * size**2)


def write_fer2013(folder):
    folder.mkdir(exist_ok=True)
    rows = [
        f"0,{pixel_text(10)},Training",
        f"3,{pixel_text(20)},Training",
        f"6,{pixel_text(30)},PublicTest",
        f"1,{pixel_text(40)},PrivateTest",
        "2,1 2 3,Training",
    ]
    (folder / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "\n".join(rows) + "\n")


def classes_and_sets(data_set):
    return [(image.class_name, image.set_name) for image in data_set.images]


def test_read_images_fer2013(tmp_path):
    write_fer2013(tmp_path)
    for source in (tmp_path, tmp_path / "fer2013.csv"):
        data_set = read_images(source)
        assert data_set.layout == "fer2013"
        assert classes_and_sets(data_set) == [
            ("anger", "training"), ("happiness", "training"),
            ("neutral", "validation"), ("disgust", "test"),
        ]  # fmt: skip
        assert data_set.images[1].source.shape == (48, 48)
        assert (data_set.images[1].source == 20).all()
        assert data_set.excluded == (("invalid pixels", 1),)


def test_read_images_fer2013_unknown_class_number(tmp_path):
    rows = f"0,{pixel_text(1, 2)},Training\n7,{pixel_text(1, 2)},Training\n"
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n" + rows)
    data_set = read_images(tmp_path)
    assert len(data_set.images) == 1
    assert data_set.excluded == (("unknown class number", 1),)


def test_read_images_ferplus_majority_vote(tmp_path):
    write_fer2013(tmp_path)
    header = (
        "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    )
    rows = [
        "Training,fer0.png,1,0,0,0,2,0,0,7,0,0",  # contempt, although FER2013 says anger
        "Training,fer1.png,5,5,0,0,0,0,0,0,0,0",  # no majority
        "PublicTest,,9,0,0,0,0,0,0,0,0,1",  # no image name
        "PrivateTest,fer3.png,0,1,0,0,0,0,0,0,8,1",  # unknown
        "Training,fer4.png,10,0,0,0,0,0,0,0,0,0",  # invalid pixels
    ]
    (tmp_path / "fer2013new.csv").write_text(header + "\n" + "\n".join(rows) + "\n")
    data_set = read_images(tmp_path)
    assert data_set.layout == "ferplus"
    assert classes_and_sets(data_set) == [("contempt", "training")]
    assert dict(data_set.excluded) == {
        "no class has most votes": 1, "no image name": 1,
        "voted unknown or not a face": 1, "invalid pixels": 1,
    }  # fmt: skip


def test_read_images_named_layout(tmp_path):
    write_fer2013(tmp_path)
    (tmp_path / "fer2013new.csv").write_text("NF,contempt\n")
    assert read_images(f"fer2013={tmp_path}").layout == "fer2013"


def test_read_images_rafdb(tmp_path):
    (tmp_path / "EmoLabel").mkdir()
    lines = "train_00001.jpg 5\ntest_0001.jpg 4\ntrain_00002.jpg 1\n"
    (tmp_path / "EmoLabel" / "list_patition_label.txt").write_text(lines)
    write_image(tmp_path / "Image" / "aligned" / "train_00001_aligned.jpg")
    write_image(tmp_path / "Image" / "aligned" / "test_0001_aligned.jpg")
    data_set = read_images(tmp_path)
    assert data_set.layout == "rafdb"
    assert classes_and_sets(data_set) == [("sadness", "training"), ("happiness", "test")]
    assert data_set.excluded == (("image missing", 1),)


def test_read_images_affectnet_annotations(tmp_path):
    for folder, name, label in (
        ("train_set", "7", "1"),
        ("train_set", "8", "9"),
        ("val_set", "3", "4"),
    ):
        write_image(tmp_path / folder / "images" / f"{name}.jpg")
        (tmp_path / folder / "annotations").mkdir(exist_ok=True)
        np.save(tmp_path / folder / "annotations" / f"{name}_exp.npy", np.array(label))
    data_set = read_images(tmp_path)
    assert data_set.layout == "affectnet"
    assert classes_and_sets(data_set) == [("happiness", "training"), ("fear", "test")]
    assert data_set.excluded == (("uncertain, or no face", 1),)


def test_read_images_affectnet_lists(tmp_path):
    write_image(tmp_path / "Manually_Annotated_Images" / "1" / "a.jpg")
    (tmp_path / "training.csv").write_text(
        "subDirectory_filePath,face_x,expression\n1/a.jpg,3,6\n1/b.jpg,3,6\n"
    )
    data_set = read_images(tmp_path)
    assert data_set.layout == "affectnet"
    assert classes_and_sets(data_set) == [("anger", "training")]
    assert data_set.excluded == (("image missing", 1),)


def test_read_images_ckplus_last_frame_and_neutral_first_frame(tmp_path):
    for number in (1, 2, 3):
        write_image(tmp_path / "cohn-kanade-images" / "S010" / "002" / f"S010_002_{number:08d}.png")
    label_file = tmp_path / "Emotion" / "S010" / "002" / "S010_002_00000003_emotion.txt"
    label_file.parent.mkdir(parents=True)
    label_file.write_text("   7.0000000e+00\n")
    data_set = read_images(tmp_path)
    assert data_set.layout == "ckplus"
    assert [(i.class_name, i.source.stem[-1], i.subject) for i in data_set.images] == [
        ("surprise", "3", "ckplus/S010"), ("neutral", "1", "ckplus/S010"),
    ]  # fmt: skip


DOCUMENTED_NUMBERS = {
    "fer2013": (0, "anger disgust fear happiness sadness surprise neutral"),
    "rafdb": (1, "surprise fear disgust happiness sadness anger neutral"),
    "affectnet": (0, "neutral happiness sadness surprise fear disgust anger contempt"),
    "ckplus": (0, "neutral anger contempt disgust fear happiness sadness surprise"),
}


@pytest.mark.parametrize("layout", DOCUMENTED_NUMBERS)
def test_read_images_converts_every_class_number(tmp_path, layout):
    first, names = DOCUMENTED_NUMBERS[layout]
    for number, name in enumerate(names.split(), start=first):
        if layout == "fer2013":
            row = f"emotion,pixels,Usage\n{number},{pixel_text(1, size=2)},Training\n"
            (tmp_path / "fer2013.csv").write_text(row)
        elif layout == "rafdb":
            write_image(tmp_path / "Image" / "aligned" / "train_1_aligned.jpg")
            (tmp_path / "EmoLabel").mkdir(exist_ok=True)
            label_file = tmp_path / "EmoLabel" / "list_patition_label.txt"
            label_file.write_text(f"train_1.jpg {number}\n")
        elif layout == "affectnet":
            write_image(tmp_path / "train_set" / "images" / "1.jpg")
            (tmp_path / "train_set" / "annotations").mkdir(exist_ok=True)
            np.save(tmp_path / "train_set" / "annotations" / "1_exp.npy", np.array(str(number)))
        else:
            write_image(tmp_path / "cohn-kanade-images" / "S1" / "1" / "a.png")
            label_file = tmp_path / "Emotion" / "S1" / "1" / "a_emotion.txt"
            label_file.parent.mkdir(parents=True, exist_ok=True)
            label_file.write_text(f"  {number:.7e}\n")
        data_set = read_images(tmp_path)
        assert (data_set.layout, [i.class_name for i in data_set.images]) == (layout, [name])


def test_read_images_class_folders_with_and_without_sets(tmp_path):
    write_image(tmp_path / "flat" / "Happy" / "a.jpg")
    write_image(tmp_path / "flat" / "sad" / "nested" / "b.PNG")
    (tmp_path / "flat" / "sad" / "notes.txt").write_text("no image")
    assert classes_and_sets(read_images(tmp_path / "flat")) == [("happiness", ""), ("sadness", "")]
    write_image(tmp_path / "sets" / "train" / "angry" / "a.jpg")
    write_image(tmp_path / "sets" / "test" / "calm" / "b.jpg")
    both = classes_and_sets(read_images(tmp_path / "sets"))
    assert sorted(both) == [("anger", "training"), ("calm", "test")]
    assert classes_and_sets(read_images(tmp_path / "sets" / "train")) == [("anger", "training")]


def test_read_images_names_a_missing_path_and_the_known_layouts(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_images(tmp_path / "missing")
    with pytest.raises(InputError, match="no known layout") as caught:
        read_images(tmp_path)
    assert "rafdb" in caught.value.hint
