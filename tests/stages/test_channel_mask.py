"""The channels that the model reads: the same mask reaches it in train, evaluate and predict."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from helpers import write_labeled_store
from milmer_cli.device import Device
from milmer_cli.eeg.quality import EegQuality
from milmer_cli.errors import MilmerError
from milmer_cli.models import MilmerConfig, MilmerModel
from milmer_cli.prediction.chunks import SegmentChunk
from milmer_cli.prediction.eeg_segments import EegSegments
from milmer_cli.prediction.segment_inference import SegmentInference
from milmer_cli.settings import load_settings
from milmer_cli.settings.schema import QualitySettings
from milmer_cli.stages.evaluate_run import evaluate_run
from milmer_cli.stages.train import train

SMALL = [
    "model.backbone=scratch:micro",
    "model.dim_feedforward=32",
    "model.num_layers=1",
    "model.num_select=2",
    "train.epochs=1",
    "evaluate.n_bootstraps=100",
    "evaluate.n_permutations=100",
    "run.device=cpu",
    "run.report_to=none",
]


class Masks(list):
    """The masks of all forward passes with EEG; None for a pass without a mask."""

    @property
    def per_participant(self) -> set[tuple[bool, ...]]:
        return {tuple(row) for mask in self for row in mask.tolist()}


@pytest.fixture
def masks(monkeypatch) -> Masks:
    recorded, forward = Masks(), MilmerModel.forward

    @functools.wraps(forward)  # the Trainer reads the signature
    def recording(self, *args, **inputs):
        if "eeg" in inputs:  # the calibration for faces alone has no EEG
            recorded.append(inputs.get("channels_found"))
        return forward(self, *args, **inputs)

    monkeypatch.setattr(MilmerModel, "forward", recording)
    return recorded


@pytest.mark.slow
@pytest.mark.parametrize("frozen", ["true", "false"])
def test_train_and_evaluate_run_pass_the_channels_to_the_model(frozen, tmp_path, masks):
    bad = {"s01": [True, False, False, False], "s02": [False, True, False, True]}
    write_labeled_store(tmp_path / "prepared", participants=2, trials=8, bad_channels=bad)
    overrides = [
        "model.bad_channels=mask",
        "quality.max_bad_channels=0.5",
        f"model.freeze_backbone={frozen}",
    ]
    settings = load_settings(overrides=[*SMALL, *overrides])
    expected = {tuple(not flag for flag in flags) for flags in bad.values()}

    train(tmp_path / "prepared", tmp_path / "run", settings)
    assert masks.per_participant == expected

    masks.clear()
    evaluate_run(str(tmp_path / "run"), str(tmp_path / "prepared"), str(tmp_path / "out"), settings)
    log = (tmp_path / "out" / "log.txt").read_text()
    assert "\nresult: trial protocol" in log
    # fewer channels where electrodes are removed, and never a bad one
    assert expected <= masks.per_participant
    assert all(any(np.less_equal(row, e).all() for e in expected) for row in masks.per_participant)


def test_evaluate_run_writes_its_error_into_the_log(tmp_path, monkeypatch):
    write_labeled_store(tmp_path / "prepared", participants=2, trials=8)
    settings = load_settings(overrides=[*SMALL, "model.modalities=eeg"])
    train(tmp_path / "prepared", tmp_path / "run", settings)
    assert "\ntest set: trial protocol" in (tmp_path / "run" / "log.txt").read_text()

    def fails(*_):
        raise MilmerError("The device is lost.", "Restart it.")

    monkeypatch.setattr("milmer_cli.stages.evaluate_run.evaluate_model", fails)
    with pytest.raises(MilmerError):
        evaluate_run(tmp_path / "run", tmp_path / "prepared", tmp_path / "out", settings)
    last = (tmp_path / "out" / "log.txt").read_text().splitlines()[-1]
    assert last.startswith("Failed after")
    assert last.endswith("The device is lost. Restart it.")


@pytest.mark.slow
def test_model_reads_all_channels_if_bad_ones_are_interpolated(tmp_path, masks):
    bad = {"s01": [True, False, False, False]}
    write_labeled_store(tmp_path / "prepared", participants=1, trials=8, bad_channels=bad)
    settings = load_settings(overrides=[*SMALL, "model.bad_channels=interpolate"])
    train(tmp_path / "prepared", tmp_path / "run", settings)
    assert set(masks) == {None}


@pytest.mark.parametrize("has_mask", [True, False])
def test_segment_inference_passes_the_channels_to_the_model(has_mask, masks):
    torch.manual_seed(0)
    settings = load_settings(overrides=SMALL)
    fields = {"hidden_size": 24, "num_heads": 3, "dim_feedforward": 32}
    model = MilmerModel(MilmerConfig(modalities="eeg", n_channels=4, n_samples=64, **fields)).eval()
    data = np.random.default_rng(0).normal(0, 10, (5, 4, 64)).astype(np.float32)
    quality = EegQuality.of(data)
    quality.bad[:] = np.eye(5, 4, dtype=bool)
    eeg = EegSegments(data, quality)
    chunk = SegmentChunk(np.arange(4.0), eeg[1:], None, QualitySettings(), has_mask)
    inference = SegmentInference(model, Device.from_settings(settings.run), 32, 2)
    inference._forward(chunk, range(2, 4))
    if has_mask:
        assert masks[0].tolist() == (~quality.bad[3:5]).tolist()
    else:
        assert masks == [None]
