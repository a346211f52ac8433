"""train: from a prepared store to a run folder that tells the truth and that others can use."""

from __future__ import annotations

import functools
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from milmer_cli.compute import Compute
from milmer_cli.data.dataset import Bags, collate
from milmer_cli.data.splits import holdout
from milmer_cli.errors import InputError, SettingsError, WeightsError
from milmer_cli.model import MilmerModel
from milmer_cli.settings import load_settings
from milmer_cli.stages.train import train
from milmer_cli.stages.train_plan import plan_training
from milmer_cli.store import (
    EncodedFaces,
    Header,
    PreparedTrial,
    encode_face,
    write_index,
    write_participant,
)
from milmer_cli.training.folds import bags_of, new_model, probabilities_of, train_fold
from milmer_cli.training.history import read_history
from milmer_cli.training.material import Material, chosen_participants
from milmer_cli.training.runfolder import MARKER, Run
from milmer_cli.training.tokens import face_token_files

CHANNELS = ("Fp1", "Fz", "Cz", "Oz")
QUADRANT_RATINGS = [(8, 8), (8, 2), (2, 2), (2, 8)]  # valence, arousal of classes 0..3
SMALL = [
    "model.backbone=scratch:micro",
    "model.feedforward=32",
    "model.encoder_layers=1",
    "model.num_select=2",
    "train.epochs=2",
    "train.batch_size=8",
    "evaluate.bootstrap=100",
    "evaluate.permutations=100",
    "run.device=cpu",
    "run.report_to=none",
]


def make_store(folder, participants=3, trials=8, segments=2, without_faces=(), without_eeg=()):
    """Every trial's class is told by a shift of the EEG and by the brightness of the faces."""
    plain = load_settings().model_dump(mode="json")
    kept = {
        "eeg": {**plain["eeg"], "segment_s": 0.5},
        "faces": {**plain["faces"], "size": 32, "instances": 3},
    }
    names = [f"s{number + 1:02d}" for number in range(participants)]
    for number, name in enumerate(names):
        draw = np.random.default_rng(number)
        made = []
        for trial in range(1, trials + 1):
            kind = int((trial + number) % 4)
            eeg = draw.normal(size=(segments, len(CHANNELS), 64)).astype(np.float32) * 10
            eeg[:, kind, :32] += 30
            faces = None
            if name not in without_faces:
                tone = 40 + 50 * kind
                images = [
                    encode_face(np.full((32, 32, 3), tone + draw.integers(20), np.uint8))
                    for _ in range(segments * 3)
                ]
                found = np.ones((segments, 3), bool)
                found[0, 0] = False
                images[0] = b""
                faces = EncodedFaces(
                    images,
                    found,
                    np.zeros((segments, 3), np.float32),
                    np.zeros((segments, 3, 4), np.float32),
                    np.ones((segments, 3), np.float32),
                    np.where(found, "", "no face").astype(object),
                )
            made.append(
                PreparedTrial(
                    trial=trial,
                    stimulus=trial,
                    ratings=np.array([*QUADRANT_RATINGS[kind], 5, 5], np.float32),
                    onset=np.arange(segments, dtype=np.float32) / 2,
                    eeg=None if name in without_eeg else eeg,
                    faces=faces,
                )
            )
        header = Header(
            participant=name,
            sfreq=128.0,
            channels=() if name in without_eeg else CHANNELS,
            segment_s=0.5,
            instances=3,
            face_size=32,
            settings=kept,
            fingerprints={"eeg": "a" * 64, "faces": f"{number}" * 64},
        )
        write_participant(folder / f"{name}.h5", header, made)
    write_index(folder, kept, names)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    make_store(folder)
    return folder


def asked(*more):
    return load_settings(overrides=[*SMALL, *more])


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "first"
    return train(prepared, out, asked("train.epochs=6", "train.lr=1e-3"))


class Listener:
    def __init__(self):
        self.notes = []

    def start(self, task, total=None, unit=""): ...
    def advance(self, task, by=1.0): ...
    def done(self, task): ...
    def note(self, message, level="info"):
        self.notes.append((level, message))


def test_result_names_protocol_and_majority(run):
    line = dict(run.summary())["test part"]
    assert "trial protocol" in line
    assert "majority" in line
    assert run.to_json()["protocol"] == "trial"
    json.dumps(run.to_json())


def test_run_folder_holds_all_that_others_need(run, prepared):
    names = {path.name for path in run.run.iterdir()}
    assert names == {
        "settings-asked.yaml", "settings.yaml", "splits.json", "model", "history.csv",
        "learning-curve.png", "metrics.json", "environment.json",
    }  # fmt: skip
    opened = Run.open(run.run)
    assert opened.channels == CHANNELS
    assert (opened.sfreq, opened.segment_s, opened.instances, opened.face_size) == (128, 0.5, 3, 32)
    assert opened.class_names == ("HAHV", "LAHV", "LALV", "HALV")
    assert "above 5" in opened.label_rule
    assert opened.settings.eeg.segment_s == 0.5, "the store's settings, not the defaults"
    assert opened.settings.faces.size == 32
    assert opened.environment["seed"] == 0
    assert opened.environment["versions"]["torch"] == torch.__version__
    asked_text = (run.run / "settings-asked.yaml").read_text()
    assert "segment_s" not in asked_text
    assert "scratch:micro" in asked_text
    assert len(read_history(run.run / "history.csv")) == 6


def test_stored_model_gives_the_scores_in_metrics(run, prepared):
    opened = Run.open(run.run)
    material = Material.open(prepared, opened.settings)
    fold = opened.splits(material.segments, material.labels).folds[0]
    probabilities = probabilities_of(
        opened.load_model(), material.store, material.segments, material.labels, fold.test,
        opened.settings, Compute.choose(opened.settings.run),
    )  # fmt: skip
    truth = material.labels[fold.test]
    accuracy = float(np.mean(probabilities.argmax(axis=1) == truth))
    stored = json.loads((run.run / "metrics.json").read_text())
    assert stored["test"]["segment"]["accuracy"]["value"] == pytest.approx(accuracy)
    assert stored["segments"]["test"] == len(fold.test)
    assert accuracy > 0.5, "the class is plain to see in this store"


def test_parts_share_no_trial(run, prepared):
    opened = Run.open(run.run)
    segments = Material.open(prepared, opened.settings).segments
    fold = opened.splits(segments).folds[0]
    trials = [set(segments.trial_id[rows]) for _, rows in fold.parts()]
    assert not trials[0] & trials[1]
    assert not (trials[0] | trials[1]) & trials[2]


def test_the_same_run_is_not_trained_again(run, prepared):
    before = (run.run / "model" / "model.safetensors").stat().st_mtime_ns
    again = train(prepared, run.run, asked("train.epochs=6", "train.lr=1e-3"))
    assert (run.run / "model" / "model.safetensors").stat().st_mtime_ns == before
    assert again.headline == run.headline


def test_another_run_is_not_overwritten(run, prepared, tmp_path):
    with pytest.raises(InputError, match=r"train\.lr=0\.001 instead of 0\.0001"):
        train(prepared, run.run, asked("train.epochs=6"))
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mine.txt").write_text("dear")
    with pytest.raises(InputError, match="no run folder"):
        train(prepared, tmp_path / "letters", asked())


def test_same_seed_same_weights(prepared, tmp_path):
    for name in "ab":
        train(prepared, tmp_path / name, asked("train.epochs=1", "model.modalities=eeg"))
    files = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in "ab"]
    assert files[0] == files[1]


def test_unfinished_run_is_not_opened_and_goes_on_with_resume(prepared, tmp_path, monkeypatch):
    class PowerCutError(Exception):
        pass

    def cut(*_):
        raise PowerCutError

    settings = asked("model.modalities=eeg")
    whole = train(prepared, tmp_path / "whole", settings)
    with monkeypatch.context() as patched:
        patched.setattr("milmer_cli.training.engine.Engine.restore_best", cut)
        with pytest.raises(PowerCutError):
            train(prepared, tmp_path / "cut", settings)
    assert (tmp_path / "cut" / MARKER).exists()
    with pytest.raises(InputError, match="has not finished"):
        Run.open(tmp_path / "cut")
    with pytest.raises(InputError, match="unfinished") as caught:
        train(prepared, tmp_path / "cut", settings)
    assert "--resume" in caught.value.hint
    resumed = train(prepared, tmp_path / "cut", settings, resume=True)
    assert resumed.headline == whole.headline
    same = [path / "model" / "model.safetensors" for path in (whole.run, resumed.run)]
    assert same[0].read_bytes() == same[1].read_bytes()


def test_settings_that_the_store_was_not_made_with_are_refused(prepared, tmp_path):
    with pytest.raises(SettingsError, match=r"eeg\.segment_s=2.* prepared with 0\.5"):
        train(prepared, tmp_path / "run", asked("eeg.segment_s=2"))
    assert not (tmp_path / "run").exists()


def test_missing_store_and_foreign_folder_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match="no prepared folder"):
        train(tmp_path / "nowhere", tmp_path / "run", asked())
    with pytest.raises(InputError, match="not a run folder"):
        Run.open(tmp_path)


def test_a_run_whose_weights_do_not_fit_is_refused_and_never_filled_up(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run.run, copy)
    weights = copy / "model" / "model.safetensors"
    state = load_file(weights)
    del state["channel_embedding"]
    save_file(state, weights, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lacks 1 of .*channel_embedding"):
        Run.open(copy).load_model()


def test_participants_are_chosen_by_name_number_and_range(prepared, tmp_path):
    names = ["s01", "s02", "s03", "s10"]
    assert chosen_participants(names, "") == names
    assert chosen_participants(names, "2-3, s10") == ["s02", "s03", "s10"]
    with pytest.raises(InputError, match="'4'"):
        chosen_participants(names, "1,4")
    material = Material.open(prepared, asked("data.participants=2"))
    assert set(material.segments.participant) == {"s02"}


def test_one_class_only_is_refused_and_an_absent_one_is_told(tmp_path):
    make_store(tmp_path / "store", participants=2, trials=6)
    settings = asked("data.threshold=9", "train.epochs=1")
    with pytest.raises(InputError, match="nothing to tell apart"):
        train(tmp_path / "store", tmp_path / "run", settings)
    material = Material.open(tmp_path / "store", asked())
    labels = np.where(material.labels == 3, -1, material.labels)
    fold = holdout(material.segments, labels, "trial", 0.2, 0.2, 0)
    listener = Listener()
    train_fold(
        material.store, material.segments, labels, fold, asked("train.epochs=1"), None,
        Compute.choose(asked().run), listener,
    )  # fmt: skip
    assert any("no segment of HALV" in note for level, note in listener.notes if level == "warning")


def test_participant_without_faces_is_told_and_trained_on_eeg(tmp_path):
    make_store(tmp_path / "store", participants=2, trials=6, without_faces=("s02",))
    listener = Listener()
    settings = asked("train.epochs=1", "train.batch_size=500")
    result = train(tmp_path / "store", tmp_path / "run", settings, progress=listener)
    told = [note for _, note in listener.notes]
    assert any("No faces for s02" in note for note in told)
    assert any("fewer than a batch of 500" in note for note in told)
    assert sum(result.metrics["segments"].values()) == 24
    seen = Material.open(tmp_path / "store", asked("model.modalities=face"))
    assert set(seen.segments.participant[seen.labels >= 0]) == {"s01"}


def test_participant_without_eeg_is_told_and_trained_on_faces(tmp_path):
    make_store(tmp_path / "store", participants=2, trials=6, without_eeg=("s01",))
    listener = Listener()
    result = train(tmp_path / "store", tmp_path / "run", asked("train.epochs=1"), progress=listener)
    assert any("No EEG for s01" in note for _, note in listener.notes)
    assert sum(result.metrics["segments"].values()) == 24
    assert Run.open(result.run).channels == CHANNELS
    seen = Material.open(tmp_path / "store", asked("model.modalities=eeg"))
    assert set(seen.segments.participant[seen.labels >= 0]) == {"s02"}


def test_a_training_that_fell_back_to_smaller_pieces_is_tested_in_them(
    prepared, tmp_path, monkeypatch
):
    forward = MilmerModel.forward

    @functools.wraps(forward)  # Trainer looks at its signature
    def small(self, *args, **bags):
        if len(next(iter(bags.values()))) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, *args, **bags)

    monkeypatch.setattr(MilmerModel, "forward", small)
    result = train(prepared, tmp_path / "run", asked("train.epochs=1"))
    assert result.metrics["training"]["micro_batch"] == 4
    assert result.metrics["test"] is not None


# A frozen backbone ---------------------------------------------------------------------------


def test_frozen_backbone_trains_from_tokens_as_from_faces(prepared):
    frozen = asked("model.freeze_backbone=true", "model.modality_dropout=0")
    compute = Compute.choose(frozen.run)
    material = Material.open(prepared, frozen)
    model = new_model(material.store, material.segments, frozen, compute)
    rows = np.arange(12)
    args = (material.store, material.segments, material.labels, rows)
    kept = bags_of(model, *args, frozen, compute)
    live = Bags(*args)
    model.eval()
    with torch.inference_mode():
        outputs = []
        for data in (kept, live):
            batch = collate([data[row] for row in rows])
            for name in ("labels", "index"):
                batch.pop(name)
            outputs.append(model(**batch))
    assert "faces" not in kept[0]
    assert kept[0]["face_tokens"].dtype == torch.float16
    torch.testing.assert_close(outputs[0].logits, outputs[1].logits, atol=2e-3, rtol=2e-3)
    assert torch.equal(outputs[0].chosen, outputs[1].chosen)


def test_tokens_are_computed_once_and_again_for_other_weights(prepared, tmp_path, monkeypatch):
    frozen = asked("model.freeze_backbone=true")
    compute = Compute.choose(frozen.run)
    material = Material.open(prepared, frozen)
    model = new_model(material.store, material.segments, frozen, compute)
    calls = []
    encode = type(model).encode_faces

    def counted(self, faces, *rest):
        calls.append(len(faces))
        return encode(self, faces, *rest)

    monkeypatch.setattr(type(model), "encode_faces", counted)
    args = (material.store, ["s01", "s02"], tmp_path, compute)
    first = face_token_files(model, *args)
    assert sum(calls) == 32
    first["s02"].unlink()  # as if killed before the second was whole
    face_token_files(model, *args)
    assert sum(calls) == 48
    with torch.no_grad():
        next(model.backbone.parameters()).add_(1)
    again = face_token_files(model, *args)
    assert sum(calls) == 80
    assert not set(again.values()) & set(first.values())


def test_tokens_are_those_of_the_rows_and_the_same_for_every_precision(tmp_path):
    """The fingerprint of the faces alone stays when a trial without video moves the rows."""
    files = {}
    for trials, precision in ((2, "float32"), (2, "bfloat16"), (3, "float32")):
        frozen = asked("model.freeze_backbone=true", f"run.precision={precision}")
        compute = Compute.choose(frozen.run)
        make_store(tmp_path / f"{trials}", participants=1, trials=trials)
        material = Material.open(tmp_path / f"{trials}", frozen)
        model = new_model(material.store, material.segments, frozen, compute)
        to = tmp_path / f"{trials}{precision}"
        files[trials, precision] = face_token_files(model, material.store, ["s01"], to, compute)
    plain, half, moved = (found["s01"] for found in files.values())
    assert plain.name == half.name != moved.name
    np.testing.assert_array_equal(np.load(half), np.load(plain))


def test_frozen_backbone_does_not_move(prepared, tmp_path):
    frozen = asked("model.freeze_backbone=true")
    compute = Compute.choose(frozen.run)
    material = Material.open(prepared, frozen)
    before = new_model(material.store, material.segments, frozen, compute)
    train(prepared, tmp_path / "run", frozen)
    after = Run.open(tmp_path / "run").load_model()
    for name, value in before.backbone.state_dict().items():
        assert torch.equal(value, after.backbone.state_dict()[name]), name
    assert not torch.equal(before.classifier.weight, after.classifier.weight)


def test_train_is_silent(prepared, tmp_path, capfd):
    train(prepared, tmp_path / "run", asked("model.modalities=eeg", "train.epochs=1"))
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_a_run_that_failed_before_its_first_checkpoint_stands_in_nobodys_way(prepared, tmp_path):
    eeg = ("model.modalities=eeg", "train.epochs=1")
    with pytest.raises(SettingsError, match="heads"):
        train(prepared, tmp_path / "run", asked("model.heads=5", *eeg))
    train(prepared, tmp_path / "run", asked(*eeg))


# A dry run -----------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(), ("model.freeze_backbone=true",)], ids=["live", "frozen"])
def test_dry_run_counts_and_estimates_and_writes_nothing(prepared, more):
    before = sorted(path.name for path in prepared.iterdir())
    plan = plan_training(prepared, asked("train.epochs=10", *more))
    assert sorted(path.name for path in prepared.iterdir()) == before
    material = Material.open(prepared, asked())
    fold = holdout(material.segments, material.labels, "trial", 0.2, 0.2, 0)
    for part, rows in fold.parts():
        assert sum(plan.segments_per_class[part].values()) == len(rows)
    assert plan.estimate.steps == 10 * -(-len(fold.train) // 8)
    assert plan.estimate.total_s > plan.estimate.steps * plan.estimate.step_s > 0
    assert plan.estimate.memory_bytes > 1e7
    assert (plan.estimate.tokens_s > 0) == bool(more)
    assert (plan.estimate.learning < plan.estimate.parameters) == bool(more)
    words = dict(plan.summary())
    assert "HAHV" in words["training"]
    json.dumps(plan.to_json())
