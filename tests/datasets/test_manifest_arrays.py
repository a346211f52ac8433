"""Rows of a manifest whose EEG is an array of a MATLAB file."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io

from helpers import read_mat_in_this_process
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.io import ReadOptions, open_eeg
from milmer_cli.errors import InputError

HEADER = (
    "participant,trial,stimulus,eeg,eeg_array,eeg_sfreq_hz,eeg_array_channels,eeg_unit,"
    "eeg_onset_s,eeg_event,label"
)


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    read_mat_in_this_process(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    data = rng.standard_normal((1280, 10, 3)) + 100 * np.arange(1, 4)
    scipy.io.savemat(tmp_path / "a.mat", {"x": data})
    return tmp_path


def _write(folder, *rows, name="trials.csv"):
    path = folder / name
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def _row(trial, array, channels="", unit="uV", rest=",,joy", participant="P1", rate="128"):
    return f'{participant},{trial},c{trial},a.mat,"{array}",{rate},{channels},{unit},{rest}'


def test_manifest_of_arrays_with_channel_names_from_options(folder):
    path = _write(
        folder, _row(1, "x(time,channel,2)", rest="2.5,,joy"), _row(2, "x(time,channel,1)")
    )
    options = ReadOptions(renames=tuple((str(n + 1), GENEVA[n]) for n in range(10)))
    recordings = ManifestRecordings(path, options=options)
    assert recordings.channels == GENEVA[:10]
    assert [trial.duration_s for trial in recordings.trials("P1")] == [7.5, 10.0]
    (block,) = recordings.eeg_blocks("P1")
    # 10 s and a gap of 1 s for each trial of the array, whatever rows there are
    assert block.onset_s == {1: 11 + 2.5, 2: 0.0}
    assert recordings.rates("P1") == [128.0]


def test_manifest_of_arrays_lists_all_errors(folder):
    (folder / "b.edf").write_bytes(b"x")
    path = _write(
        folder,
        _row(1, "x(time,channel,1)", unit=""),
        _row(2, "x(time,channel)y"),
        _row(3, "x(time,channel,1)", unit="furlong"),
        _row(4, "x(time,channel,1)", channels="Fp1;fp1"),
        _row(5, "x(time,channel,1)", rest=",stim,joy"),
        _row(6, "x(time,channel,1)", rate=""),
        _row(7, "", channels="Fp1"),
    )
    with pytest.raises(InputError) as caught:
        ManifestRecordings(path)
    for text in (
        "row 2: eeg_unit is empty",
        "row 3: eeg_array: expected a variable with its axes, such as seg(time,channel,17)",
        "row 4: eeg_unit: expected nV, uV, mV, V, got 'furlong'",
        "row 5: eeg_array_channels contains a name twice",
        "row 6: eeg_event cannot be combined with eeg_array",
        "row 7: eeg_sfreq_hz is empty",
        "row 8: eeg_sfreq_hz and eeg_array_channels describe an array, and eeg_array is empty",
    ):
        assert text in caught.value.message


def test_manifest_of_arrays_leaves_out_only_a_participant_that_cannot_be_read(folder):
    names = ";".join(GENEVA[:10])
    path = _write(
        folder,
        _row(1, "x(time,channel,1)", names),
        _row(1, "x(time,channel,4)", names, participant="P2"),
        _row(1, "y(time,channel,1)", names, participant="P3"),
    )
    recordings = ManifestRecordings(path)
    assert len(recordings.trials("P1")) == 1
    with pytest.raises(InputError, match=r"does not contain x\(time,channel,4\)"):
        recordings.trials("P2")
    with pytest.raises(InputError, match="has no array of numbers y"):
        recordings.trials("P3")


def test_manifest_of_arrays_depends_on_what_the_columns_state(folder):
    names = ";".join(GENEVA[:10])
    rows = (
        _row(1, "x(time,channel,1)", names),
        _row(1, "x(time,channel,2)", names),
        _row(1, "x(time,channel,1)", names, unit="mV"),
        _row(1, "x(time,channel,1)", names, rate="256"),
    )
    inputs = {ManifestRecordings(_write(folder, row)).eeg_inputs("P1") for row in rows}
    assert len(inputs) == len(rows)


def test_manifest_unit_of_other_files_is_that_of_the_row(folder, write_edf):
    data = 20 * np.random.default_rng(0).standard_normal((10, 1280))
    write_edf(folder / "b.edf", GENEVA[:10], data, unit="V", scale=1.0)
    path = folder / "trials.csv"
    path.write_text(
        "participant,trial,stimulus,eeg,eeg_unit,label\nP1,1,a,b.edf,uV,joy\n", encoding="utf-8"
    )
    (block,) = ManifestRecordings(path).eeg_blocks("P1")
    assert 1e6 * block.raw.get_data().std() == pytest.approx(20, rel=0.05)


def test_open_eeg_of_a_lone_mat_file_says_to_use_a_manifest(folder):
    with pytest.raises(InputError) as caught:
        open_eeg(folder / "a.mat")
    assert "--manifest" in caught.value.hint
    assert "eeg_array" in caught.value.hint
