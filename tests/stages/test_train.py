"""train: from a prepared store to a run folder with a model and its scores."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers import (
    STORE_CHANNELS,
    RecordingProgress,
    read_csv,
    replace_bundle_file,
    write_labeled_store,
)
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.splits import holdout
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.device import Device
from milmer_cli.errors import InputError, SettingsError, WeightsError
from milmer_cli.folder_lock import FolderLock
from milmer_cli.models import MilmerModel
from milmer_cli.settings import load_settings
from milmer_cli.stages.train import train, train_dry_run
from milmer_cli.store import PreparedStore
from milmer_cli.training.fit_fold import fit_fold, new_model, predict_segments
from milmer_cli.training.run_dir import Run
from milmer_cli.training.run_marker import MARKER
from milmer_cli.training.training_args import TrainingLog

SMALL = [
    "model.backbone=scratch:micro",
    "model.dim_feedforward=32",
    "model.num_layers=1",
    "model.num_select=2",
    "train.epochs=2",
    "train.batch_size=8",
    "evaluate.protocols=[trial]",
    "evaluate.n_bootstraps=100",
    "evaluate.n_permutations=100",
    "run.device=cpu",
    "run.report_to=none",
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    write_labeled_store(folder)
    return folder


def small_settings(*more):
    return load_settings(overrides=[*SMALL, *more])


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "first"
    return train(prepared, out, small_settings("train.epochs=6", "train.lr=1e-3"))


def test_train_result_states_protocol_and_majority_rate(run):
    line = dict(run.summary())["test set"]
    assert "trial protocol" in line
    assert "majority" in line
    assert run.to_json()["protocol"] == "trial"
    json.dumps(run.to_json())


def test_train_result_contains_the_metrics_of_the_run_folder(run):
    written = json.loads((run.run / "metrics.json").read_text())
    assert written == {"format": 1, **run.metrics}


def test_train_writes_the_run_folder(run, prepared):
    names = {path.name for path in run.run.iterdir()}
    assert names == {
        "settings-requested.yaml", "settings.yaml", "splits.json", "model", "history.csv",
        "learning-curve.png", "metrics.json", "environment.json", "log.txt",
    }  # fmt: skip
    opened = Run.open(run.run)
    bundle = opened.bundle
    assert bundle.channels == STORE_CHANNELS
    assert (bundle.sfreq, bundle.segment_s, bundle.instances, bundle.face_size) == (128, 0.5, 3, 32)
    assert bundle.class_names == ("HAHV", "LAHV", "LALV", "HALV")
    assert "above 5" in bundle.label_rule
    assert {path.name for path in bundle.path.iterdir()} == {
        "bundle.json", "config.json", "model.safetensors", "metrics.json", "README.md",
        "calibration.png",
    }  # fmt: skip
    assert opened.settings.eeg.segment_s == 0.5, "the store's settings, not the defaults"
    assert opened.settings.faces.image_size == 32
    assert opened.environment["seed"] == 0
    # the CUDA build of PyPI has a local version in torch.__version__ only
    assert torch.__version__.startswith(opened.environment["versions"]["torch"])
    requested = (run.run / "settings-requested.yaml").read_text()
    assert "segment_s" not in requested
    assert "scratch:micro" in requested
    assert len(read_csv(run.run / "history.csv")) == 6


def test_train_stores_the_model_that_gives_the_scores(run, prepared):
    opened = Run.open(run.run)
    labeled = LabeledSegments.open(prepared, opened.settings)
    fold = opened.splits(labeled).folds[0]
    device = Device.from_settings(opened.settings.run)
    model = opened.load_model()
    probabilities = predict_segments(model, labeled, fold.test, opened.settings, device)
    truth = labeled.labels[fold.test]
    accuracy = float(np.mean(probabilities.argmax(axis=1) == truth))
    stored = json.loads((run.run / "metrics.json").read_text())
    assert stored["test"]["segment"]["accuracy"]["value"] == pytest.approx(accuracy)
    assert stored["segments"]["test"] == len(fold.test)
    assert accuracy > 0.5, "the classes of this store are easy to learn"


@pytest.mark.parametrize("restart", [False, True])
def test_train_rejects_a_folder_that_another_training_writes(prepared, tmp_path, restart):
    with (
        FolderLock(tmp_path / "run"),
        pytest.raises(InputError, match=r"run is being trained by process \d+"),
    ):
        train(prepared, tmp_path / "run", small_settings("seed=7"), restart=restart)
    assert not (tmp_path / "run").exists()


def test_train_splits_by_trial(run, prepared):
    opened = Run.open(run.run)
    labeled = LabeledSegments.open(prepared, opened.settings)
    segments = labeled.segments
    fold = opened.splits(labeled).folds[0]
    trials = [set(segments.trial_id[rows]) for _, rows in fold.sets()]
    assert not trials[0] & trials[1]
    assert not (trials[0] | trials[1]) & trials[2]


def test_train_returns_a_finished_run_unchanged(run, prepared):
    before = (run.run / "model" / "model.safetensors").stat().st_mtime_ns
    again = train(prepared, run.run, small_settings("train.epochs=6", "train.lr=1e-3"))
    assert (run.run / "model" / "model.safetensors").stat().st_mtime_ns == before
    assert again.headline == run.headline


def test_train_does_not_overwrite_another_run(run, prepared, tmp_path):
    with pytest.raises(InputError, match=r"train\.lr=0\.001 instead of 0\.0001"):
        train(prepared, run.run, small_settings("train.epochs=6"))
    stricter = small_settings("train.epochs=6", "train.lr=1e-3", "quality.min_faces=0.5")
    with pytest.raises(InputError, match=r"quality\.min_faces=0\.3 instead of 0\.5"):
        train(prepared, run.run, stricter)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "notes.txt").write_text("not a run")
    with pytest.raises(InputError, match="is not a run folder"):
        train(prepared, tmp_path / "notes", small_settings())


@pytest.mark.slow
def test_train_writes_the_same_weights_for_the_same_seed(prepared, tmp_path):
    for name in "ab":
        train(prepared, tmp_path / name, small_settings("train.epochs=1", "model.modalities=eeg"))
    files = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in "ab"]
    assert files[0] == files[1]


@pytest.mark.slow
def test_train_resumes_an_unfinished_run(prepared, tmp_path, monkeypatch):
    class CutError(Exception):
        pass

    def cut(*_):
        raise CutError

    settings = small_settings("model.modalities=eeg")
    whole = train(prepared, tmp_path / "whole", settings)
    with monkeypatch.context() as patched:
        patched.setattr("milmer_cli.training.trainer.MilmerTrainer.restore_best_epoch", cut)
        with pytest.raises(CutError):
            train(prepared, tmp_path / "cut", settings)
    assert (tmp_path / "cut" / MARKER).exists()
    with pytest.raises(InputError, match="has not finished"):
        Run.open(tmp_path / "cut")
    other = small_settings("model.modalities=eeg", "train.lr=1e-3", "seed=2")
    with pytest.raises(InputError, match=r"seed=0 instead of 2, train\.lr=0\.0001 ") as caught:
        train(prepared, tmp_path / "cut", other)
    assert "--restart" in caught.value.hint
    progress = RecordingProgress()
    resumed = train(prepared, tmp_path / "cut", settings, progress=progress)
    assert f"The unfinished run in {tmp_path / 'cut'} is resumed." in progress.messages
    assert resumed.headline == whole.headline
    log = (tmp_path / "cut" / "log.txt").read_text()
    assert [log.count(text) for text in ("called in Python", "Failed after", "Finished")] == [
        2,
        1,
        1,
    ]
    same = [path / "model" / "model.safetensors" for path in (whole.run, resumed.run)]
    assert same[0].read_bytes() == same[1].read_bytes()


@pytest.mark.slow
def test_train_restart_replaces_a_finished_run_and_keeps_other_files(prepared, tmp_path):
    eeg = ("model.modalities=eeg", "train.epochs=1")
    run = tmp_path / "run"
    train(prepared, run, small_settings(*eeg))
    (run / "notes.md").write_text("mine")
    train(prepared, run, small_settings("seed=3", *eeg), restart=True)
    opened = Run.open(run)
    assert opened.settings.seed == 3
    assert opened.environment["started"] <= opened.environment["finished"]
    assert opened.environment["duration_s"] > 0
    assert (run / "notes.md").read_text() == "mine"
    log = (run / "log.txt").read_text()
    assert log.count("called in Python") == log.count("Finished after") == 1
    assert "Training on cpu" in log


def test_train_refuses_settings_that_differ_from_the_store(prepared, tmp_path):
    with pytest.raises(SettingsError, match=r"eeg\.segment_s=2.* prepared with 0\.5"):
        train(prepared, tmp_path / "run", small_settings("eeg.segment_s=2"))
    assert not (tmp_path / "run").exists()


def test_train_refuses_a_missing_store(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        train(tmp_path / "nowhere", tmp_path / "run", small_settings())


def test_run_open_refuses_other_folders(tmp_path):
    with pytest.raises(InputError, match="not a run folder"):
        Run.open(tmp_path)


def test_run_open_refuses_a_run_of_an_earlier_version(run, tmp_path):
    shutil.copytree(run.run, tmp_path / "run")
    (tmp_path / "run" / "model" / "bundle.json").unlink()
    with pytest.raises(InputError, match="written by an earlier version of Milmer") as caught:
        Run.open(tmp_path / "run")
    assert "Train again" in caught.value.hint


def test_run_load_model_refuses_incomplete_weights(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run.run, copy)
    weights = copy / "model" / "model.safetensors"
    state = load_file(weights)
    del state["channel_embedding"]
    save_file(state, weights, metadata={"format": "pt"})
    replace_bundle_file(copy / "model", weights.name, weights.read_bytes())
    with pytest.raises(WeightsError, match=r"lacks 1 of .*channel_embedding"):
        Run.open(copy).load_model()


@pytest.mark.parametrize("position", [0.3, 0.9])
def test_run_load_model_refuses_damaged_weights(run, tmp_path, position):
    copy = tmp_path / "run"
    shutil.copytree(run.run, copy)
    weights = copy / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[int(position * len(content))] ^= 1
    weights.write_bytes(content)
    with pytest.raises(WeightsError, match=r"model is damaged: model\.safetensors changed"):
        Run.open(copy).load_model()


@pytest.mark.parametrize("text", ["2", "s02 - s03", "1 - 2", " S03 , 1", "s01,s02-s03", "1-9"])
def test_train_accepts_the_participant_lists_of_prepare(prepared, tmp_path, text):
    """One grammar: `train` selects from the store what `prepare` selects from a manifest."""
    names = PreparedStore.open(prepared).participants
    (tmp_path / "video.mp4").write_bytes(b"not read here")
    rows = [f"{name},1,1,video.mp4,6,5" for name in names]
    header = "participant,trial,stimulus,video,duration_s,valence"
    manifest = tmp_path / "trials.csv"
    manifest.write_text("\n".join([header, *rows]))
    expected = ManifestRecordings(manifest, text).participants()
    labeled = LabeledSegments.open(prepared, small_settings(f"data.participants={text}"))
    assert sorted(set(labeled.segments.participant)) == expected
    assert expected


def test_train_refuses_a_single_class_and_warns_of_absent_ones(tmp_path):
    write_labeled_store(tmp_path / "store", participants=2, trials=6)
    settings = small_settings("data.threshold=9", "train.epochs=1")
    with pytest.raises(InputError, match="expected at least two classes"):
        train(tmp_path / "store", tmp_path / "run", settings)
    labeled = LabeledSegments.open(tmp_path / "store", small_settings())
    labels = np.where(labeled.labels == 3, -1, labeled.labels)
    labeled = dataclasses.replace(labeled, labels=labels)
    fold = holdout(labeled, "trial", 0.2, 0.2, 0)
    progress = RecordingProgress()
    device = Device.from_settings(small_settings().run)
    fit_fold(labeled, fold, small_settings("train.epochs=1"), device, log=TrainingLog(progress))
    assert any("no segment of HALV" in warning for warning in progress.warnings)


@pytest.mark.slow
def test_train_uses_the_eeg_of_a_participant_without_faces(tmp_path):
    write_labeled_store(tmp_path / "store", participants=2, trials=6, without_faces=("s02",))
    progress = RecordingProgress()
    settings = small_settings("train.epochs=1", "train.batch_size=500")
    result = train(tmp_path / "store", tmp_path / "run", settings, progress=progress)
    assert "s02 without faces" in progress.text
    assert "fewer than train.batch_size=500" in progress.text
    assert sum(result.metrics["segments"].values()) == 24
    usable = LabeledSegments.open(tmp_path / "store", small_settings("model.modalities=face"))
    assert set(usable.segments.participant[usable.labels >= 0]) == {"s01"}


@pytest.mark.slow
def test_train_uses_the_faces_of_a_participant_without_eeg(tmp_path):
    write_labeled_store(tmp_path / "store", participants=2, trials=6, without_eeg=("s01",))
    progress = RecordingProgress()
    result = train(
        tmp_path / "store", tmp_path / "run", small_settings("train.epochs=1"), progress=progress
    )
    assert "s01 without EEG" in progress.text
    assert sum(result.metrics["segments"].values()) == 24
    assert Run.open(result.run).bundle.channels == STORE_CHANNELS
    usable = LabeledSegments.open(tmp_path / "store", small_settings("model.modalities=eeg"))
    assert set(usable.segments.participant[usable.labels >= 0]) == {"s02"}


@pytest.mark.slow
def test_train_scores_with_the_micro_batch_size_that_fitted(prepared, tmp_path, monkeypatch):
    forward = MilmerModel.forward

    @functools.wraps(forward)  # Trainer inspects the signature
    def limited(self, *args, **bags):
        if len(next(iter(bags.values()))) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, *args, **bags)

    monkeypatch.setattr(MilmerModel, "forward", limited)
    result = train(prepared, tmp_path / "run", small_settings("train.epochs=1"))
    assert result.metrics["training"]["micro_batch_size"] == 4
    assert result.metrics["test"] is not None


@pytest.mark.slow
def test_train_does_not_change_a_frozen_backbone(prepared, tmp_path):
    frozen = small_settings("model.freeze_backbone=true")
    device = Device.from_settings(frozen.run)
    labeled = LabeledSegments.open(prepared, frozen)
    before = new_model(labeled, frozen, device)
    train(prepared, tmp_path / "run", frozen)
    after = Run.open(tmp_path / "run").load_model()
    for name, value in before.backbone.state_dict().items():
        assert torch.equal(value, after.backbone.state_dict()[name]), name
    assert not torch.equal(before.classifier.weight, after.classifier.weight)


def test_train_is_silent(prepared, tmp_path, capfd):
    train(prepared, tmp_path / "run", small_settings("model.modalities=eeg", "train.epochs=1"))
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


@pytest.mark.slow
def test_train_starts_again_after_a_failure_before_the_first_checkpoint(prepared, tmp_path):
    eeg = ("model.modalities=eeg", "train.epochs=1")
    with pytest.raises(SettingsError, match="heads"):
        train(prepared, tmp_path / "run", small_settings("model.num_heads=5", *eeg))
    train(prepared, tmp_path / "run", small_settings(*eeg))


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("model.freeze_backbone=true",)], ids=["trainable", "frozen"])
def test_train_dry_run_counts_and_measures_and_writes_nothing(prepared, tmp_path, more):
    files = sorted(path.name for path in prepared.iterdir())
    progress, out = RecordingProgress(), tmp_path / "run"
    result = train_dry_run(
        prepared, out, small_settings("train.epochs=10", *more), progress=progress
    )
    assert f"{out}: the run would start from the beginning." in progress.messages
    assert not out.exists()
    assert sorted(path.name for path in prepared.iterdir()) == files
    labeled = LabeledSegments.open(prepared, small_settings())
    fold = holdout(labeled, "trial", 0.2, 0.2, 0)
    for name, rows in fold.sets():
        assert sum(result.segments_per_class[name].values()) == len(rows)
    assert result.n_steps == 10 * -(-len(fold.train) // 8)
    assert result.training_s == pytest.approx(result.n_steps * result.step_s)
    assert result.step_s > 0
    assert (result.face_tokens_s > 0) == bool(more)
    # 3 images x 4 tokens of width 96 in float16
    assert result.face_tokens_bytes == (len(labeled.segments) * 3 * 4 * 96 * 2 if more else 0)
    assert (result.n_trainable_parameters < result.n_parameters) == bool(more)
    assert "HAHV" in dict(result.summary())["training set"]
    json.dumps(result.to_json())


def test_train_dry_run_checks_the_run_folder(run, prepared, tmp_path):
    with pytest.raises(InputError, match="contains another run with"):
        train_dry_run(prepared, run.run, small_settings())
    progress = RecordingProgress()
    finished = small_settings("train.epochs=6", "train.lr=1e-3")
    train_dry_run(prepared, run.run, finished, progress=progress)
    assert "already contains this finished run" in progress.text
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not a run folder"):
        train_dry_run(prepared, tmp_path, small_settings())


def test_train_restart_removes_nothing_if_the_training_cannot_start(run, prepared):
    before = sorted(run.run.rglob("*"))
    with pytest.raises(SettingsError, match="heads"):
        train(prepared, run.run, small_settings("model.num_heads=5"), restart=True)
    missing = small_settings(f"model.backbone={run.run / 'nothing'}")
    with pytest.raises(WeightsError):
        train(prepared, run.run, missing, restart=True)
    assert sorted(run.run.rglob("*")) == before
