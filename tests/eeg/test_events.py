from __future__ import annotations

import mne
import numpy as np
import pytest

from milmer_cli.eeg.events import event_onsets
from milmer_cli.eeg.io import open_eeg
from milmer_cli.errors import InputError


def test_event_onsets_bdf_ignores_battery_bits(tmp_path, write_bdf, status_words):
    words = status_words(512 * 6, [(512, 4), (1024, 9), (2048, 4)])
    path = write_bdf(tmp_path / "x.bdf", {"Cz": np.zeros(512 * 6)}, words)
    assert event_onsets(path, open_eeg(path), "4") == [1.0, 4.0]
    with pytest.raises(InputError, match="has no event 7") as caught:
        event_onsets(path, open_eeg(path), "7")
    assert "4 (2)" in caught.value.hint
    assert "9 (1)" in caught.value.hint


@pytest.mark.parametrize("code", ["Stimulus/S  4", "S 4", "4"])
def test_event_onsets_annotation_by_any_of_its_names(tmp_path, code):
    info = mne.create_info(["Cz", "STI 014"], 100.0, ["eeg", "stim"])
    data = np.zeros((2, 1000))
    data[1, 300:305] = 12
    raw = mne.io.RawArray(data, info, verbose="error")
    raw.set_annotations(mne.Annotations([2.5, 7.0], 0.0, ["Stimulus/S  4", "New Segment/"]))
    raw.save(tmp_path / "x_raw.fif", verbose="error")
    path = tmp_path / "x_raw.fif"
    assert event_onsets(path, open_eeg(path), code) == [2.5]
    assert event_onsets(path, open_eeg(path), "12") == [3.0]
