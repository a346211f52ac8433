"""What can explain an accuracy, on simulated models that read exactly one thing."""

from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.metrics.intervals import Clusters
from milmer_cli.metrics.resampling import SAMPLED_AXES, ResamplingOptions
from milmer_cli.metrics.shortcuts import (
    IDENTITIES,
    OVERALL,
    SHARED,
    class_shares,
    explain,
    identity_predictions,
    shared_identities,
    verdict,
)
from milmer_cli.metrics.significance import compare_models

N_PARTICIPANTS, N_STIMULI, N_SEGMENTS = 12, 20, 4


class Study:
    """Labels of a simulated study, and models that know one thing about a segment."""

    def __init__(self, label_source: str) -> None:
        random = np.random.default_rng(0)
        self.participant, self.stimulus, _ = (
            axis.ravel() for axis in np.indices((N_PARTICIPANTS, N_STIMULI, N_SEGMENTS))
        )
        self.trial = self.participant * N_STIMULI + self.stimulus
        shape = (N_PARTICIPANTS, N_STIMULI)
        if label_source == "participant":  # participants prefer different classes
            preferred = random.integers(0, 4, (N_PARTICIPANTS, 1))
            other = random.integers(0, 4, shape)
            labels = np.where(random.random(shape) < 0.7, preferred, other)
        elif label_source == "stimulus":
            labels = np.broadcast_to(np.arange(N_STIMULI) % 4, shape)
        else:
            labels = random.integers(0, 4, shape)
        self.labels = labels[self.participant, self.stimulus]

    def groups(self, protocol: str) -> np.ndarray:
        """(n,) fold of each row under a protocol with 4 folds."""
        by = {
            "segment": np.arange(len(self.labels)),
            "trial": self.participant + self.stimulus,
            "participant": self.participant,
            "stimulus": self.stimulus // 4,
        }
        return by[protocol] % 4

    def predict(self, signal: str, protocol: str) -> tuple[np.ndarray, list, np.ndarray]:
        """Predictions of a model that reads one signal, with the folds and the tested rows."""
        random = np.random.default_rng(1)
        fold = self.groups(protocol)
        folds = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(4)]
        rows = np.concatenate([test for _, test in folds])
        if signal == "emotion":
            predicted = self.labels[rows]
        else:
            known = {name: getattr(self, name) for name in SHARED[protocol]}
            predictions = identity_predictions(self.labels, known, folds, 4)
            predicted = predictions.get(IDENTITIES[signal], random.integers(0, 4, len(rows)))
        wrong = random.random(len(rows)) < 0.15
        return np.where(wrong, random.integers(0, 4, len(rows)), predicted), folds, rows

    def explanation(self, signal: str, protocol: str):
        predicted, folds, rows = self.predict(signal, protocol)
        known = {name: getattr(self, name) for name in SHARED[protocol]}
        baselines = identity_predictions(self.labels, known, folds, 4)
        truth = self.labels[rows]
        clusters = Clusters.of(
            **{a: getattr(self, a)[rows] for a in SAMPLED_AXES[protocol] or ("stimulus",)}
        )
        models = {"model": predicted} | baselines
        correct = {name: (values == truth).astype(float) for name, values in models.items()}
        found = compare_models(correct, clusters, "model", ResamplingOptions())
        return explain(protocol, {c.second: c.better == "model" for c in found})


@pytest.mark.parametrize(
    ("signal", "sentence"),
    [
        (
            "participant",
            "The identity of the participant alone can explain the accuracy under the trial",
        ),
        ("stimulus", "The identity of the stimulus alone can explain the accuracy under the trial"),
        ("trial", "The identity of the trial alone can explain the accuracy under the segment"),
    ],
)
def test_verdict_names_the_only_thing_that_the_model_reads(signal, sentence):
    study = Study(signal)
    protocols = ("segment", "trial", "participant", "stimulus")
    if signal != "trial":
        protocols = protocols[1:]
    found = verdict([study.explanation(signal, protocol) for protocol in protocols])
    assert found.startswith(sentence)
    assert "not shown to be above the majority class under the" in found


@pytest.mark.parametrize("source", ["trial", "stimulus"])
def test_verdict_of_an_emotion_signal_is_not_an_identity(source):
    study = Study(source)
    explanations = [study.explanation("emotion", p) for p in ("trial", "participant", "stimulus")]
    found = verdict(explanations)
    assert "alone can explain" not in found
    assert found.startswith(
        ("An emotion-related signal", "The identity of participants and stimuli does not")
    )
    assert all(found.above_majority for found in explanations)


def test_verdict_of_a_model_at_chance():
    study = Study("trial")
    found = verdict([study.explanation("trial", "trial")])
    assert found.startswith("Nothing to explain")


def test_class_shares_of_an_unknown_group_are_the_overall_shares():
    labels, groups = np.array([0, 0, 1, 1, 1, 0]), np.array([0, 0, 1, 1, 1, 2])
    train, test = np.arange(5), np.array([0, 4, 5])
    shares = class_shares(labels, groups, train, test, 2)
    assert shares[2] == pytest.approx([0.4, 0.6])
    assert shares[0] == pytest.approx([2.4 / 3, 0.6 / 3])
    assert shares[1] == pytest.approx([0.4 / 4, 3.6 / 4])


def test_identity_predictions_never_read_the_labels_of_the_test_set():
    random = np.random.default_rng(0)
    labels, participant = random.integers(0, 4, 80), np.arange(80) % 4
    train, test = np.arange(60), np.arange(60, 80)
    poisoned = labels.copy()
    poisoned[test] = (poisoned[test] + 1) % 4
    known = {
        "participant": participant,
        "stimulus": np.arange(80) // 4,
        "session": participant + 4 * (np.arange(80) % 3),
    }
    found, again = (
        identity_predictions(values, known, [(train, test)], 4) for values in (labels, poisoned)
    )
    assert found.keys() == {OVERALL, *(IDENTITIES[key] for key in IDENTITIES if key != "trial")}
    for name, predicted in found.items():
        assert np.array_equal(predicted, again[name])


def test_verdict_names_the_session_until_the_session_protocol_rules_it_out():
    beaten = dict.fromkeys((OVERALL, *IDENTITIES.values()), True)
    trial = explain("trial", beaten | {IDENTITIES["session"]: False})
    assert trial.identity == "session"
    assert verdict([trial]).startswith(
        "The identity of the session alone can explain the accuracy under the trial protocol"
    )
    assert verdict([trial, explain("stimulus", beaten)]).startswith("The identity of the session")
    assert verdict([trial, explain("session", beaten)]).startswith("An emotion-related signal")


@pytest.mark.parametrize(
    ("protocol", "shared"),
    [
        ("trial", {"participant", "stimulus", "session"}),
        ("session", {"participant", "stimulus"}),
        ("participant", {"stimulus"}),
        ("stimulus", {"participant", "session"}),
        ("cross-dataset", set()),
    ],
)
def test_shared_identities_contain_sessions_only_where_they_are_shared(protocol, shared):
    assert set(shared_identities(protocol, True)) == shared
    assert set(shared_identities(protocol, False)) == shared - {"session"}
