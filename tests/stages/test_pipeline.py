"""The stages together, on real files: what no room can promise by itself."""

from __future__ import annotations

import json

import numpy as np
import pytest

from milmer_cli.data.dataset import Bags, collate
from milmer_cli.data.labels import classes
from milmer_cli.demo import DemoSpec, DemoTruth, make_demo_data
from milmer_cli.demo.spec import MARK_CHANNEL
from milmer_cli.demo.video import read_mark
from milmer_cli.recordings.deap import DeapRecordings
from milmer_cli.recordings.video import frames_at
from milmer_cli.settings import load_settings
from milmer_cli.stages.evaluate import evaluate
from milmer_cli.stages.predict import predict
from milmer_cli.stages.prepare import prepare
from milmer_cli.stages.train import train
from milmer_cli.store import PreparedStore

SPEC = DemoSpec(participants=2, trials=8, stimulus_s=6.0, marks=True, expression_images=0)
SMALL = [
    "faces.size=112",
    "model.backbone=scratch:micro",
    "model.freeze_backbone=true",
    "model.feedforward=64",
    "train.epochs=2",
    "evaluate.bootstrap=100",
    "evaluate.permutations=100",
    "run.workers=1",
    "run.device=cpu",
]


@pytest.fixture(scope="session")
def root(made_once):
    return made_once("pipeline-data", lambda folder: make_demo_data(folder, SPEC, workers=1))


@pytest.fixture(scope="session")
def truth(root):
    return DemoTruth.load(root)


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


def _frequency(store: PreparedStore, participant: str, trial: int) -> float:
    """Where the mark's sine stands in the spectrum of a trial's stored EEG, in Hz."""
    p = store.participant(participant)
    rows = np.flatnonzero(p.trial == trial)
    signal = np.concatenate([p.eeg[row][p.channels.index(MARK_CHANNEL)] for row in rows])
    power = np.abs(np.fft.rfft(signal * np.hanning(len(signal)))) ** 2
    hertz = np.fft.rfftfreq(len(signal), 1 / p.sfreq)
    inside = hertz > 4.5  # slow waves are stronger than any mark
    return float(hertz[inside][power[inside].argmax()])


@pytest.mark.parametrize("source", ["bdf", "dat", "mat"])
def test_eeg_video_and_ratings_of_a_trial_meet(tmp_path, root, truth, prepared, source):
    """The planted marks name the same clip in the EEG, in the video and in the ratings."""
    recordings = DeapRecordings(root, source=source)
    store = PreparedStore.open(prepared)
    if source != "bdf":  # `prepared` is from the BDF files; here the EEG alone is made again
        settings = load_settings(overrides=[*SMALL, "faces.instances=1"])
        prepare(recordings, tmp_path / source, settings)
        store = PreparedStore.open(tmp_path / source)
    for who in truth.participants:
        for trial, planned in zip(recordings.trials(who.name), who.trials, strict=True):
            assert (trial.trial, trial.stimulus) == (planned.trial, planned.stimulus)
            assert trial.ratings == pytest.approx(planned.ratings, abs=0.005)
            assert _frequency(store, who.name, trial.trial) == pytest.approx(
                planned.mark_hz, abs=0.2
            )
            if planned.video:
                (_, _, frame), *_ = frames_at(trial.video.path, np.array([1.0]))
                assert read_mark(frame) == planned.stimulus
            else:
                assert trial.video is None


def test_ratings_in_the_store_give_the_planned_quadrants(truth, prepared):
    segments = PreparedStore.open(prepared).segments()
    labels = classes(segments.ratings, load_settings().data)
    planned = {
        f"{who.name}/{trial.trial:02d}": trial
        for who in truth.participants
        for trial in who.trials
        if not trial.tied
    }
    names = ("HAHV", "LAHV", "LALV", "HALV")
    for trial_id, label in zip(segments.trial_id, labels, strict=True):
        if trial_id in planned:
            assert names[label] == planned[trial_id].quadrant


def test_microvolts_and_missing_faces_reach_the_batch(truth, prepared):
    store = PreparedStore.open(prepared)
    segments = store.segments()
    labels = classes(segments.ratings, load_settings().data)
    batch = collate([Bags(store, segments, labels, np.arange(len(segments)))[0]])
    first = store.participant(str(segments.participant[0]))
    np.testing.assert_array_equal(batch["eeg"][0].numpy(), first.eeg[0])
    # a 20 uV sine at Oz under brain waves of about as much: microvolts, not volts
    assert 5 < float(batch["eeg"][0][first.channels.index(MARK_CHANNEL)].std()) < 60
    seen = batch["faces_found"][0].numpy()
    spans = truth.participants[0].trials[0].spans
    away = [span for span in spans if span.pattern is None and span.stop_s <= 3.0]
    middles = (np.arange(10) + 0.5) * 0.3
    hidden = np.array([any(s.start_s <= t < s.stop_s for s in away) for t in middles])
    np.testing.assert_array_equal(seen, ~hidden)
    assert not batch["faces"][0][~batch["faces_found"][0]].any()


def test_predict_on_the_files_of_a_trial_is_evaluate_on_its_stored_rows(
    tmp_path, root, truth, prepared, run
):
    settings = load_settings(overrides=SMALL)
    evaluate(prepared, tmp_path / "evaluation", settings, run=run)
    header, *rows = [
        line.split(",")
        for line in (tmp_path / "evaluation" / "predictions.csv").read_text().splitlines()
    ]
    table = [dict(zip(header, row, strict=True)) for row in rows]
    compared = 0
    for who in truth.participants:
        for planned in who.trials:
            stored = [
                [float(value) for name, value in row.items() if name.startswith("p_")]
                for row in table
                if row["participant"] == who.name and int(row["trial"]) == planned.trial
            ]
            if not stored or planned.video is None:
                continue
            result = predict(
                root / planned.video,
                root / "data_original" / f"{who.name}.bdf",
                run,
                tmp_path / f"{who.name}-{planned.trial}",
                settings,
                trial=planned.trial,
            )
            np.testing.assert_allclose(result.probabilities, stored, atol=2e-6)
            compared += 1
    assert compared >= 2


def test_preparing_again_does_nothing_and_a_new_filter_leaves_the_faces(
    tmp_path, root, prepared, monkeypatch
):
    import shutil

    out = tmp_path / "store"
    shutil.copytree(prepared, out)
    settings = load_settings(overrides=SMALL)
    again = prepare(DeapRecordings(root), out, settings)
    assert (again.made, len(again.kept)) == ((), 2)

    def forbidden(*_, **__):
        raise AssertionError("the video was decoded again")

    monkeypatch.setattr("milmer_cli.stages.segments.find_faces", forbidden, raising=False)
    monkeypatch.setattr("milmer_cli.stages.segments.iter_faces", forbidden, raising=False)
    settings = load_settings(overrides=[*SMALL, "eeg.band_hz=[4,45]"])
    redone = prepare(DeapRecordings(root), out, settings)
    assert redone.made == again.kept
    before, after = PreparedStore.open(prepared), PreparedStore.open(out)
    for name in before.participants:
        old, new = before.participant(name), after.participant(name)
        assert old.encoded_faces(0) == new.encoded_faces(0)
        assert np.abs(old.eeg[0] - new.eeg[0]).max() > 0.1


def test_the_run_names_its_protocol_and_the_majority_rate(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["headline"].startswith("trial protocol: accuracy ")
    assert "majority" in metrics["headline"]
