from __future__ import annotations

import csv
import hashlib

import pytest
from PIL import Image

from milmer_cli.demo import DemoSpec, DemoTruth, make_demo_data
from milmer_cli.errors import InputError

TINY = DemoSpec(participants=2, trials=1, stimulus_s=1.0, expression_images=1)
BARE = DemoSpec(
    participants=1, trials=2, stimulus_s=1.0, video=False, formats=("bdf",), expression_images=0
)


def _hashes(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_same_spec_same_files_whatever_the_workers_and_silently(tmp_path, capfd):
    make_demo_data(tmp_path / "one", TINY, workers=1)
    make_demo_data(tmp_path / "two", TINY, workers=2)
    other = DemoSpec(participants=2, trials=1, stimulus_s=1.0, expression_images=1, seed=1)
    make_demo_data(tmp_path / "other", other, workers=1)
    first = _hashes(tmp_path / "one")
    assert first == _hashes(tmp_path / "two")
    different = _hashes(tmp_path / "other")
    assert set(first) == set(different)
    assert all(first[name] != different[name] for name in first)
    assert capfd.readouterr() == ("", "")


def test_files_are_where_deap_has_them(made):
    top = {path.name for path in made.root.iterdir()}
    assert top == {
        "data_original",
        "data_preprocessed_python",
        "data_preprocessed_matlab",
        "face_video",
        "metadata_csv",
        "expressions",
        "truth.json",
    }
    for folder, kind in (
        ("data_original", "bdf"),
        ("data_preprocessed_python", "dat"),
        ("data_preprocessed_matlab", "mat"),
    ):
        names = sorted(path.name for path in (made.root / folder).iterdir())
        assert names == [f"s{number:02d}.{kind}" for number in (1, 2, 24, 29)]


def test_the_truth_is_read_back_as_it_was(made):
    assert DemoTruth.load(made.root) == made.truth


def test_ratings_have_deaps_header_mark_and_blanks(made):
    path = made.root / "metadata_csv" / "participant_ratings.csv"
    assert path.read_bytes().startswith(b"\xef\xbb\xbfParticipant_id,Trial,Experiment_id,")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    blank = {row["Participant_id"] for row in rows if row["Familiarity"] == ""}
    assert blank == {"2"}
    expected = [
        (p.number, t.trial, t.stimulus, *t.ratings)
        for p in made.truth.participants
        for t in p.trials
    ]
    columns = ("Participant_id", "Trial", "Experiment_id")
    rated = ("Valence", "Arousal", "Dominance", "Liking")
    read = [(*(int(row[c]) for c in columns), *(float(row[c]) for c in rated)) for row in rows]
    assert read == expected


def test_there_is_a_folder_of_face_images_for_each_class(made):
    classes = sorted((made.root / "expressions" / "train").iterdir())
    assert [path.name for path in classes] == ["angry", "calm", "happy", "neutral", "sad"]
    for folder in classes:
        images = sorted(folder.glob("*.jpg"))
        assert len(images) == 2
        for image in images:
            with Image.open(image) as opened:
                assert opened.size == (200, 200)
                assert opened.mode == "RGB"


def test_only_what_is_asked_for_is_made(tmp_path):
    make_demo_data(tmp_path / "bare", BARE, workers=1)
    made = {path.split("/")[0] for path in _hashes(tmp_path / "bare")}
    assert made == {"data_original", "metadata_csv", "truth.json"}


def test_a_finished_set_is_left_and_an_unfinished_one_made_again(tmp_path):
    root = tmp_path / "set"
    make_demo_data(root, BARE, workers=1)
    whole = _hashes(root)
    bdf = root / "data_original" / "s01.bdf"
    changed = bdf.stat().st_mtime_ns
    make_demo_data(root, BARE, workers=1)
    assert bdf.stat().st_mtime_ns == changed
    (root / "truth.json").rename(root / "truth-unfinished.json")
    bdf.write_bytes(b"half")
    make_demo_data(root, BARE, workers=1)
    assert _hashes(root) == whole


def test_nothing_is_written_over_that_is_not_this_data_set(tmp_path):
    real = tmp_path / "data_original" / "s01.bdf"
    real.parent.mkdir()
    real.write_bytes(b"a real recording")
    with pytest.raises(InputError, match="holds something else"):
        make_demo_data(tmp_path, BARE, workers=1)
    assert real.read_bytes() == b"a real recording"
    assert [path.name for path in tmp_path.iterdir()] == ["data_original"]

    make_demo_data(tmp_path / "mine", BARE, workers=1)
    other = DemoSpec(participants=1, trials=2, stimulus_s=2.0, video=False, formats=("bdf",))
    with pytest.raises(InputError, match="holds something else"):
        make_demo_data(tmp_path / "mine", other, workers=1)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written to"):
        make_demo_data(tmp_path / "file" / "below", BARE, workers=1)
