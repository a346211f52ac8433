"""Tables and messages of `--check` for the rows that a reader lists."""

from __future__ import annotations

from dataclasses import replace

import pytest

from milmer_cli.datasets.listing import DatasetListing
from milmer_cli.datasets.open_recordings import open_listing
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.errors import InputError
from milmer_cli.preparation.input_check import check_listing
from milmer_cli.settings import load_settings


@pytest.fixture
def listing(tmp_path, write_edf, make_eeg):
    """``listing(**cells)``: two trials of one participant; ``cells`` replace those of both."""
    write_edf(tmp_path / "a.edf", GENEVA, make_eeg(12.0))

    def list_rows(**cells: object) -> DatasetListing:
        rows = [
            {
                "participant": "P1",
                "trial": trial,
                "stimulus": trial,
                "eeg": tmp_path / "a.edf",
                "eeg_onset_s": trial,
                "duration_s": 4,
                **cells,
            }
            for trial in (1, 2)
        ]
        return DatasetListing("ABC", tmp_path, tuple(rows))

    return list_rows


def test_check_listing_counts_labels_if_there_are_no_ratings(listing):
    check = check_listing(listing(label="Calm"), load_settings())
    assert check.columns[-2:] == ("Calm", "no class")
    assert check.rows[0][-2:] == ("2", "0")
    assert any("Calm 2" in note and "data.target=label" in note for note in check.notes)

    rated = check_listing(listing(label="Calm", valence=7, arousal=3), load_settings())
    assert rated.columns[-5:-1] == ("HAHV", "LAHV", "LALV", "HALV")


def test_check_listing_has_its_notes_in_json_and_no_finding_twice(listing):
    listed = replace(listing(valence=5, arousal=3), findings=("A clip is missing.",))
    check = check_listing(listed, load_settings())
    document = check.to_json()
    assert check.notes == ("A clip is missing.", *document["notes"])
    assert document["findings"] == ["A clip is missing."]
    assert any("exactly 5" in note for note in document["notes"])


def test_listing_errors_do_not_name_a_file_that_does_not_exist(listing, tmp_path):
    wrong = listing(label="Calm", eeg_onset_s=100)
    with pytest.raises(InputError) as caught:
        open_listing(wrong, load_settings().data)
    assert "recordings.csv" not in caught.value.message
    assert f"`milmer manifest` writes for {tmp_path} has 2 errors:" in caught.value.message
    check = check_listing(wrong, load_settings())
    assert not check.usable
    assert check.missing[-1].why.endswith(".")
