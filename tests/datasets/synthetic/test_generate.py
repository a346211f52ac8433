from __future__ import annotations

import csv
import hashlib
from dataclasses import replace

import pytest
from PIL import Image
from threadpoolctl import threadpool_limits

from milmer_cli.datasets.synthetic import (
    TRUTH_NAME,
    SyntheticConfig,
    generate_dataset,
    read_truth,
)
from milmer_cli.errors import InputError

TINY = SyntheticConfig(participants=2, trials=1, stimulus_s=1.0, expression_images=1)
BARE = SyntheticConfig(
    participants=1, trials=2, stimulus_s=1.0, video=False, formats=("bdf",), expression_images=0
)


def _hashes(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_generate_dataset_same_config_same_files(tmp_path, capfd):
    """Neither the number of processes nor of BLAS threads changes a bit, and nothing is printed."""
    with threadpool_limits(limits=2):
        generate_dataset(tmp_path / "one", TINY, workers=1)
    generate_dataset(tmp_path / "two", TINY, workers=2)
    assert _hashes(tmp_path / "one") == _hashes(tmp_path / "two")
    assert capfd.readouterr() == ("", "")


def test_generate_dataset_another_seed_other_files(tmp_path):
    for seed in (0, 1):
        generate_dataset(tmp_path / str(seed), replace(TINY, seed=seed), workers=1)
    first, second = (_hashes(tmp_path / str(seed)) for seed in (0, 1))
    assert set(first) == set(second)
    assert all(first[name] != second[name] for name in first)


def test_generate_dataset_has_the_folders_of_deap(generated):
    top = {path.name for path in generated.root.iterdir()}
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
        names = sorted(path.name for path in (generated.root / folder).iterdir())
        assert names == [f"s{number:02d}.{kind}" for number in (1, 2, 24, 29)]


def test_read_truth_returns_what_was_generated(generated):
    assert read_truth(generated.root / TRUTH_NAME) == generated.truth


def test_write_ratings_header_byte_order_mark_and_blanks(generated):
    path = generated.root / "metadata_csv" / "participant_ratings.csv"
    assert path.read_bytes().startswith(b"\xef\xbb\xbfParticipant_id,Trial,Experiment_id,")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    blank = {row["Participant_id"] for row in rows if row["Familiarity"] == ""}
    assert blank == {"2"}
    expected = [
        (p.number, t.trial, t.stimulus, *t.ratings)
        for p in generated.truth.participants
        for t in p.trials
    ]
    columns = ("Participant_id", "Trial", "Experiment_id")
    rated = ("Valence", "Arousal", "Dominance", "Liking")
    read = [(*(int(row[c]) for c in columns), *(float(row[c]) for c in rated)) for row in rows]
    assert read == expected


def test_write_expression_images_one_folder_per_class(generated):
    classes = sorted((generated.root / "expressions" / "train").iterdir())
    assert [path.name for path in classes] == ["angry", "calm", "happy", "neutral", "sad"]
    for folder in classes:
        images = sorted(folder.glob("*.jpg"))
        assert len(images) == 2
        for image in images:
            with Image.open(image) as opened:
                assert opened.size == (200, 200)
                assert opened.mode == "RGB"


def test_generate_dataset_writes_only_the_requested_files(tmp_path):
    generate_dataset(tmp_path / "bare", BARE, workers=1)
    folders = {path.split("/")[0] for path in _hashes(tmp_path / "bare")}
    assert folders == {"data_original", "metadata_csv", "truth.json"}


def test_generate_dataset_keeps_a_finished_set_and_rewrites_an_unfinished_one(tmp_path):
    root = tmp_path / "set"
    generate_dataset(root, BARE, workers=1)
    expected = _hashes(root)
    bdf = root / "data_original" / "s01.bdf"
    written_ns = bdf.stat().st_mtime_ns
    generate_dataset(root, BARE, workers=1)
    assert bdf.stat().st_mtime_ns == written_ns
    (root / "truth.json").rename(root / "truth-unfinished.json")
    bdf.write_bytes(b"truncated")
    generate_dataset(root, BARE, workers=1)
    assert _hashes(root) == expected


def test_generate_dataset_never_overwrites_other_files(tmp_path):
    real = tmp_path / "data_original" / "s01.bdf"
    real.parent.mkdir()
    real.write_bytes(b"a real recording")
    with pytest.raises(InputError, match="already contains files"):
        generate_dataset(tmp_path, BARE, workers=1)
    assert real.read_bytes() == b"a real recording"
    assert [path.name for path in tmp_path.iterdir()] == ["data_original"]

    generate_dataset(tmp_path / "mine", BARE, workers=1)
    other = SyntheticConfig(participants=1, trials=2, stimulus_s=2.0, video=False, formats=("bdf",))
    with pytest.raises(InputError, match="already contains files"):
        generate_dataset(tmp_path / "mine", other, workers=1)


@pytest.mark.parametrize("planted", ["data_original", "data_original/s01.bdf"])
def test_generate_dataset_refuses_a_planted_link(tmp_path, planted):
    root, elsewhere = tmp_path / "set", tmp_path / "elsewhere"
    generate_dataset(root, BARE, workers=1)
    (root / "truth.json").rename(root / "truth-unfinished.json")
    (root / planted).rename(elsewhere)
    expected = sorted(path.stat().st_mtime_ns for path in [elsewhere, *elsewhere.rglob("*")])
    (root / planted).symlink_to(elsewhere)
    with pytest.raises(InputError, match="is a link"):
        generate_dataset(root, BARE, workers=1)
    written = sorted(path.stat().st_mtime_ns for path in [elsewhere, *elsewhere.rglob("*")])
    assert written == expected


def test_generate_dataset_names_an_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written to"):
        generate_dataset(tmp_path / "file" / "below", BARE, workers=1)
