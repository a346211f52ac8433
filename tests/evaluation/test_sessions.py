"""The session protocol on EEG that shows the recording session and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from helpers import RecordingProgress, read_csv, write_eeg_store
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import EXCLUDED
from milmer_cli.errors import InputError
from milmer_cli.evaluation.baselines import BAND_POWER
from milmer_cli.metrics.shortcuts import IDENTITIES
from milmer_cli.stages.evaluate import evaluate
from milmer_cli.store import PreparedTrial

pytestmark = pytest.mark.slow

CHANNELS = ("Fp1", "Fp2", "Cz", "Oz")
SESSIONS, TRIALS = 3, 12
BANDS_HZ = (6, 10, 20, 40)
OVERRIDES = (
    "data.target=label",
    "model.modalities=eeg",
    "evaluate.protocols=[trial,session]",
    "evaluate.folds=3",
    "evaluate.n_permutations=200",
)


def write_store(folder: Path) -> Path:
    """Five of six trials of a session have one class; the EEG is that of the session."""
    random, time = np.random.default_rng(3), np.arange(128) / 128
    people = {}
    for name in ("s01", "s02", "s03", "s04", "s05"):
        people[name] = []
        for number in range(SESSIONS * TRIALS):
            session, position = divmod(number, TRIALS)
            if not position:
                usual, amplitude = int(random.integers(2)), random.uniform(2, 40, (4, 4))
            label = usual if position % 6 else 1 - usual
            eeg = random.normal(0, 2, (1, 4, len(time)))
            eeg += amplitude @ np.sin(2 * np.pi * np.array(BANDS_HZ)[:, None] * time)
            people[name].append(
                PreparedTrial(
                    number + 1, number + 1, (np.nan,) * 4, np.zeros(1), eeg.astype(np.float32),
                    None, ("calm", "joy")[label], session=f"day {session + 1}",
                    condition=("Listening", "Speaking")[position % 2],
                )
            )  # fmt: skip
    return write_eeg_store(folder, CHANNELS, people)


@pytest.fixture(scope="session")
def store(made_once) -> Path:
    return made_once("sessions-store", write_store)


@pytest.fixture(scope="session")
def out(made_once, store, small_settings) -> Path:
    settings = small_settings(*OVERRIDES)
    return made_once("sessions-out", lambda folder: evaluate(store, folder, settings))


@pytest.fixture(scope="session")
def protocols(out) -> dict:
    return json.loads((out / "metrics.json").read_text())["protocols"]


def test_evaluate_by_session_exposes_a_model_that_recognizes_sessions(protocols):
    trial, session = (protocols[name]["models"] for name in ("trial", "session"))
    assert trial[BAND_POWER]["trial"]["accuracy"]["value"] > 0.75
    assert session[BAND_POWER]["trial"]["accuracy"]["value"] < 0.65
    assert trial[BAND_POWER]["chance"]["p_value_trial"] < 0.05
    # a model that predicts one class for all trials of a session has no p-value
    assert (session[BAND_POWER]["chance"]["p_value_trial"] or 1) > 0.05
    assert trial[IDENTITIES["session"]]["trial"]["accuracy"]["value"] == pytest.approx(5 / 6)
    assert IDENTITIES["session"] not in session
    assert IDENTITIES["participant"] in session


def test_evaluate_by_session_states_what_it_generalizes_to(protocols, out):
    scores = protocols["session"]["models"][BAND_POWER]
    assert scores["resampling"]["axes"] == ["session"]
    assert scores["trial"]["accuracy"]["low"] is not None
    headline = protocols["session"]["headline"]
    assert headline.startswith("session protocol: ")
    assert headline.endswith("generalizes to new recording sessions of the same participants")
    assert (
        "Test recording sessions are not in the training set" in (out / "report.html").read_text()
    )


def test_evaluate_by_session_tests_each_session_of_each_participant_once(out):
    rows = [row for row in read_csv(out / "predictions.csv") if row["protocol"] == "session"]
    folds = {(row["participant"], row["session"]): row["fold"] for row in rows}
    assert len(folds) == 5 * SESSIONS
    assert Counter(row["participant"] for row in rows) == dict.fromkeys(
        ("s01", "s02", "s03", "s04", "s05"), SESSIONS * TRIALS
    )
    for name in ("s01", "s02", "s03", "s04", "s05"):
        assert sorted(folds[name, f"day {n}"] for n in (1, 2, 3)) == ["1", "2", "3"]


def test_evaluate_reports_accuracy_by_condition(protocols, out):
    conditions = protocols["trial"]["conditions"]
    assert {name: scores["n_trials"] for name, scores in conditions.items()} == {
        "Listening": 90,
        "Speaking": 90,
    }
    rows = [row for row in read_csv(out / "predictions.csv") if row["protocol"] == "trial"]
    for name, scores in conditions.items():
        correct = [row["truth"] == row["predicted"] for row in rows if row["condition"] == name]
        assert scores["segment"]["accuracy"]["value"] == pytest.approx(np.mean(correct))
    assert "Accuracy by condition" in (out / "report.html").read_text()


def test_conditions_setting_selects_segments(store, small_settings):
    progress = RecordingProgress()
    labeled = LabeledSegments.open(
        store, small_settings(*OVERRIDES, "data.conditions=[Speaking]"), progress
    )
    used = labeled.labels != EXCLUDED
    assert set(labeled.segments.condition[used]) == {"Speaking"}
    assert used.sum() == 90
    assert "90 of 180 segments are excluded: another condition, no label" in progress.text
    with pytest.raises(InputError, match=r"of the store \(Listening, Speaking\), got Reading"):
        LabeledSegments.open(store, small_settings(*OVERRIDES, "data.conditions=[Reading]"))
