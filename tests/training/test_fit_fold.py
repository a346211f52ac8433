"""What `fit_fold` passes to the training."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from helpers import RecordingProgress, write_labeled_store
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.splits import Fold
from milmer_cli.device import Device
from milmer_cli.models.face_crop import write_face_crop
from milmer_cli.settings import Settings, load_settings
from milmer_cli.settings.schema import FacesSettings
from milmer_cli.store import PreparedStore, write_index
from milmer_cli.training import fit_fold as module

SMALL = [
    "model.backbone=scratch:micro",
    "model.dim_feedforward=32",
    "model.num_layers=1",
    "model.num_select=2",
    "run.device=cpu",
]


@pytest.mark.parametrize(
    ("class_weights", "expected"), [("true", [13 / 24, 13 / 16, 13 / 8, 13 / 4]), ("false", None)]
)
def test_fit_fold_weights_the_classes_of_the_training_set(
    class_weights, expected, tmp_path, monkeypatch
):
    write_labeled_store(tmp_path, participants=1, trials=8)
    settings = load_settings(overrides=[*SMALL, f"train.class_weights={class_weights}"])
    # 6, 4, 2 and 1 segments for training, and three of the last class in the other sets
    labels = np.repeat([0, 1, 2, 3], [6, 4, 2, 4])
    labeled = replace(LabeledSegments.open(tmp_path, settings), labels=labels)
    fold = Fold(np.arange(13), np.array([13, 14]), np.array([15]))
    specs = []
    monkeypatch.setattr(module, "train_model", lambda *args: specs.append(args[3]))

    module.fit_fold(labeled, fold, settings, Device.from_settings(settings.run))

    (spec,) = specs
    weights = None if spec.class_weights is None else spec.class_weights.tolist()
    assert weights == (expected and pytest.approx(expected))


def amplitude_settings(*overrides: str) -> Settings:
    small = [*SMALL, "model.modalities=eeg", "train.epochs=1", "model.eeg_amplitude=bands"]
    return load_settings(overrides=[*small, *overrides])


@pytest.mark.parametrize("kind", ["sd", "bands"])
def test_fit_fold_standardizes_the_amplitude_on_the_training_set_only(kind, tmp_path, monkeypatch):
    write_labeled_store(tmp_path, participants=2, trials=8, without_eeg=["s02"])
    settings = amplitude_settings(f"model.eeg_amplitude={kind}", "model.modalities=both")
    labeled = LabeledSegments.open(tmp_path, settings)
    monkeypatch.setattr(module, "train_model", lambda *args: None)
    train = np.r_[np.arange(1, 16, 2), 16:24]  # the rows of s02 have no EEG
    fold = Fold(train, np.arange(0, 8, 2), np.arange(8, 16, 2))
    eeg = torch.from_numpy(
        np.stack([labeled.store.participant("s01").eeg[row] for row in train[:8]])
    )

    model, _ = module.fit_fold(labeled, fold, settings, Device.from_settings(settings.run))

    features = model.amplitude.features(eeg)
    standardized = (features - model.amplitude.mean) / model.amplitude.sd
    assert torch.allclose(standardized.mean(0), torch.zeros(()), atol=1e-4)
    assert torch.allclose(standardized.std(0, correction=0), torch.ones(()), atol=1e-4)


def test_fit_fold_standardizes_the_amplitude_on_the_channels_that_the_model_reads(
    tmp_path, monkeypatch
):
    write_labeled_store(tmp_path, participants=2, trials=8)
    settings = amplitude_settings("model.eeg_amplitude=sd", "model.bad_channels=mask")
    found = np.random.default_rng(0).random((32, 4)) < 0.6
    labeled = replace(LabeledSegments.open(tmp_path, settings), channels_found=found)
    monkeypatch.setattr(module, "train_model", lambda *args: None)
    train = np.r_[20:30, 1:9]  # not in the order of the store
    model, _ = module.fit_fold(
        labeled, Fold(train, np.arange(10, 14), np.arange(14, 20)), settings,
        Device.from_settings(settings.run),
    )  # fmt: skip
    eeg = np.concatenate([labeled.store.participant(name).eeg[:] for name in ("s01", "s02")])
    features = np.log(eeg.std(axis=2))
    for channel in range(4):
        used = [row for row in train if found[row, channel]]
        assert float(model.amplitude.mean[channel, 0]) == pytest.approx(
            features[used, channel].mean(), abs=1e-4
        )


@pytest.mark.slow
@pytest.mark.parametrize(("scale", "differs"), [("recording", False), ("microvolts", True)])
def test_factor_on_the_eeg_of_a_participant_has_no_effect_on_its_predictions(
    scale, differs, tmp_path
):
    settings = amplitude_settings("model.eeg_amplitude=sd", f"model.eeg_amplitude_scale={scale}")
    device = Device.from_settings(settings.run)
    probabilities = []
    for factor in (1.0, 3.0):
        folder = tmp_path / str(factor)
        write_labeled_store(folder, participants=3, trials=8)
        for name in ("s02", "s03"):  # one of two in the training set, and the test set
            with h5py.File(folder / f"{name}.h5", "r+") as file:
                file["eeg"][...] = factor * file["eeg"][...]
        write_index(folder, PreparedStore.open(folder).settings, ["s01", "s02", "s03"])
        labeled = LabeledSegments.open(folder, settings)
        fold = Fold(np.arange(8, 32), np.arange(8), np.arange(32, 48))
        model, _ = module.fit_fold(labeled, fold, settings, device)
        probabilities.append(module.predict_segments(model, labeled, fold.test, settings, device))
    assert (np.abs(probabilities[1] - probabilities[0]).max() > 1e-4) == differs


def test_trained_amplitude_standardization_remains_that_of_its_fold(tmp_path):
    write_labeled_store(tmp_path, participants=1, trials=8)
    settings = amplitude_settings("train.ema_decay=0.9")
    labeled = LabeledSegments.open(tmp_path, settings)
    device = Device.from_settings(settings.run)
    means = []
    for train, validation in ((np.arange(10), np.arange(10, 16)), (np.arange(6, 16), np.arange(6))):
        fold = Fold(train, validation, validation)
        model, _ = module.fit_fold(labeled, fold, settings, device)
        expected = module.new_model(labeled, settings, device)
        module.standardize_amplitude(expected, labeled, train)
        assert torch.equal(model.amplitude.mean.cpu(), expected.amplitude.mean)
        assert torch.equal(model.amplitude.sd.cpu(), expected.amplitude.sd)
        means.append(model.amplitude.mean)
    assert not torch.equal(*means)


def test_model_has_the_sampling_rate_and_the_pass_band_of_the_store(tmp_path):
    write_labeled_store(tmp_path, participants=1)
    settings = amplitude_settings("eeg.band_hz=[2, 40]")
    labeled = LabeledSegments.open(tmp_path, settings)
    device = Device.from_settings(settings.run)
    config = module.new_model(labeled, settings, device).config
    assert (config.eeg_amplitude, config.sfreq_hz, config.band_hz) == ("bands", 128.0, [2.0, 40.0])


@pytest.mark.parametrize(("strength", "augmented"), [("1", True), ("0", False)])
def test_fit_fold_augments_the_faces_of_a_live_backbone(strength, augmented, tmp_path, monkeypatch):
    write_labeled_store(tmp_path, participants=1, trials=8)
    settings = load_settings(overrides=[*SMALL, f"train.augment={strength}"])
    labeled = LabeledSegments.open(tmp_path, settings)
    specs = []
    monkeypatch.setattr(module, "train_model", lambda *args: specs.append(args[1::2]))
    fold = Fold(np.arange(13), np.array([13, 14]), np.array([15]))
    module.fit_fold(labeled, fold, settings, Device.from_settings(settings.run))
    ((train_data, spec),) = specs
    ramp = torch.arange(32, dtype=torch.uint8)[:, None, None].expand(1, 3, 32, 32, 3)
    assert "faces" in train_data[0]
    changed = spec.transform({"faces": ramp}, True)["faces"]
    assert torch.equal(changed, ramp) != augmented


def test_published_preset_neither_augments_nor_lowers_the_rate_of_the_backbone():
    default, published = load_settings().train, load_settings("published").train
    assert (default.augment, default.backbone_lr_ratio) == (1.0, 0.1)
    assert (published.augment, published.backbone_lr_ratio) == (0.0, 1.0)


def test_note_face_input_names_a_missing_normalization_and_another_crop(tmp_path):
    write_labeled_store(tmp_path / "store", participants=1)
    store = PreparedStore.open(tmp_path / "store")
    store.participant("s01").detector = "centerface"
    progress = RecordingProgress()
    settings = load_settings(overrides=[f"model.backbone={tmp_path}"])
    module.note_face_input(settings, store, progress)
    assert "ImageNet" in progress.text
    assert "faces.margin" not in progress.text
    write_face_crop(tmp_path, {"photographs": True}, FacesSettings(margin=0.5), "centerface")
    module.note_face_input(settings, store, progress)
    assert "faces.margin=0.5 instead of 0.1" in progress.text
    progress = RecordingProgress()
    module.note_face_input(load_settings(overrides=["model.modalities=eeg"]), store, progress)
    module.note_face_input(load_settings(overrides=SMALL), store, progress)
    assert progress.messages == []
