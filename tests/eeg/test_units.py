from __future__ import annotations

import edfio
import numpy as np
import pytest

from helpers import event_onsets
from milmer_cli.eeg.io import open_eeg
from milmer_cli.eeg.units import UNITS, parse_unit

MICRO = ("uV", "UV", "uv", "\u00b5V", "\u03bcV", "microvolts", "", " ")
SPELLINGS = {
    **dict.fromkeys(MICRO, "uV"),
    **{"nV": "nV", "NV": "nV", "mV": "mV", "V": "V", "\u00c2\u00b5V": "uV", "\x83\xcaV": "uV"},
}
DATA = np.random.default_rng(0).normal(0, 10, (2, 1000))


@pytest.mark.parametrize("text", SPELLINGS)
def test_parse_unit(text):
    assert parse_unit(text) == SPELLINGS[text]


@pytest.mark.parametrize("text", ["C", "BPM", "%", "uS", "Ohm", "Boolean"])
def test_parse_unit_of_another_quantity(text):
    assert parse_unit(text) is None


@pytest.mark.parametrize("suffix", ["edf", "bdf"])
@pytest.mark.parametrize("unit", [*MICRO[:-1], "nV", "mV", "V"])
def test_open_eeg_reads_every_spelling_in_edf_headers(tmp_path, unit, suffix):
    path = _write_edf(tmp_path / f"x.{suffix}")
    for encoding in ("utf-8", "latin-1"):
        try:
            field = unit.encode(encoding)
        except UnicodeEncodeError:
            continue
        content = path.read_bytes()
        start = 256 + 2 * 96  # after the labels and transducers
        header = content[:start] + field.ljust(8)[:8] * 2 + content[start + 16 :]
        (tmp_path / f"y.{suffix}").write_bytes(header)
        data = open_eeg(tmp_path / f"y.{suffix}").get_data(["Fz", "Cz"])
        np.testing.assert_allclose(data / UNITS[parse_unit(unit)], DATA, atol=0.01)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("unit", [*MICRO[:-2], "", "nV", "mV", "V"])
def test_open_eeg_reads_every_spelling_in_brainvision_headers(tmp_path, unit, encoding):
    if unit == "\u03bcV" and encoding == "latin-1":
        pytest.skip("Latin-1 has no Greek letters")
    header = (
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=x.eeg\n"
        "MarkerFile=x.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\nNumberOfChannels=2\n"
        f"SamplingInterval=10000\n[Binary Infos]\nBinaryFormat=INT_16\n[Channel Infos]\n"
        f"Ch1=Fz,,0.01,{unit}\nCh2=Cz,,0.01,{unit}\n"
    )
    (tmp_path / "x.vhdr").write_bytes(header.encode(encoding))
    marker = "Brain Vision Data Exchange Marker File, Version 1.0\n[Marker Infos]\n"
    (tmp_path / "x.vmrk").write_text(marker)
    (DATA.T * 100).astype("<i2").tofile(tmp_path / "x.eeg")
    data = open_eeg(tmp_path / "x.vhdr").get_data(["Fz", "Cz"])
    np.testing.assert_allclose(data / UNITS[parse_unit(unit)], DATA, atol=0.011)


def _write_edf(path):
    write, signal = (
        (edfio.Bdf, edfio.BdfSignal) if path.suffix == ".bdf" else (edfio.Edf, edfio.EdfSignal)
    )
    names = ("Fz", "Cz")
    write([signal(row, 100, label=n) for n, row in zip(names, DATA, strict=True)]).write(path)
    return path


def test_open_eeg_keeps_the_numbers_of_a_trigger_channel_without_a_unit(tmp_path):
    triggers = np.zeros(1000)
    triggers[300:305] = 12
    signals = [
        edfio.EdfSignal(DATA[0], 100, label="Fz", physical_dimension="uV"),
        edfio.EdfSignal(triggers, 100, label="STI 014", physical_range=(-32768, 32767)),
    ]
    path = tmp_path / "x.edf"
    edfio.Edf(signals).write(path)
    assert event_onsets(path, open_eeg(path), "12") == [3.0]
