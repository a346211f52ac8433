from __future__ import annotations

import pytest

from milmer_cli.eeg.bids_sidecars import find_sidecars, read_sidecars
from milmer_cli.errors import InputError


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "data/sub-01/ses-1/eeg/sub-01_ses-1_task-film_run-1_eeg.edf"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def _write(recording, level, name, text):
    path = recording.parents[level] / name
    path.write_text(text, encoding="utf-8")
    return path


def test_find_sidecars_returns_those_that_apply_with_the_nearest_last(recording):
    expected = [
        _write(recording, 3, "eeg.json", "{}"),
        _write(recording, 3, "task-film_eeg.json", "{}"),
        _write(recording, 2, "sub-01_task-film_eeg.json", "{}"),
        _write(recording, 0, "sub-01_ses-1_task-film_run-1_eeg.json", "{}"),
    ]
    for level, name in ((4, "eeg.json"), (3, "task-other_eeg.json"), (2, "sub-02_eeg.json")):
        _write(recording, level, name, "{}")
    _write(recording, 3, "task-film_meg.json", "{}")
    assert find_sidecars(recording, "eeg", ".json") == expected


def test_read_sidecars_merges_properties_and_takes_the_nearest_table(recording):
    _write(recording, 3, "eeg.json", '{"PowerLineFrequency": 60, "EEGReference": "Cz"}')
    _write(recording, 1, "sub-01_ses-1_eeg.json", '{"PowerLineFrequency": 50}')
    _write(recording, 3, "task-film_channels.tsv", "name\ttype\tstatus\nOz\tEEG\tbad\n")
    table = "sub-01_ses-1_task-film_channels.tsv"
    _write(recording, 0, table, "name\ttype\tunits\tstatus\nFp1\tVEOG\tuV\tBad\nFp2\tn/a\n")
    sidecars = read_sidecars(recording)
    assert sidecars.line_freq_hz == 50.0
    assert sidecars.properties["EEGReference"] == "Cz"
    assert (sidecars.bads, sidecars.types) == (("Fp1",), {"Fp1": "eog"})
    assert [channel.unit for channel in sidecars.channels] == ["uV", ""]


@pytest.mark.parametrize("value", ["true", '"n/a"', "NaN", "0", "-50", "1e9", "[50]", "null"])
def test_read_sidecars_ignores_an_impossible_line_frequency(recording, value):
    _write(recording, 3, "eeg.json", f'{{"PowerLineFrequency": {value}}}')
    assert read_sidecars(recording).line_freq_hz is None


def test_read_sidecars_rejects_a_huge_table(recording):
    _write(recording, 3, "channels.tsv", "name\n" + "x" * (2**23))
    with pytest.raises(InputError, match=r"A BIDS sidecar of .* \(it has more than 8 MiB\)"):
        read_sidecars(recording)
