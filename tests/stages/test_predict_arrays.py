"""Trials in an array of a MATLAB file: `predict` reads what `prepare` stores."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io

from helpers import RecordingProgress, read_mat_in_this_process
from milmer_cli import preprocessing
from milmer_cli.bundle.resolve import open_bundle
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.eeg import array_file
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.io import AS_RECORDED
from milmer_cli.prediction.eeg_segments import EegSegmentReader
from milmer_cli.prediction.manifest import read_requests
from milmer_cli.prediction.messages import Messages
from milmer_cli.prediction.recording import open_recording
from milmer_cli.prediction.timing import locate_stimulus
from milmer_cli.preprocessing import segment_eeg
from milmer_cli.settings import load_settings
from milmer_cli.stages.predict_batch import predict_batch

SETTINGS = load_settings(overrides=["run.device=cpu", "run.workers=1"])
HEADER = (
    "participant,trial,stimulus,eeg,eeg_array,eeg_sfreq_hz,eeg_array_channels,eeg_unit,"
    "eeg_onset_s,label"
)


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    read_mat_in_this_process(monkeypatch)


@pytest.fixture
def manifest(tmp_path, make_eeg):
    """Four trials of 8 s in an array, of which the rows list two, in another order."""
    trials = [make_eeg(8.0, seed) * (1 + seed) for seed in range(4)]
    scipy.io.savemat(tmp_path / "a.mat", {"seg": np.stack([t.T for t in trials], axis=2)})
    rows = [
        f'P1,{trial},clip{trial},a.mat,"seg(time,channel,{index})",128,{";".join(GENEVA)},uV,1.5,joy'
        for trial, index in ((1, 3), (2, 1))
    ]
    path = tmp_path / "trials.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def test_predict_reads_the_segments_of_an_array_that_prepare_stores(manifest, untrained_run):
    run = open_bundle(untrained_run)
    recordings = ManifestRecordings(manifest)
    (block,) = recordings.eeg_blocks("P1")
    durations_s = {trial.trial: trial.duration_s for trial in recordings.trials("P1")}
    assert durations_s == {1: 6.5, 2: 6.5}
    stored = segment_eeg(block, durations_s, run.settings.eeg, recordings.channels).trials
    for name, request in read_requests(manifest)[0].items():
        recording = open_recording(request.eeg, run, "", request.read_options(AS_RECORDED))
        timing = locate_stimulus(request, recording.block, 3.0, Messages(RecordingProgress()))
        assert timing.duration_s == 6.5
        onsets = np.array([0.0, 3.0])
        reader = EegSegmentReader(recording, timing, onsets, run.settings.eeg, run.settings.quality)
        expected = stored[int(name.removeprefix("P1_"))]
        assert len(expected) == 2
        np.testing.assert_allclose(reader.read(2).data, expected, atol=1e-4)


@pytest.mark.slow
def test_predict_batch_reads_and_preprocesses_an_array_once(
    manifest, untrained_run, tmp_path, monkeypatch
):
    counts = {"read": 0, "preprocessed": 0}

    def counted(name, function):
        def call(*arguments, **options):
            counts[name] += 1
            return function(*arguments, **options)

        return call

    array_file._signals.cache_clear()
    monkeypatch.setattr(
        array_file, "read_mat_signals", counted("read", array_file.read_mat_signals)
    )
    monkeypatch.setattr(
        preprocessing, "preprocess_eeg", counted("preprocessed", preprocessing.preprocess_eeg)
    )
    result = predict_batch(manifest, untrained_run, tmp_path / "out", SETTINGS)
    assert result.failed == ()
    assert list(result.rows) == ["P1_1", "P1_2"]
    assert [row.segments for row in result.rows.values()] == [2, 2]
    assert counts == {"read": 1, "preprocessed": 1}
    # the trials are placed 9 s apart, and each stimulus starts 1.5 s later
    assert [row.eeg_onset_s for row in result.rows.values()] == [19.5, 1.5]
