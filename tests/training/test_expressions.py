"""Expression data sets: recognised by layout, classes by name whatever their numbers."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from milmer_cli.errors import InputError
from milmer_cli.training.expressions import canonical, class_list
from milmer_cli.training.layouts import read_set


def picture(path, tone=128):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20), (tone, tone, tone)).save(path)


def pixels(tone, side=48):
    return " ".join([str(tone)] * side**2)


def fer2013(folder):
    folder.mkdir(exist_ok=True)
    rows = [
        f"0,{pixels(10)},Training",
        f"3,{pixels(20)},Training",
        f"6,{pixels(30)},PublicTest",
        f"1,{pixels(40)},PrivateTest",
        "2,1 2 3,Training",
    ]
    (folder / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "\n".join(rows) + "\n")


def told(found):
    return [(p.label, p.part) for p in found.pictures]


def test_fer2013_csv(tmp_path):
    fer2013(tmp_path)
    for source in (tmp_path, tmp_path / "fer2013.csv"):
        found = read_set(source)
        assert found.kind == "fer2013"
        assert told(found) == [
            ("anger", "train"), ("happiness", "train"),
            ("neutral", "validation"), ("disgust", "test"),
        ]  # fmt: skip
        assert found.pictures[1].image.shape == (48, 48)
        assert (found.pictures[1].image == 20).all()
        assert found.left_out == (("broken pixels", 1),)


def test_ferplus_takes_the_winning_vote_and_drops_the_rest(tmp_path):
    fer2013(tmp_path)
    head = (
        "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    )
    rows = [
        "Training,fer0.png,1,0,0,0,2,0,0,7,0,0",  # contempt, where FER2013 says anger
        "Training,fer1.png,5,5,0,0,0,0,0,0,0,0",  # no winner
        "PublicTest,,9,0,0,0,0,0,0,0,0,1",  # no image name
        "PrivateTest,fer3.png,0,1,0,0,0,0,0,0,8,1",  # unknown
        "Training,fer4.png,10,0,0,0,0,0,0,0,0,0",  # pixels broken
    ]
    (tmp_path / "fer2013new.csv").write_text(head + "\n" + "\n".join(rows) + "\n")
    found = read_set(tmp_path)
    assert found.kind == "ferplus"
    assert told(found) == [("contempt", "train")]
    assert dict(found.left_out) == {
        "no class has most votes": 1, "no image name": 1,
        "voted unknown or not a face": 1, "broken pixels": 1,
    }  # fmt: skip
    assert read_set(f"fer2013={tmp_path}").kind == "fer2013"


def test_rafdb(tmp_path):
    (tmp_path / "EmoLabel").mkdir()
    lines = "train_00001.jpg 5\ntest_0001.jpg 4\ntrain_00002.jpg 1\n"
    (tmp_path / "EmoLabel" / "list_patition_label.txt").write_text(lines)
    picture(tmp_path / "Image" / "aligned" / "train_00001_aligned.jpg")
    picture(tmp_path / "Image" / "aligned" / "test_0001_aligned.jpg")
    found = read_set(tmp_path)
    assert found.kind == "rafdb"
    assert told(found) == [("sadness", "train"), ("happiness", "test")]
    assert found.left_out == (("image missing", 1),)


def test_affectnet_npy_and_csv(tmp_path):
    for part, name, label in (
        ("train_set", "7", "1"),
        ("train_set", "8", "9"),
        ("val_set", "3", "4"),
    ):
        picture(tmp_path / "npy" / part / "images" / f"{name}.jpg")
        (tmp_path / "npy" / part / "annotations").mkdir(exist_ok=True)
        np.save(tmp_path / "npy" / part / "annotations" / f"{name}_exp.npy", np.array(label))
    found = read_set(tmp_path / "npy")
    assert found.kind == "affectnet"
    assert told(found) == [("happiness", "train"), ("fear", "test")]
    assert found.left_out == (("uncertain, or no face", 1),)

    picture(tmp_path / "csv" / "Manually_Annotated_Images" / "1" / "a.jpg")
    (tmp_path / "csv" / "training.csv").write_text(
        "subDirectory_filePath,face_x,expression\n1/a.jpg,3,6\n1/b.jpg,3,6\n"
    )
    found = read_set(tmp_path / "csv")
    assert told(found) == [("anger", "train")]
    assert found.left_out == (("image missing", 1),)


def test_ckplus_takes_the_last_frame_and_the_neutral_first(tmp_path):
    for number in (1, 2, 3):
        picture(tmp_path / "cohn-kanade-images" / "S010" / "002" / f"S010_002_{number:08d}.png")
    note = tmp_path / "Emotion" / "S010" / "002" / "S010_002_00000003_emotion.txt"
    note.parent.mkdir(parents=True)
    note.write_text("   7.0000000e+00\n")
    found = read_set(tmp_path)
    assert found.kind == "ckplus"
    assert [(p.label, p.image.stem[-1], p.person) for p in found.pictures] == [
        ("surprise", "3", "ckplus/S010"), ("neutral", "1", "ckplus/S010"),
    ]  # fmt: skip


NUMBERS = {
    "fer2013": (0, "anger disgust fear happiness sadness surprise neutral"),
    "rafdb": (1, "surprise fear disgust happiness sadness anger neutral"),
    "affectnet": (0, "neutral happiness sadness surprise fear disgust anger contempt"),
    "ckplus": (0, "neutral anger contempt disgust fear happiness sadness surprise"),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_every_number_has_its_name(tmp_path, kind):
    """As each set is documented; no two number their classes alike."""
    first, text = NUMBERS[kind]
    names = text.split()
    for number, name in enumerate(names, start=first):
        if kind == "fer2013":
            row = f"emotion,pixels,Usage\n{number},{pixels(1, side=2)},Training\n"
            (tmp_path / "fer2013.csv").write_text(row)
        elif kind == "rafdb":
            picture(tmp_path / "Image" / "aligned" / "train_1_aligned.jpg")
            (tmp_path / "EmoLabel").mkdir(exist_ok=True)
            note = tmp_path / "EmoLabel" / "list_patition_label.txt"
            note.write_text(f"train_1.jpg {number}\n")
        elif kind == "affectnet":
            picture(tmp_path / "train_set" / "images" / "1.jpg")
            (tmp_path / "train_set" / "annotations").mkdir(exist_ok=True)
            np.save(tmp_path / "train_set" / "annotations" / "1_exp.npy", np.array(str(number)))
        else:
            picture(tmp_path / "cohn-kanade-images" / "S1" / "1" / "a.png")
            note = tmp_path / "Emotion" / "S1" / "1" / "a_emotion.txt"
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(f"  {number:.7e}\n")
        found = read_set(tmp_path)
        assert (found.kind, [p.label for p in found.pictures]) == (kind, [name])


def test_class_per_folder_with_and_without_parts(tmp_path):
    picture(tmp_path / "flat" / "Happy" / "a.jpg")
    picture(tmp_path / "flat" / "sad" / "deep" / "b.PNG")
    (tmp_path / "flat" / "sad" / "notes.txt").write_text("no picture")
    assert told(read_set(tmp_path / "flat")) == [("happiness", ""), ("sadness", "")]
    picture(tmp_path / "parts" / "train" / "angry" / "a.jpg")
    picture(tmp_path / "parts" / "test" / "calm" / "b.jpg")
    assert sorted(told(read_set(tmp_path / "parts"))) == [("anger", "train"), ("calm", "test")]
    assert told(read_set(tmp_path / "parts" / "train")) == [("anger", "train")]


def test_merge_is_by_name(tmp_path):
    fer2013(tmp_path / "fer")
    picture(tmp_path / "own" / "joy" / "a.jpg")
    picture(tmp_path / "own" / "bored" / "a.jpg")
    sets = [read_set(tmp_path / "fer"), read_set(tmp_path / "own")]
    assert class_list(sets) == ("anger", "disgust", "happiness", "neutral", "bored")


@pytest.mark.parametrize(
    ("given", "name"), [("Happy", "happiness"), ("1_fearful", "fear"), ("Mixed Up", "mixed_up")]
)
def test_names_on_the_common_list(given, name):
    assert canonical(given) == name


def test_unknown_layout_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="There is no"):
        read_set(tmp_path / "nowhere")
    with pytest.raises(InputError, match="layout of no expression data set") as caught:
        read_set(tmp_path)
    assert "rafdb" in caught.value.hint
