"""Files with another size than their header states; the same check serves all commands."""

from __future__ import annotations

import struct
from pathlib import Path

import edfio
import numpy as np
import pytest
from scipy.io import savemat

from helpers import write_gdf
from milmer_cli.eeg.biosemi import open_bdf
from milmer_cli.eeg.file_size import unclosed_warning
from milmer_cli.eeg.io import open_eeg, raw_from_microvolts
from milmer_cli.errors import InputError

RATE_HZ, SECONDS = 100, 10
NAMES = ("Fz", "Cz", "Pz")
DATA = np.random.default_rng(0).normal(0, 10, (3, RATE_HZ * SECONDS))


def write_edf(path: Path) -> Path:
    write, signal = (
        (edfio.Bdf, edfio.BdfSignal) if path.suffix == ".bdf" else (edfio.Edf, edfio.EdfSignal)
    )
    signals = [
        signal(row, RATE_HZ, label=name, physical_dimension="uV")
        for name, row in zip(NAMES, DATA, strict=True)
    ]
    write(signals).write(path)
    return path


def write_brainvision(path: Path, points: bool = True) -> Path:
    """Write a header, markers and data of the same name."""
    stem = path.stem
    path.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\n"
        f"DataFile={stem}.eeg\nMarkerFile={stem}.vmrk\nDataFormat=BINARY\n"
        "DataOrientation=MULTIPLEXED\nNumberOfChannels=3\nSamplingInterval=10000\n"
        + (f"DataPoints={DATA.shape[1]}\n" if points else "")
        + "[Binary Infos]\nBinaryFormat=INT_16\n[Channel Infos]\n"
        + "".join(f"Ch{i}={name},,0.1,uV\n" for i, name in enumerate(NAMES, start=1))
    )
    path.with_suffix(".vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n[Common Infos]\n"
        f"DataFile={stem}.eeg\n[Marker Infos]\nMk1=Stimulus,S  7,901,1,0\n"
    )
    (DATA.T * 10).astype("<i2").tofile(path.with_suffix(".eeg"))
    return path


def write_set(path: Path) -> Path:
    eeg = {
        **{"srate": float(RATE_HZ), "nbchan": 3, "pnts": DATA.shape[1], "trials": 1},
        **{"xmin": 0.0, "xmax": 9.99, "data": path.with_suffix(".fdt").name, "event": []},
        "chanlocs": np.array([(name,) for name in NAMES], dtype=[("labels", object)]),
        **{"icaweights": [], "icawinv": [], "icasphere": [], "epoch": [], "ref": "common"},
        "times": np.arange(DATA.shape[1]) * 10.0,
    }
    savemat(path, {"EEG": eeg}, appendmat=False)
    DATA.T.astype("<f4").tofile(path.with_suffix(".fdt"))
    return path


def _write_gdf(path: Path) -> Path:
    return write_gdf(path, NAMES, DATA)


def write_fif(path: Path) -> Path:
    raw_from_microvolts(DATA, RATE_HZ, NAMES).save(path, verbose="error")
    return path


WRITERS = {
    "x.edf": (write_edf, "x.edf"),
    "x.bdf": (write_edf, "x.bdf"),
    "x.gdf": (_write_gdf, "x.gdf"),
    "x_raw.fif": (write_fif, "x_raw.fif"),
    "x.vhdr": (write_brainvision, "x.eeg"),
    "x.set": (write_set, "x.fdt"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_open_eeg_reads_a_file_of_the_stated_size(tmp_path, name):
    raw = open_eeg(WRITERS[name][0](tmp_path / name))
    data = raw.get_data(NAMES, verbose="error") * 1e6
    np.testing.assert_allclose(data, DATA, atol=0.11)


def _cut(content: bytes) -> bytes:
    return content[: len(content) * 6 // 10]


def _insert(content: bytes) -> bytes:
    return content[: len(content) // 2] + b"\x07" * 6 + content[len(content) // 2 :]


def _remove(content: bytes) -> bytes:
    return content[: len(content) // 2] + content[len(content) // 2 + 6 :]


@pytest.mark.parametrize("change", [_cut, _insert, _remove])
@pytest.mark.parametrize("name", WRITERS)
def test_open_eeg_rejects_a_file_of_another_size(tmp_path, name, change):
    write, data_name = WRITERS[name]
    path, data = write(tmp_path / name), tmp_path / data_name
    data.write_bytes(change(data.read_bytes()))
    with pytest.raises(InputError, match=r"truncated|longer|damaged") as caught:
        open_eeg(path)
    assert data_name in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", [name for name in WRITERS if not name.endswith(".fif")])
def test_open_eeg_rejects_a_file_with_bytes_after_its_end(tmp_path, name):
    write, data_name = WRITERS[name]
    path, data = write(tmp_path / name), tmp_path / data_name
    data.write_bytes(data.read_bytes() + b"\0" * 6000)
    with pytest.raises(InputError, match="longer than its header states"):
        open_eeg(path)


def test_open_eeg_rejects_brainvision_data_that_end_before_the_last_marker(tmp_path):
    path = write_brainvision(tmp_path / "x.vhdr", points=False)
    data = path.with_suffix(".eeg")
    data.write_bytes(data.read_bytes()[: 6 * 600])
    with pytest.raises(InputError, match=r"marker at sample 901, got 600"):
        open_eeg(path)


@pytest.mark.parametrize("rest", [0, 100])
@pytest.mark.parametrize("suffix", ["edf", "bdf"])
def test_open_eeg_uses_the_whole_records_of_an_unclosed_file(tmp_path, suffix, rest):
    path = write_edf(tmp_path / f"x.{suffix}")
    content = bytearray(path.read_bytes())
    content[236:244] = b"-1      "
    record = RATE_HZ * 3 * (3 if suffix == "bdf" else 2)
    path.write_bytes(content[: len(content) - 2 * record + rest])
    raw = open_eeg(path)
    assert raw.n_times == 8 * RATE_HZ
    np.testing.assert_allclose(raw.get_data(NAMES) * 1e6, DATA[:, : raw.n_times], atol=0.01)
    assert "the 8 whole data records are used" in unclosed_warning(path)
    assert ("incomplete one of 100 bytes" in unclosed_warning(path)) == bool(rest)


def test_unclosed_warning_is_empty_for_a_closed_file(tmp_path):
    assert unclosed_warning(write_edf(tmp_path / "x.edf")) == ""
    assert unclosed_warning(write_fif(tmp_path / "x_raw.fif")) == ""


@pytest.mark.parametrize("position", [185, 237, 245, 253, *range(256, 256 * 4, 97)])
@pytest.mark.parametrize("suffix", ["edf", "bdf"])
def test_open_eeg_names_the_file_of_a_header_with_a_wrong_letter(tmp_path, suffix, position):
    path = write_edf(tmp_path / f"x.{suffix}")
    content = bytearray(path.read_bytes())
    content[position] = ord("x")
    path.write_bytes(content)
    for open_file in (open_eeg, open_bdf):
        try:
            open_file(path)
        except InputError as error:
            assert str(path) in error.message  # noqa: PT017 - a wrong letter may do no harm


def test_open_eeg_rejects_a_truncated_cnt_file(tmp_path):
    content = bytearray(900 + 75 * 3 + 6000)
    content[:12] = b"Version 3.0\0"
    struct.pack_into("<H", content, 370, 3)
    struct.pack_into("<i", content, 886, 900 + 75 * 3 + 60_000)
    (tmp_path / "x.cnt").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.cnt is truncated: expected 61,125 bytes"):
        open_eeg(tmp_path / "x.cnt")
