from __future__ import annotations

import numpy as np
import pytest

from helpers import event_onsets
from milmer_cli.eeg.io import open_eeg, source_files
from milmer_cli.errors import InputError

HEADER = """Brain Vision Data Exchange Header File Version 1.0
; caf\u00e9
[Common Infos]
DataFile={data}
MarkerFile={markers}
DataFormat=BINARY
DataOrientation=MULTIPLEXED
NumberOfChannels=1
SamplingInterval=10000
[Binary Infos]
BinaryFormat=INT_16
[Channel Infos]
Ch1=Cz,,0.1,uV
"""
MARKERS = """Brain Vision Data Exchange Marker File, Version 1.0
[Common Infos]
DataFile=old.eeg
[Marker Infos]
Mk1=Stimulus,S  7,901,1,0
"""


def write_renamed(folder, name, data="old.eeg", markers="old.vmrk", encoding="utf-8"):
    """Write a recording whose header names other files."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.vhdr"
    path.write_bytes(HEADER.format(data=data, markers=markers).encode(encoding))
    path.with_suffix(".vmrk").write_text(MARKERS)
    samples = np.zeros(1000, "<i2")
    samples[900] = 5000
    samples.tofile(path.with_suffix(".eeg"))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("folder", ["plain", "Gr\u00f6\u00dfe"])
def test_open_eeg_uses_the_files_of_the_headers_name(tmp_path, folder, encoding):
    path = write_renamed(tmp_path / folder, "new", encoding=encoding)
    raw = open_eeg(path)
    assert raw.get_data()[0].argmax() == 900
    assert event_onsets(path, raw, "7") == [9.0]
    assert event_onsets(path, raw.copy().crop(2.5), "7") == [6.5]
    assert path.with_suffix(".eeg") in source_files(path, raw)


def test_open_eeg_reads_names_with_placeholders(tmp_path):
    path = write_renamed(tmp_path, "new", "$b.eeg", "$b.vmrk")
    assert open_eeg(path).get_data()[0].argmax() == 900


def test_open_eeg_uses_the_named_file_if_it_exists(tmp_path):
    path = write_renamed(tmp_path, "new")
    np.full(1000, 7, "<i2").tofile(tmp_path / "old.eeg")
    assert open_eeg(path).get_data()[0, 0] == pytest.approx(0.7e-6)


@pytest.mark.parametrize("missing", [".eeg", ".vmrk"])
def test_open_eeg_names_the_file_that_is_missing(tmp_path, missing):
    path = write_renamed(tmp_path, "new")
    path.with_suffix(missing).unlink()
    with pytest.raises(InputError, match=f"names the file old{missing}, which does not") as caught:
        open_eeg(path)
    assert f"new{missing}" in caught.value.hint
