from __future__ import annotations

import struct
from pathlib import Path

import mne
import numpy as np
import pytest

from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.io import ReadOptions, open_eeg, raw_from_microvolts, source_files
from milmer_cli.errors import InputError


def test_open_eeg_sets_channel_types(tmp_path):
    names = [*GENEVA, "EOG left", "ECG", "STATUS"]
    info = mne.create_info(names, 256.0, "eeg")
    raw = mne.io.RawArray(np.zeros((len(names), 512)), info, verbose="error")
    raw.save(tmp_path / "own_raw.fif", verbose="error")
    opened = open_eeg(tmp_path / "own_raw.fif")
    assert opened.get_channel_types()[31:] == ["eeg", "eog", "misc", "stim"]


def test_open_eeg_explains_any_exception_of_a_reader(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise AttributeError("'ndarray' object has no attribute 'get'")

    (tmp_path / "a.nxe").write_bytes(b"x")
    monkeypatch.setattr(mne.io, "read_raw", fail)
    with pytest.raises(InputError, match=r"a\.nxe cannot be read as EEG: 'ndarray' object"):
        open_eeg(tmp_path / "a.nxe")


def test_open_eeg_rejects_files_that_are_not_eeg(tmp_path):
    with pytest.raises(InputError, match="There is no EEG file"):
        open_eeg(tmp_path / "none.edf")
    (tmp_path / "a.edf").write_bytes(b"nonsense" * 100)
    with pytest.raises(InputError, match=r"a\.edf cannot be read as EEG"):
        open_eeg(tmp_path / "a.edf")
    (tmp_path / "a.xyz").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"a\.xyz cannot be read as EEG"):
        open_eeg(tmp_path / "a.xyz")
    (tmp_path / "b.edf").write_bytes(b"")
    with pytest.raises(InputError, match=r"b\.edf is empty"):
        open_eeg(tmp_path / "b.edf")
    (tmp_path / "c.eeg").write_bytes(b"samples")
    (tmp_path / "c.vhdr").write_text("header")
    with pytest.raises(InputError, match="without its header") as caught:
        open_eeg(tmp_path / "c.eeg")
    assert "c.vhdr" in caught.value.hint
    info = mne.create_info(["STATUS"], 256.0, "stim")
    raw = mne.io.RawArray(np.zeros((1, 512)), info, verbose="error")
    raw.save(tmp_path / "stim_raw.fif", verbose="error")
    with pytest.raises(InputError, match="has no EEG channel"):
        open_eeg(tmp_path / "stim_raw.fif")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("OpenBCI-RAW.txt", "%OpenBCI Raw EXG Data\n%Number of channels = 8\n", "a text file"),
        ("eeg.mat", "MATLAB", "a MATLAB file of another layout"),
        ("eeg.csv", "a,b", "a table does not state"),
        ("eeg.xdf", "XDF:", "a file of several streams"),
    ],
)
def test_open_eeg_says_why_a_format_cannot_be_read(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        open_eeg(tmp_path / name)
    assert str(tmp_path / name) in caught.value.message
    assert "BDF, EDF, GDF" in caught.value.hint


@pytest.mark.parametrize(
    "error", [AssertionError(), MemoryError(), RecursionError("x"), EOFError(), struct.error("x")]
)
def test_open_eeg_converts_errors_of_any_type(tmp_path, monkeypatch, error):
    def fail(*_, **__):
        raise error

    (tmp_path / "a.nxe").write_bytes(b"x")
    monkeypatch.setattr(mne.io, "read_raw", fail)
    with pytest.raises(InputError, match=r"a\.nxe cannot be read as EEG: (it|x)"):
        open_eeg(tmp_path / "a.nxe")


@pytest.mark.parametrize("sfreq", [1e-3, 1e9])
def test_open_eeg_rejects_an_impossible_sampling_rate(tmp_path, sfreq):
    raw_from_microvolts(np.zeros((2, 100)), sfreq, ["Fz", "Cz"]).save(
        tmp_path / "x_raw.fif", verbose="error"
    )
    with pytest.raises(InputError, match="expected a sampling rate of 1 to 1e"):
        open_eeg(tmp_path / "x_raw.fif")


def test_open_eeg_applies_bids_sidecars(tmp_path):
    path = _bids_recording(tmp_path)
    raw = open_eeg(path)
    assert raw.info["bads"] == ["Cz"]
    assert raw.info["line_freq"] == 60.0


def test_open_eeg_applies_bids_sidecars_to_renamed_channels(tmp_path):
    path = _bids_recording(tmp_path)
    raw = open_eeg(path, ReadOptions(renames=(("Cz", "C4"),)))
    assert raw.info["bads"] == ["C4"]


def test_source_files_include_bids_sidecars(tmp_path):
    path = _bids_recording(tmp_path)
    names = [file.name for file in source_files(path, open_eeg(path))]
    start = "sub-01_task-film"
    assert names == [f"{start}_eeg.fif", f"{start}_eeg.json", f"{start}_channels.tsv"]


def test_open_eeg_rejects_a_damaged_bids_sidecar(tmp_path):
    path = _bids_recording(tmp_path)
    for content in ("{", "[" * 100_000, "3"):
        path.with_suffix(".json").write_text(content)
        with pytest.raises(InputError, match=r"A BIDS sidecar of .* cannot be read"):
            open_eeg(path)
    path.with_suffix(".json").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"A BIDS sidecar of .* cannot be read"):
        open_eeg(path)


def _bids_recording(folder: Path) -> Path:
    data = np.random.default_rng(0).normal(0, 10, (3, 512))
    path = folder / "sub-01_task-film_eeg.fif"
    raw_from_microvolts(data, 128.0, ["Fz", "Cz", "Pz"]).save(path, verbose="error")
    path.with_suffix(".json").write_text('{"PowerLineFrequency": 60, "EEGReference": "CMS"}')
    table = folder / "sub-01_task-film_channels.tsv"
    table.write_text("name\ttype\tstatus\nFz\tEEG\tgood\nCz\tEEG\tbad\nPz\tEEG\tn/a\n")
    return path
