from __future__ import annotations

import pytest

from milmer_cli.datasets.deap.files import choose_format, duplicate_notes, find_deap_files


def test_find_deap_files_follows_links_once(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("s01.bdf", "S02.DAT", "s01_trial03.avi", "participant_ratings.csv", "notes.txt"):
        (data / name).write_bytes(b"x")
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(data, target_is_directory=True)
    (root / "loop").symlink_to(root, target_is_directory=True)
    files = find_deap_files(root)
    assert files.eeg == {
        1: {"bdf": root / "linked/s01.bdf"},
        2: {"dat": root / "linked/S02.DAT"},
    }
    assert files.video == {1: {3: root / "linked/s01_trial03.avi"}}
    assert files.ratings == root / "linked/participant_ratings.csv"
    assert files.duplicates == ()


def test_find_deap_files_uses_the_least_nested_of_equal_names(tmp_path):
    for folder in ("deep/er", "top"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "s01.bdf").write_bytes(b"x")
    files = find_deap_files(tmp_path)
    assert files.eeg[1]["bdf"] == tmp_path / "top/s01.bdf"
    assert files.duplicates == (tmp_path / "deep/er/s01.bdf",)


@pytest.mark.parametrize(
    ("source", "expected"), [("auto", "dat"), ("dat", "dat"), ("mat", "mat"), ("bdf", None)]
)
def test_choose_format(source, expected):
    assert choose_format({"mat", "dat"}, source) == expected


def test_duplicate_notes_is_one_sentence(tmp_path):
    for folder in ("a", "b/backup"):
        (tmp_path / folder).mkdir(parents=True)
        for trial in range(1, 41):
            (tmp_path / folder / f"s01_trial{trial:02d}.avi").write_bytes(b"x")
    (note,) = duplicate_notes(find_deap_files(tmp_path))
    assert note.startswith(
        "40 files are not used, because files of the same names were found before"
    )
    assert note.endswith("and 38 more.")
