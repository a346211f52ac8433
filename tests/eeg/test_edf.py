"""True times in discontinuous EDF+ and BDF+ files, written with a known gap."""

from __future__ import annotations

import edfio
import mne
import numpy as np
import pytest

from helpers import EEG_HZ, FIRST_S, GAP_S, event_onsets, write_discontinuous
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.gaps import Gap, find_gaps
from milmer_cli.eeg.io import EegBlock, ReadOptions, open_eeg
from milmer_cli.errors import InputError
from milmer_cli.preprocessing import segment_eeg
from milmer_cli.settings.schema import EegSettings

SFREQ = EEG_HZ
MARK_S, MARK_UV = 6.0, 5000.0
"""Time after the gap of a mark in the first channel."""
SETTINGS = EegSettings(notch_hz=0.0, bad_channels="keep", eog_correction="none")


@pytest.fixture
def signals() -> np.ndarray:
    """25 s of 32 channels with a mark in the first, 6 s after the gap."""
    data = np.random.default_rng(0).normal(0, 10, (32, 25 * SFREQ))
    data[0, round((FIRST_S + MARK_S) * SFREQ)] = MARK_UV
    return data


@pytest.mark.parametrize("suffix", ["edf", "bdf"])
def test_open_eeg_puts_the_records_of_a_discontinuous_file_at_their_times(
    tmp_path, signals, suffix
):
    path = write_discontinuous(tmp_path / f"x.{suffix}", GENEVA, signals)
    raw = open_eeg(path)
    assert find_gaps(raw) == (Gap(10.0, 10.0 + GAP_S),)
    data = raw.get_data(GENEVA) * 1e6
    assert data.shape[1] == round((25 + GAP_S) * SFREQ)
    true_s = FIRST_S + GAP_S + MARK_S
    assert data[0].argmax() == round(true_s * SFREQ)
    assert event_onsets(path, raw, "before") == [3.0]
    assert event_onsets(path, raw, "after") == [true_s]
    gap = slice(10 * SFREQ, round((10 + GAP_S) * SFREQ))
    assert not data[:, gap].any()
    np.testing.assert_allclose(np.delete(data, gap, axis=1), signals, atol=0.1)
    part = raw.get_data([GENEVA[3], GENEVA[1]], 9 * SFREQ, 18 * SFREQ) * 1e6
    np.testing.assert_array_equal(part, data[[3, 1], 9 * SFREQ : 18 * SFREQ])
    cropped = raw.copy().crop(12.0)
    assert event_onsets(path, cropped, "after") == [true_s - 12.0]


def test_open_eeg_applies_the_unit_and_names_to_a_discontinuous_file(tmp_path, signals):
    path = write_discontinuous(tmp_path / "x.edf", GENEVA, signals)
    raw = open_eeg(path, ReadOptions(renames=(("Fp1", "Fpz"),), unit="nV"))
    np.testing.assert_allclose(
        raw.get_data("Fpz")[0, : 10 * SFREQ] * 1e9, signals[0, :1280], atol=0.1
    )
    raw.pick(["Cz", "Fpz"]).load_data(verbose="error")
    np.testing.assert_allclose(raw.get_data()[1, :1280] * 1e9, signals[0, :1280], atol=0.1)


def test_open_eeg_keeps_a_continuous_file(tmp_path, signals):
    written = [
        edfio.EdfSignal(row, SFREQ, label=name, physical_dimension="uV")
        for name, row in zip(GENEVA, signals, strict=True)
    ]
    path = tmp_path / "x.edf"
    edfio.Edf(written, annotations=[edfio.EdfAnnotation(16.0, None, "after")]).write(path)
    assert isinstance(open_eeg(path), mne.io.edf.edf.RawEDF)
    # a file that is declared discontinuous but has no gap
    data = bytearray(path.read_bytes())
    data[192:197] = b"EDF+D"
    path.write_bytes(data)
    raw = open_eeg(path)
    assert isinstance(raw, mne.io.edf.edf.RawEDF)
    assert event_onsets(path, raw, "after") == [16.0]


def test_segment_eeg_has_no_eeg_in_segments_with_a_gap(tmp_path, signals):
    path = write_discontinuous(tmp_path / "x.edf", GENEVA, signals)
    block = EegBlock(open_eeg(path), {1: 3.0})
    segmented = segment_eeg(block, {1: 27.0}, SETTINGS)
    missing = np.isnan(segmented.trials[1]).all(axis=(1, 2))
    # segments of 3 s from 3 s on; the gap is from 10 to 17.25 s
    assert missing.tolist() == [False, False, True, True, True, False, False, False, False]
    assert np.isfinite(segmented.trials[1][~missing]).all()
    marked = segmented.trials[1][6, 0]  # from 21 to 24 s
    assert np.abs(marked).argmax() == round((FIRST_S + GAP_S + MARK_S - 21.0) * SFREQ)
    notes = segmented.recording.notes
    assert "Segments without EEG because they contain a gap of the recording: 3." in notes
    assert any("interrupted 1 time (7.2 s not recorded)" in note for note in notes)


def test_event_onsets_of_a_discontinuous_bdf_with_a_status_channel(tmp_path, signals):
    status = np.zeros(25 * SFREQ)
    status[[2 * SFREQ, 16 * SFREQ]] = [4, 9]
    path = write_discontinuous(
        tmp_path / "x.bdf", [*GENEVA[:2], "Status"], np.vstack([signals[:2], status])
    )
    assert event_onsets(path, open_eeg(path), "4") == [2.0]
    assert event_onsets(path, open_eeg(path), "9") == [16.0 + GAP_S]


def test_open_eeg_rejects_a_discontinuous_file_whose_records_state_no_onset(tmp_path, signals):
    path = write_discontinuous(tmp_path / "x.edf", GENEVA, signals)
    path.write_bytes(path.read_bytes().replace(b"+19.25\x14\x14", b"\x00" * 8))
    with pytest.raises(InputError, match="a data record states no onset"):
        open_eeg(path)
