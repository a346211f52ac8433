"""Properties of the stages together, on the files of the synthetic data set."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from torch.utils.data import default_collate

from helpers import RecordingProgress
from milmer_cli.data.dataset import BagDataset
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import QUADRANTS, make_labels
from milmer_cli.datasets.deap.recordings import DeapRecordings
from milmer_cli.datasets.synthetic import TRUTH_NAME, SyntheticConfig, generate_dataset, read_truth
from milmer_cli.datasets.synthetic.config import MARK_CHANNEL
from milmer_cli.datasets.synthetic.face_video import read_mark
from milmer_cli.prediction.request import Outputs, Request
from milmer_cli.settings import load_settings
from milmer_cli.stages import demo
from milmer_cli.stages.evaluate_run import evaluate_run
from milmer_cli.stages.predict import predict
from milmer_cli.stages.prepare import prepare
from milmer_cli.stages.train import train
from milmer_cli.store import PreparedStore
from milmer_cli.training.run_dir import Run
from milmer_cli.video.frames import VideoReader

pytestmark = pytest.mark.slow

CONFIG = SyntheticConfig(participants=2, trials=6, stimulus_s=6.0, marks=True, expression_images=0)
SMALL = [
    "faces.image_size=112",
    "model.backbone=scratch:micro",
    "model.freeze_backbone=true",
    "model.dim_feedforward=64",
    "train.epochs=2",
    "evaluate.protocols=[trial]",
    "evaluate.n_bootstraps=100",
    "evaluate.n_permutations=100",
    "run.workers=1",
    "run.device=cpu",
]


@pytest.fixture(scope="session")
def root(made_once):
    return made_once("pipeline-data", lambda folder: generate_dataset(folder, CONFIG, workers=1))


@pytest.fixture(scope="session")
def truth(root):
    return read_truth(root / TRUTH_NAME)


@pytest.fixture(scope="session")
def prepared(made_once, root):
    recordings = DeapRecordings(root)
    return made_once(
        "pipeline-prepared", lambda out: prepare(recordings, out, load_settings(overrides=SMALL))
    )


@pytest.fixture(scope="session")
def run(made_once, prepared):
    return made_once(
        "pipeline-run", lambda out: train(prepared, out, load_settings(overrides=SMALL))
    )


@pytest.fixture(scope="session")
def demo_folder(made_once, prepared, run):
    """A folder whose ``evaluation`` contains the evaluation of the run."""
    settings = load_settings(overrides=SMALL)
    return made_once(
        "pipeline-demo", lambda out: evaluate_run(run, prepared, out / "evaluation", settings)
    )


def _mark_frequency(store: PreparedStore, participant: str, trial: int) -> float:
    """Return the frequency of the mark in a trial's stored EEG, in Hz."""
    p = store.participant(participant)
    rows = np.flatnonzero(p.trial == trial)
    signal = np.concatenate([p.eeg[row][p.channels.index(MARK_CHANNEL)] for row in rows])
    power = np.abs(np.fft.rfft(signal * np.hanning(len(signal)))) ** 2
    hertz = np.fft.rfftfreq(len(signal), 1 / p.sfreq)
    above_delta = hertz > 4.5  # delta waves are stronger than the mark
    return float(hertz[above_delta][power[above_delta].argmax()])


@pytest.mark.parametrize("source", ["bdf", "dat", "mat"])
def test_prepare_eeg_video_and_ratings_of_a_trial_belong_together(
    tmp_path, root, truth, prepared, source
):
    """The marks in EEG and video identify the stimulus of the ratings."""
    recordings = DeapRecordings(root, source=source)
    store = PreparedStore.open(prepared)
    if source != "bdf":  # the fixture `prepared` contains the BDF files
        settings = load_settings(overrides=[*SMALL, "faces.instances=1"])
        prepare(recordings, tmp_path / source, settings)
        store = PreparedStore.open(tmp_path / source)
    for participant in truth.participants:
        for trial, scheduled in zip(
            recordings.trials(participant.name), participant.trials, strict=True
        ):
            assert (trial.trial, trial.stimulus) == (scheduled.trial, scheduled.stimulus)
            assert trial.ratings == pytest.approx(scheduled.ratings, abs=0.005)
            assert _mark_frequency(store, participant.name, trial.trial) == pytest.approx(
                scheduled.mark_hz, abs=0.2
            )
            if scheduled.video:
                (frame,) = VideoReader(trial.video.path).frames_at(np.array([1.0]))
                assert read_mark(frame.image) == scheduled.stimulus
            else:
                assert trial.video is None


def test_prepare_ratings_give_the_scheduled_quadrants(truth, prepared):
    segments = PreparedStore.open(prepared).segments()
    labels = make_labels(segments.ratings, load_settings().data)
    scheduled = {
        f"{participant.name}/{trial.trial:02d}": trial
        for participant in truth.participants
        for trial in participant.trials
        if not trial.tied
    }
    names = ("HAHV", "LAHV", "LALV", "HALV")
    for trial_id, label in zip(segments.trial_id, labels, strict=True):
        if trial_id in scheduled:
            assert names[label] == scheduled[trial_id].quadrant


def test_bag_dataset_has_microvolts_and_marks_missing_faces(truth, prepared):
    store = PreparedStore.open(prepared)
    segments = store.segments()
    labels = make_labels(segments.ratings, load_settings().data)
    batch = default_collate(
        [
            BagDataset(
                LabeledSegments(store, segments, labels, QUADRANTS), np.arange(len(segments))
            )[0]
        ]
    )
    first = store.participant(str(segments.participant[0]))
    np.testing.assert_array_equal(batch["eeg"][0].numpy(), first.eeg[0])
    # the sine wave at Oz and the brain waves have about 20 uV each; in volts this would be 2e-5
    assert 5 < float(batch["eeg"][0][first.channels.index(MARK_CHANNEL)].std()) < 60
    found = batch["faces_found"][0].numpy()
    spans = truth.participants[0].trials[0].spans
    without_face = [span for span in spans if span.pattern is None and span.stop_s <= 3.0]
    middles = (np.arange(10) + 0.5) * 0.3
    hidden = np.array([any(s.start_s <= t < s.stop_s for s in without_face) for t in middles])
    np.testing.assert_array_equal(found, ~hidden)
    assert not batch["faces"][0][~batch["faces_found"][0]].any()


def test_predict_gives_the_probabilities_of_evaluate(tmp_path, root, truth, run, demo_folder):
    settings = load_settings(overrides=SMALL)
    header, *rows = [
        line.split(",")
        for line in (demo_folder / "evaluation" / "predictions.csv").read_text().splitlines()
    ]
    table = [dict(zip(header, row, strict=True)) for row in rows]
    compared = 0
    for participant in truth.participants:
        for scheduled in participant.trials:
            stored = [
                [float(value) for name, value in row.items() if name.startswith("p_")]
                for row in table
                if row["participant"] == participant.name and int(row["trial"]) == scheduled.trial
            ]
            if not stored or scheduled.video is None:
                continue
            request = Request(
                root / scheduled.video,
                root / "data_original" / f"{participant.name}.bdf",
                trial=scheduled.trial,
            )
            outputs = Outputs(tmp_path / f"{participant.name}-{scheduled.trial}")
            result = predict(request, run, outputs, settings)
            np.testing.assert_allclose(result.probabilities, stored, atol=2e-6)
            compared += 1
    assert compared >= 2


def test_run_demo_reads_the_result_of_evaluate(truth, demo_folder, monkeypatch):
    monkeypatch.setattr(demo, "generate_dataset", lambda *_: truth)
    monkeypatch.setattr(demo, "run_stage", lambda *_: 0)
    result = demo.run_demo(demo_folder)
    n_correct = round(3 * result.accuracies["Milmer"])
    assert result.headline.startswith(f"trial protocol: {n_correct} of 3 test trials correct")
    assert result.verdict
    assert list(result.seconds) == [
        "data",
        "prepare",
        "finetune-swin",
        "train",
        "evaluate",
        "predict",
    ]


def test_prepare_again_keeps_everything_and_a_new_filter_keeps_the_faces(
    tmp_path, root, prepared, monkeypatch
):
    out = tmp_path / "store"
    shutil.copytree(prepared, out)
    settings = load_settings(overrides=SMALL)
    repeated = prepare(DeapRecordings(root), out, settings)
    assert (repeated.prepared, len(repeated.unchanged)) == ((), 2)

    def decode_again(*_, **__):
        raise AssertionError("the video was decoded again")

    monkeypatch.setattr("milmer_cli.preprocessing.iter_faces", decode_again)
    settings = load_settings(overrides=[*SMALL, "eeg.band_hz=[4,45]"])
    redone = prepare(DeapRecordings(root), out, settings)
    assert redone.prepared == repeated.unchanged
    before, after = PreparedStore.open(prepared), PreparedStore.open(out)
    for name in before.participants:
        old, new = before.participant(name), after.participant(name)
        assert old.encoded_faces(0) == new.encoded_faces(0)
        assert np.abs(old.eeg[0] - new.eeg[0]).max() > 0.1


def test_train_headline_has_the_protocol_and_the_majority_rate(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert " of 3 test trials correct (no accuracy: at least 14" in metrics["headline"]
    assert metrics["headline"].startswith("trial protocol: ")
    assert "majority" in metrics["headline"]


def test_predict_recognizes_the_recordings_of_its_run_after_a_rename(root, prepared, run, tmp_path):
    settings = load_settings(overrides=["run.device=cpu"])
    assert str(root) not in (run / "model" / "sources.json").read_text()
    labeled = LabeledSegments.open(prepared, load_settings(overrides=SMALL))
    (fold,) = Run.open(run).splits(labeled).folds
    (bdf,) = root.rglob("s01.bdf")
    copy = shutil.copy(bdf, tmp_path / "renamed.bdf")
    for name, rows in fold.sets():
        trials = labeled.segments.trial[rows][labeled.segments.participant[rows] == "s01"]
        if not len(trials):
            continue
        request = Request(eeg=copy, trial=int(trials[0]))
        progress = RecordingProgress()
        result = predict(request, run, Outputs(), settings, progress=progress)
        assert result.sets == (name,)
        [warning] = [text for text in progress.warnings if "This recording is in the" in text]
        assert f"the {name} set (trial {trials[0]}) of the model" in warning
    assert dict(result.summary())["tested on"] == (
        "new trials of the same 2 participants; for a new person, run `milmer evaluate --protocol "
        "participant`"
    )
    # of the training recordings, all had EOG channels, and so has this one
    assert not any("training recordings" in note for note in result.notes)
    assert Run.open(run).bundle.training.eog_methods == {"eog_regression": 2}
