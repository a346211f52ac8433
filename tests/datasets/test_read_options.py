from __future__ import annotations

import edfio
import mne
import numpy as np
import pytest

from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.datasets.read_options import read_options
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.io import AS_RECORDED, ReadOptions, open_eeg
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import DataSettings

DATA = np.random.default_rng(0).normal(0, 20, (3, 1280))
"""(n_channels, n_samples), microvolts."""


def test_read_options_reads_names_channels_and_unit(tmp_path):
    assert read_options(DataSettings()) == AS_RECORDED
    path = tmp_path / "names.csv"
    path.write_text("channel,name\nEXG Channel 0,Fp1\n# note\nEXG Channel 1,Fp2\n")
    settings = DataSettings(channels_file=str(path), eeg_unit="mV", eeg_channels="Fp2; Fp1")
    renames = (("EXG Channel 0", "Fp1"), ("EXG Channel 1", "Fp2"))
    assert read_options(settings) == ReadOptions(("Fp2", "Fp1"), renames, "mV")


def test_read_options_finds_the_table_in_the_home_folder(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    (tmp_path / "names.csv").write_text("channel,name\nEXG Channel 0,Fp1\n")
    options = read_options(DataSettings(channels_file="~/names.csv"))
    assert options == ReadOptions((), (("EXG Channel 0", "Fp1"),), "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("channel\na\n", "column name is missing"),
        ("channel,name\na,\n", "row 2: name is empty"),
        ("channel,name\na,Fp1\nA,Fp2\n", "row 3: the channel A occurs more than once"),
    ],
)
def test_read_options_rejects_a_wrong_table(tmp_path, text, message):
    path = tmp_path / "names.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_options(DataSettings(channels_file=str(path)))


@pytest.mark.parametrize(
    ("renames", "message"),
    [
        ((("none", "Fp1"),), "has none of the channels of the --channels file"),
        ((("a", "C"),), "gives two channels of .* the name C"),
    ],
)
def test_open_eeg_rejects_wrong_new_names(tmp_path, renames, message):
    _write_fif(tmp_path / "x_raw.fif")
    with pytest.raises(InputError, match=message):
        open_eeg(tmp_path / "x_raw.fif", ReadOptions(renames=renames))


def _write_fif(path):
    raw = mne.io.RawArray(DATA, mne.create_info(["a", "b", "c"], 256.0, "eeg"), verbose="error")
    raw.save(path, verbose="error")


def _write_edf(path):
    signals = [
        edfio.EdfSignal(row, 256, label=name, physical_dimension="mV", physical_range=(-200, 200))
        for name, row in zip("abc", DATA, strict=True)
    ]
    edfio.Edf(signals).write(path)


def _write_brainvision(path):
    lines = ["Brain Vision Data Exchange Header File Version 1.0", "[Common Infos]"]
    lines += ["DataFile=x.eeg", "DataFormat=BINARY", "DataOrientation=MULTIPLEXED"]
    lines += ["NumberOfChannels=3", "SamplingInterval=3906.25", "[Binary Infos]"]
    lines += ["BinaryFormat=IEEE_FLOAT_32", "[Channel Infos]"]
    lines += [f"Ch{number}={name},,1,nV" for number, name in enumerate("abc", start=1)]
    path.write_text("\n".join(lines), encoding="utf-8")
    path.with_suffix(".eeg").write_bytes(DATA.T.astype("<f4").tobytes())


@pytest.mark.parametrize(
    ("name", "write"),
    [("x_raw.fif", _write_fif), ("x.edf", _write_edf), ("x.vhdr", _write_brainvision)],
)
@pytest.mark.parametrize(("unit", "factor"), [("uV", 1.0), ("mV", 1e3), ("V", 1e6)])
def test_open_eeg_reads_numbers_in_the_stated_unit(tmp_path, name, write, unit, factor):
    write(tmp_path / name)
    options = ReadOptions(renames=(("a", "Fp1"), ("B", "Fp2")), unit=unit)
    raw = open_eeg(tmp_path / name, options)
    assert raw.ch_names == ["Fp1", "Fp2", "c"]
    microvolts = raw.get_data() * 1e6
    np.testing.assert_allclose(microvolts, DATA * factor, atol=0.01 * factor)
    part = raw.copy().crop(1.0, 2.0).pick(["c"]).get_data()[0] * 1e6
    np.testing.assert_allclose(part, DATA[2, 256:513] * factor, atol=0.01 * factor)


def test_manifest_recordings_applies_the_options(tmp_path):
    _write_fif(tmp_path / "x_raw.fif")
    table = "participant,trial,stimulus,eeg,valence\nP1,1,1,x_raw.fif,5\n"
    (tmp_path / "trials.csv").write_text(table)
    renames = tuple(zip("abc", GENEVA[:3], strict=True))
    options = ReadOptions((), renames, "uV")
    recordings = ManifestRecordings(tmp_path / "trials.csv", "", options)
    assert recordings.channels == GENEVA[:3]
    (block,) = recordings.eeg_blocks("P1")
    np.testing.assert_allclose(block.raw.get_data() * 1e6, DATA, rtol=1e-5)
    plain = ReadOptions((), renames)
    other = ManifestRecordings(tmp_path / "trials.csv", "", plain)
    assert recordings.eeg_inputs("P1") != other.eeg_inputs("P1")
    listed = ManifestRecordings(tmp_path / "trials.csv", "", ReadOptions(("c", "a")))
    assert listed.channels == ("c", "a")
