"""EEGLAB recordings of MATLAB 5 and 7.3, with known data and marks."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from helpers import event_onsets
from milmer_cli.eeg.gaps import Gap, find_gaps
from milmer_cli.eeg.io import ReadOptions, open_eeg, signal_digests, source_files
from milmer_cli.errors import InputError

RATE_HZ, NAMES = 100.0, ("Fz", "Cz", "Pz")
EVENTS = (("boundary", 500.5, 0.0), ("mark", 901.0, 0.0), ("12", 301.0, 0.0))
"""Type, latency in samples from 1, and duration."""


@pytest.fixture
def data() -> np.ndarray:
    values = np.random.default_rng(0).normal(0, 10, (3, 1000)).astype(np.float32)
    values[0, [300, 900]] = 500.0
    return values


def _text(file: h5py.File, value: str) -> h5py.Dataset:
    codes = np.array([[ord(letter)] for letter in value], np.uint16)
    dataset = file.create_dataset(f"#refs#/{len(file['#refs#'])}", data=codes)
    dataset.attrs["MATLAB_class"] = np.bytes_("char")
    return dataset


def _number(file: h5py.File, value: float) -> h5py.Dataset:
    return file.create_dataset(f"#refs#/{len(file['#refs#'])}", data=np.array([[value]]))


def _references(datasets: list[h5py.Dataset]) -> np.ndarray:
    return np.array([[dataset.ref] for dataset in datasets], h5py.ref_dtype)


def write_set(
    path: Path, data: np.ndarray, fdt: str = "", as_fields: bool = False, **changes: float
):
    """Write a file of MATLAB 7.3 as EEGLAB does; with ``fdt``, the data are in that file."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_group("#refs#")
        eeg = file if as_fields else file.create_group("EEG")
        numbers = {"srate": RATE_HZ, "nbchan": 3, "pnts": data.shape[1], "trials": 1} | changes
        for name, value in numbers.items():
            eeg[name] = np.array([[float(value)]])
        eeg["chanlocs/labels"] = _references([_text(file, name) for name in NAMES])
        kinds, latencies, durations = zip(*EVENTS, strict=True)
        eeg["event/type"] = _references([_text(file, kind) for kind in kinds])
        eeg["event/latency"] = _references([_number(file, latency) for latency in latencies])
        eeg["event/duration"] = _references([_number(file, duration) for duration in durations])
        if fdt:
            eeg["data"] = np.array([[ord(letter)] for letter in fdt], np.uint16)
            data.T.astype("<f4").tofile(path.with_name(fdt))
        else:
            eeg["data"] = data.T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


@pytest.mark.parametrize("as_fields", [False, True])
@pytest.mark.parametrize("fdt", ["", "x.fdt"])
def test_open_eeglab_reads_matlab_7_3(tmp_path, data, fdt, as_fields):
    path = write_set(tmp_path / "x.set", data, fdt, as_fields)
    raw = open_eeg(path)
    assert tuple(raw.ch_names) == NAMES
    np.testing.assert_allclose(raw.get_data() * 1e6, data, rtol=1e-5)
    assert event_onsets(path, raw, "mark") == [9.0]
    assert event_onsets(path, raw, "12") == [3.0]
    (gap,) = find_gaps(raw)
    assert gap == Gap(pytest.approx(4.995), pytest.approx(4.995))
    cropped = raw.copy().crop(2.0)
    assert event_onsets(path, cropped, "mark") == [7.0]
    assert source_files(path, raw) == ((path, path.with_suffix(".fdt")) if fdt else (path,))
    renamed = write_set(tmp_path / "y.set", data, fdt and "y.fdt", as_fields)
    assert len(signal_digests(raw)) == 1
    assert signal_digests(raw) == signal_digests(open_eeg(renamed))


@pytest.mark.parametrize(("unit", "factor"), [("uV", 1.0), ("mV", 1e3), ("V", 1e6)])
@pytest.mark.parametrize("version", ["5", "7.3"])
def test_open_eeg_reads_eeglab_in_the_stated_unit(tmp_path, data, version, unit, factor):
    path = tmp_path / "x.set"
    if version == "5":
        eeg = {"srate": RATE_HZ, "nbchan": 3, "pnts": 1000, "trials": 1, "data": data}
        locations = np.array([(name,) for name in NAMES], dtype=[("labels", object)])
        empty = {name: np.zeros((0, 0)) for name in ("event", "icawinv")}
        extra = {"setname": "x", "xmin": 0.0, "ref": "common", "chanlocs": locations}
        savemat(path, {"EEG": eeg | extra | empty}, appendmat=False)
    else:
        write_set(path, data)
    raw = open_eeg(path, ReadOptions(unit=unit))
    np.testing.assert_allclose(raw.get_data() * 1e6, data * factor, rtol=1e-5)


def test_open_eeglab_uses_a_renamed_fdt_file(tmp_path, data):
    path = write_set(tmp_path / "old.set", data, "old.fdt").rename(tmp_path / "new.set")
    (tmp_path / "old.fdt").rename(tmp_path / "elsewhere.fdt")
    with pytest.raises(InputError, match=r"names the file old\.fdt, which does not") as caught:
        open_eeg(path)
    assert "new.fdt" in caught.value.hint
    (tmp_path / "elsewhere.fdt").rename(tmp_path / "new.fdt")
    np.testing.assert_allclose(open_eeg(path).get_data() * 1e6, data, rtol=1e-5)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_open_eeglab_rejects_epochs_and_other_sizes(tmp_path, data, version):
    path = tmp_path / "x.set"
    if version == "5":
        eeg = {"srate": RATE_HZ, "nbchan": 3, "pnts": 100, "trials": 10, "data": data}
        savemat(path, {"EEG": eeg}, appendmat=False)
    else:
        write_set(path, data, trials=10, pnts=100)
    with pytest.raises(InputError, match="contains 10 epochs instead of a continuous recording"):
        open_eeg(path)
    if version == "7.3":
        write_set(path, data, pnts=900)
        with pytest.raises(InputError, match=r"expected data of 3 channels and 900 samples"):
            open_eeg(path)


def test_open_eeglab_rejects_a_mat_file_without_eeg(tmp_path):
    savemat(tmp_path / "x.set", {"x": np.zeros(3)}, appendmat=False)
    with pytest.raises(InputError, match="not an EEGLAB recording: it lacks nbchan, pnts, srate"):
        open_eeg(tmp_path / "x.set")


def test_open_eeglab_survives_a_bit_that_crashes_scipy(tmp_path, data):
    path = tmp_path / "x.set"
    savemat(path, {"data": data.astype(float), "nbchan": 3.0}, appendmat=False)
    content = bytearray(path.read_bytes())
    content[176] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.set cannot be read .* crashed \(SIG"):
        open_eeg(path)


@pytest.mark.parametrize("member", ["chanlocs", "event", "data", "srate"])
def test_open_eeglab_follows_no_link_to_another_file(tmp_path, data, member):
    write_set(tmp_path / "other.set", data)
    path = write_set(tmp_path / "x.set", data)
    with h5py.File(path, "r+") as file:
        del file["EEG"][member]
        file["EEG"][member] = h5py.ExternalLink("other.set", f"EEG/{member}")
    with pytest.raises(InputError, match=f"{member} is a link to another file"):
        open_eeg(path)
