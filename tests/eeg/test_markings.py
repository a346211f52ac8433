from __future__ import annotations

import datetime

import mne
import numpy as np
import pytest

from milmer_cli.eeg.channels import GENEVA, montage_1005
from milmer_cli.eeg.io import EegBlock, raw_from_microvolts
from milmer_cli.eeg.markings import marked_bad_windows, marking_notes
from milmer_cli.eeg.preprocess import preprocess_eeg
from milmer_cli.settings.schema import EegSettings

SFREQ = 128.0
NAMES = ["Fz", "Cz", "Pz", "T7"]
DATE = datetime.datetime(2024, 5, 6, tzinfo=datetime.UTC)


def recording(first_samp: int = 0, dated: bool = True) -> mne.io.BaseRaw:
    """20 s with markings of 3 to 5.5 s, of Cz from 10 to 12 s, and of a moment at 15.2 s."""
    data = np.random.default_rng(0).normal(0, 1e-5, (4, round(20 * SFREQ)))
    info = mne.create_info(NAMES, SFREQ, "eeg")
    raw = mne.io.RawArray(data, info, first_samp=first_samp, verbose="error")
    raw.set_meas_date(DATE if dated else None)
    raw.set_annotations(
        mne.Annotations(
            [3.0, 10.0, 15.2, 1.0, 8.0, 8.0],
            [2.5, 2.0, 0.0, 1.0, 0.0, 0.5],
            ["BAD_movement", "bad cable", "Bad", "video", "EDGE boundary", "BAD_ACQ_SKIP"],
            ch_names=[(), ("Cz",), (), (), (), ()],
        )
    )
    return raw


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("first_samp", [0, 1280])
def test_marked_bad_windows_are_those_of_the_annotations(dated, first_samp):
    bad = marked_bad_windows(recording(first_samp, dated), NAMES, 20, 1.0)
    expected = np.zeros((4, 20), bool)
    expected[:, [3, 4, 5, 15]] = True
    expected[1, [10, 11]] = True
    np.testing.assert_array_equal(bad, expected)


def test_marked_bad_windows_of_annotations_without_any_channels():
    raw = recording()
    raw.set_annotations(mne.Annotations([3.0, 5.0], [1.0, 1.0], ["BAD_movement", "video"]))
    expected = np.tile(np.arange(20) == 3, (4, 1))
    np.testing.assert_array_equal(marked_bad_windows(raw, NAMES, 20, 1.0), expected)
    assert marking_notes(raw, NAMES) == ("Marked as bad in the file: 1 interval, 1.0 s.",)


def test_marked_bad_windows_of_a_cropped_recording():
    bad = marked_bad_windows(recording(640).crop(4.0), ["Cz", "Fz"], 16, 1.0)
    assert np.flatnonzero(bad[0]).tolist() == [0, 1, 6, 7, 11]
    assert np.flatnonzero(bad[1]).tolist() == [0, 1, 11]
    assert not marked_bad_windows(recording().crop(16.0), NAMES, 4, 1.0).any()


def test_marked_bad_windows_follow_renamed_channels():
    raw = recording()
    raw.rename_channels({"Cz": "C3"})
    assert np.flatnonzero(marked_bad_windows(raw, ["C3"], 20, 1.0)[0]).tolist() == [
        *(3, 4, 5, 10, 11, 15)
    ]


def test_marking_notes_list_channels_and_intervals():
    raw = recording()
    raw.info["bads"] = ["T7", "Fz"]
    assert marking_notes(raw, NAMES) == ("Marked as bad in the file: Fz, T7; 3 intervals, 4.5 s.",)
    assert marking_notes(raw, ["Pz"]) == ("Marked as bad in the file: 2 intervals, 2.5 s.",)
    raw.set_annotations(None)
    assert marking_notes(raw, ["Fz"]) == ("Marked as bad in the file: Fz.",)
    assert marking_notes(raw, ["Cz"]) == ()


def test_preprocess_eeg_notes_what_the_file_marks_as_bad():
    raw = recording()
    raw.info["bads"] = ["T7"]
    settings = EegSettings(notch_hz=0.0, bad_channels="keep")
    notes = preprocess_eeg(EegBlock(raw, {}), settings).notes
    assert "Marked as bad in the file: T7; 3 intervals, 4.5 s." in notes


def test_preprocess_eeg_marks_the_windows_of_the_annotations_as_bad():
    rng = np.random.default_rng(1)
    directions = np.array([montage_1005().get_positions()["ch_pos"][name] for name in GENEVA])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    eeg = np.hstack([directions, directions[:, :2] * directions[:, 1:]]) @ rng.normal(
        0, 20, (5, round(60 * SFREQ))
    ) + rng.normal(0, 2, (32, round(60 * SFREQ)))
    eeg[:, round(30 * SFREQ) : round(33 * SFREQ)] = rng.normal(0, 300, (32, round(3 * SFREQ)))
    raw = raw_from_microvolts(eeg, SFREQ, GENEVA)
    cable = mne.Annotations(
        [30.0, 10.0], [3.0, 5.0], ["BAD_movement", "bad"], ch_names=[(), ("T7",)]
    )
    raw.set_annotations(cable)
    settings = EegSettings(eog_correction="none", notch_hz=0)
    result = preprocess_eeg(EegBlock(raw, {}), settings)
    expected = np.zeros((32, 60), bool)
    expected[:, 30:33] = True
    expected[GENEVA.index("T7"), 10:15] = True
    np.testing.assert_array_equal(result.bad, expected)
    # a single channel is interpolated, and the interval without any good channel is kept
    expected[:, 30:33] = False
    np.testing.assert_array_equal(result.interpolated_windows, expected)
    assert "T7 (marked as bad in the file 8 % of the time)" in " ".join(result.notes)
