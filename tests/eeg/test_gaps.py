"""True times of events in recordings that were joined, cropped or interrupted."""

from __future__ import annotations

import datetime
from pathlib import Path

import mne
import numpy as np
import pytest

from helpers import event_onsets
from milmer_cli.eeg.gaps import Gap, continuous_parts, find_gaps, in_gap, recorded_samples
from milmer_cli.eeg.io import open_eeg

SFREQ, SECONDS = 100.0, 20
PATH = Path("x_raw.fif")
DATE = datetime.datetime(2024, 5, 6, tzinfo=datetime.UTC)


def marked(mark_s: float = 12.0, first_samp: int = 0, dated: bool = True) -> mne.io.BaseRaw:
    """A recording with a mark in channel Cz, in the trigger channel, and in an annotation."""
    sample = round(mark_s * SFREQ)
    data = np.zeros((2, round(SECONDS * SFREQ)))
    data[0, sample] = 1e-3
    data[1, sample : sample + 3] = 7
    info = mne.create_info(["Cz", "STI 014"], SFREQ, ["eeg", "stim"])
    raw = mne.io.RawArray(data, info, first_samp=first_samp, verbose="error")
    raw.set_meas_date(DATE if dated else None)
    raw.set_annotations(mne.Annotations(mark_s, 0.0, "mark"))
    return raw


def saved(raw: mne.io.BaseRaw, folder: Path) -> mne.io.BaseRaw:
    raw.save(folder / PATH, verbose="error")
    return open_eeg(folder / PATH)


def planted_s(raw: mne.io.BaseRaw) -> float:
    return float(raw.get_data("Cz", verbose="error")[0].argmax() / SFREQ)


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("first_samp", [0, 1234])
@pytest.mark.parametrize("crop_s", [0.0, 5.0])
def test_event_onsets_are_those_of_the_mark(tmp_path, dated, first_samp, crop_s):
    raw = marked(first_samp=first_samp, dated=dated).crop(crop_s)
    for own in (raw, saved(raw, tmp_path)):
        assert planted_s(own) == 12.0 - crop_s
        assert event_onsets(PATH, own, "mark") == pytest.approx([12.0 - crop_s])
        assert event_onsets(PATH, own, "7") == pytest.approx([12.0 - crop_s])


@pytest.mark.parametrize("dated", [True, False])
def test_event_onsets_of_concatenated_recordings(tmp_path, dated):
    first = marked(dated=dated).set_annotations(None).crop(tmax=9.99)
    second = marked(first_samp=777, dated=dated)
    raw = mne.concatenate_raws([first, second], verbose="error")
    for own in (raw, saved(raw, tmp_path)):
        assert planted_s(own) == 22.0
        assert event_onsets(PATH, own, "mark") == pytest.approx([22.0])
        assert find_gaps(own) == (Gap(10.0, 10.0),) * 2
        assert continuous_parts(own) == [slice(0, 1000), slice(1000, 3000)]


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("first_samp", [0, 1234])
def test_find_gaps_of_a_fif_file_with_a_period_that_was_not_recorded(tmp_path, dated, first_samp):
    raw = marked(first_samp=first_samp, dated=dated)
    raw.annotations.append(5.0 + raw.first_time, 2.5, "BAD_ACQ_SKIP")
    own = saved(raw, tmp_path)
    assert find_gaps(own) == (Gap(5.0, 7.5),)
    assert planted_s(own) == 12.0
    assert event_onsets(PATH, own, "mark") == pytest.approx([12.0])
    assert find_gaps(own.copy().crop(3.0)) == (Gap(2.0, 4.5),)


def test_in_gap_finds_segments_that_contain_any_part_of_a_gap():
    gaps = (Gap(3.0, 4.0), Gap(8.0, 8.0))
    starts = np.arange(10) * 100
    found = in_gap(gaps, starts, 100, 100.0)
    assert np.flatnonzero(found).tolist() == [3]
    assert np.flatnonzero(in_gap(gaps, starts, 101, 100.0)).tolist() == [2, 3, 7]
    assert not in_gap((), starts, 100, 100.0).any()
    assert np.flatnonzero(~recorded_samples(gaps, 1000, 100.0)).tolist() == list(range(300, 400))


VHDR = """Brain Vision Data Exchange Header File Version 1.0
[Common Infos]
DataFile=x.eeg
MarkerFile=x.vmrk
DataFormat=BINARY
DataOrientation=MULTIPLEXED
NumberOfChannels=1
SamplingInterval=10000
[Binary Infos]
BinaryFormat=INT_16
[Channel Infos]
Ch1=Cz,,0.1,uV
"""
VMRK = """Brain Vision Data Exchange Marker File, Version 1.0
[Common Infos]
DataFile=x.eeg
[Marker Infos]
Mk1=New Segment,,1,1,0,20240506120000000000
Mk2=New Segment,,1001,1,0,20240506120100000000
Mk3=Stimulus,S  7,1201,1,0
"""


def test_find_gaps_of_brainvision_segments(tmp_path):
    (tmp_path / "x.vhdr").write_text(VHDR)
    (tmp_path / "x.vmrk").write_text(VMRK)
    data = np.zeros(2000, "<i2")
    data[1200] = 1000
    data.tofile(tmp_path / "x.eeg")
    raw = open_eeg(tmp_path / "x.vhdr")
    assert find_gaps(raw) == (Gap(10.0, 10.0),)
    assert continuous_parts(raw) == [slice(0, 1000), slice(1000, 2000)]
    assert planted_s(raw) == 12.0
    assert event_onsets(tmp_path / "x.vhdr", raw, "7") == [12.0]


def test_find_gaps_of_eeglab_boundaries(tmp_path):
    from scipy.io import savemat

    data = np.zeros((2, 2000))
    data[0, 1200] = 1000.0
    names = np.array([("Cz",), ("Pz",)], dtype=[("labels", object)])
    events = np.array(
        [("boundary", 1000.5, 250.0), ("mark", 1201.0, 0.0)],
        dtype=[("type", object), ("latency", object), ("duration", object)],
    )
    eeg = {
        **{"srate": SFREQ, "nbchan": 2, "pnts": 2000, "trials": 1, "xmin": 0.0, "xmax": 19.99},
        **{"data": data, "chanlocs": names, "event": events, "times": np.arange(2000.0) * 10},
        **{"icaweights": [], "icawinv": [], "icasphere": [], "epoch": [], "ref": "common"},
    }
    savemat(tmp_path / "x.set", {"EEG": eeg}, appendmat=False)
    raw = open_eeg(tmp_path / "x.set")
    (gap,) = find_gaps(raw)
    assert gap.start_s == gap.stop_s == pytest.approx(10.0, abs=0.011)
    assert planted_s(raw) == 12.0
    assert event_onsets(tmp_path / "x.set", raw, "mark") == [12.0]
