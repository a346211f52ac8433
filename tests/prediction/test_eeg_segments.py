from __future__ import annotations

import numpy as np
import pytest
import torch

from milmer_cli.bundle.resolve import open_bundle
from milmer_cli.data.eeg_transform import EegMoments
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.models import build_model
from milmer_cli.prediction import eeg_segments
from milmer_cli.prediction.eeg_scaling import eeg_scaling
from milmer_cli.prediction.eeg_segments import EegSegmentReader
from milmer_cli.prediction.onsets import Onset
from milmer_cli.prediction.recording import open_recording
from milmer_cli.prediction.timing import StimulusTiming
from milmer_cli.settings import load_settings


@pytest.mark.parametrize("scale", ["recording", "microvolts"])
def test_factor_on_a_recording_has_no_effect_on_relative_eeg(
    scale, tmp_path, untrained_run, write_edf, make_eeg
):
    run = open_bundle(untrained_run)
    data = []
    for factor in (1.0, 2.0):
        path = write_edf(tmp_path / f"{factor}.edf", GENEVA, factor * make_eeg(40.0))
        recording = open_recording(path, run)
        timing = StimulusTiming(None, Onset(1.0, "given"), 30.0)
        onsets = np.arange(10) * 3.0
        eeg, quality = run.settings.eeg, run.settings.quality
        model = load_settings(
            overrides=["model.eeg_amplitude=sd", f"model.eeg_amplitude_scale={scale}"]
        ).model
        scaling, _ = eeg_scaling(model, run.load_model())
        reader = EegSegmentReader(recording, timing, onsets, eeg, quality, scaling)
        data.append(reader.read(10).data)
    expected = data[0] if scale == "recording" else 2 * data[0]
    assert np.abs(data[1] - expected).max() < 0.01 * expected.std()
    assert data[0].dtype == data[1].dtype == np.float32


@pytest.mark.slow
def test_eeg_segment_reader_in_pieces_equals_the_whole(
    tmp_path, monkeypatch, untrained_run, write_edf, make_eeg
):
    path = write_edf(tmp_path / "long.edf", GENEVA, make_eeg(240.0))
    run = open_bundle(untrained_run)
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


@pytest.mark.parametrize("scope", ["inductive", "transductive"])
@pytest.mark.parametrize("method", ["euclidean", "standardize"])
def test_eeg_scaling_aligns_a_recording(scope, method):
    settings = load_settings(
        overrides=[
            "model.backbone=scratch:micro",
            "model.modalities=eeg",
            f"model.eeg_alignment={method}",
            f"model.eeg_alignment_scope={scope}",
        ]
    ).model
    torch.manual_seed(0)
    model = build_model(settings, ("a", "b"), n_channels=3, n_samples=64)
    rng = np.random.default_rng(0)
    eeg = (rng.normal(size=(3, 3)) @ rng.normal(size=(20, 3, 64)) + 5).astype(np.float32)
    eeg[4] = 1e6
    usable = np.arange(20) != 4
    transform = EegMoments.of(eeg[usable]).transform(method)
    other = EegMoments.of(3 * eeg[usable]).transform(method)
    if scope == "inductive":
        model.eeg_reference.set_map(torch.from_numpy(other.matrix), torch.from_numpy(other.offset))
    scaling, sentence = eeg_scaling(settings, model)
    aligned = scaling(eeg, usable)
    np.testing.assert_allclose(aligned, (other if scope == "inductive" else transform)(eeg))
    assert aligned.dtype == np.float32
    assert ("TRANSDUCTIVE" in sentence) == (scope == "transductive")
