from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.eeg.channels import GENEVA
from milmer_cli.prediction import eeg_segments
from milmer_cli.prediction.eeg_segments import EegSegmentReader
from milmer_cli.prediction.onsets import Onset
from milmer_cli.prediction.recording import open_recording
from milmer_cli.prediction.timing import StimulusTiming
from milmer_cli.training.run_dir import Run


@pytest.mark.parametrize("relative", [True, False])
def test_factor_on_a_recording_has_no_effect_on_relative_eeg(
    relative, tmp_path, untrained_run, write_edf, make_eeg
):
    run = Run.open(untrained_run)
    data = []
    for factor in (1.0, 2.0):
        path = write_edf(tmp_path / f"{factor}.edf", GENEVA, factor * make_eeg(40.0))
        recording = open_recording(path, run)
        timing = StimulusTiming(None, Onset(1.0, "given"), 30.0)
        onsets = np.arange(10) * 3.0
        eeg, quality = run.settings.eeg, run.settings.quality
        reader = EegSegmentReader(recording, timing, onsets, eeg, quality, relative)
        data.append(reader.read(10).data)
    expected = data[0] if relative else 2 * data[0]
    assert np.abs(data[1] - expected).max() < 0.01 * expected.std()
    assert data[0].dtype == data[1].dtype == np.float32


def test_eeg_segment_reader_in_pieces_equals_the_whole(
    tmp_path, monkeypatch, untrained_run, write_edf, make_eeg
):
    path = write_edf(tmp_path / "long.edf", GENEVA, make_eeg(240.0))
    run = Run.open(untrained_run)
    timing = StimulusTiming(None, Onset(4.5, "given"), 210.0)

    def read(counts):
        recording = open_recording(path, run)
        onsets = np.arange(70) * 3.0
        settings = run.settings
        reader = EegSegmentReader(recording, timing, onsets, settings.eeg, settings.quality)
        return np.concatenate([reader.read(count).data for count in counts]), reader

    whole, _ = read([70])
    for name, value in (("MAX_WHOLE_S", 100.0), ("PIECE_S", 60.0), ("MARGIN_S", 15.0)):
        monkeypatch.setattr(eeg_segments, name, value)
    pieces, reader = read([7] * 10)
    assert pieces.shape == whole.shape == (70, 32, 384)
    assert np.abs(pieces - whole).max() < 0.01 * whole.std()
    assert any("in pieces" in note for note in reader.notes)
