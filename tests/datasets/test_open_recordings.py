from __future__ import annotations

import pytest

from milmer_cli.datasets.deap.recordings import DeapRecordings
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.datasets.open_recordings import open_recordings
from milmer_cli.errors import InputError
from milmer_cli.settings import load_settings


def data(*overrides):
    return load_settings(overrides=overrides).data


@pytest.fixture
def deap(tmp_path, write_bdf, write_ratings):
    """A folder with two participants; their content is not read."""
    for name in ("s01", "s02"):
        (tmp_path / f"{name}.bdf").touch()
    ratings = [(1, 7, (5, 5, 5, 5))]
    write_ratings(tmp_path / "participant_ratings.csv", {1: ratings, 2: ratings})
    return tmp_path


def test_open_recordings_reads_a_folder_as_deap(deap):
    recordings = open_recordings(deap, data("data.participants=2", "data.eeg_channels='Fp1,Cz'"))
    assert isinstance(recordings, DeapRecordings)
    assert recordings.participants() == ["s02"]
    assert recordings.channels == ("Fp1", "Cz")


def test_open_recordings_reads_a_file_as_a_manifest(tmp_path, recording_files):
    table = tmp_path / "table.csv"
    table.write_text(
        "participant,trial,stimulus,eeg,eeg_onset_s,video,video_onset_s,duration_s,label\n"
        f"P1,1,a,{recording_files / 'cap.edf'},0,,,6,joy\n"
    )
    recordings = open_recordings(table, data("data.eeg_channels='Fp1;Cz'"))
    assert isinstance(recordings, ManifestRecordings)
    assert recordings.participants() == ["P1"]
    assert recordings.channels == ("Fp1", "Cz")


def test_open_recordings_refuses_options_that_do_not_apply_to_deap(deap):
    with pytest.raises(InputError, match=r"data.eeg_unit.* cannot be combined with --deap-root"):
        open_recordings(deap, data("data.eeg_unit=mV"))


def test_open_recordings_states_what_it_expects(tmp_path):
    with pytest.raises(InputError, match=r"There is no data set .*nowhere: expected the folder of"):
        open_recordings(tmp_path / "nowhere", data())
