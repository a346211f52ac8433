"""Participants whose EEG is mixed by a matrix of their own: the alignment of new participants."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from helpers import QUADRANT_RATINGS, STORE_CHANNELS, read_csv
from milmer_cli.data.eeg_alignment import align_eeg
from milmer_cli.data.eeg_transform import AMPLITUDE_UV, EegMoments
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.splits import make_folds
from milmer_cli.device import Device
from milmer_cli.evaluation.band_power import band_power
from milmer_cli.evaluation.baselines import BAND_POWER, MAIN
from milmer_cli.evaluation.classifiers import fit_classifier
from milmer_cli.inference.scoring import TestedSegments
from milmer_cli.metrics.resampling import ResamplingOptions
from milmer_cli.metrics.significance import compare_models
from milmer_cli.settings import load_settings
from milmer_cli.stages.evaluate import evaluate
from milmer_cli.stages.evaluate_run import evaluate_run
from milmer_cli.stages.train import train
from milmer_cli.store import Header, PreparedTrial, write_index, write_participant
from milmer_cli.training.fit_fold import predict_segments
from milmer_cli.training.run_dir import Run

PARTICIPANTS, TRIALS, SEGMENTS, SAMPLES = 8, 12, 2, 128
EEG_ONLY = ["model.modalities=eeg", "evaluate.n_bootstraps=100", "evaluate.n_permutations=100"]


def mixing_matrix(number: int) -> np.ndarray:
    """A symmetric, positive definite matrix, which a covariance determines exactly."""
    rng = np.random.default_rng([7, number])
    basis = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    return (basis * np.array([0.1, 0.1, 0.1, 10.0])) @ basis.T


def write_mixed_store(folder: Path, mixed: bool = True, label_shift: bool = False) -> Path:
    """Alpha in the channel of the class, then mixed; ``label_shift``: the classes are permuted."""
    values = load_settings().model_dump(mode="json")
    settings = {
        "eeg": {**values["eeg"], "segment_s": 1.0},
        "faces": {**values["faces"], "instances": 2, "image_size": 32},
    }
    alpha = 20 * np.sin(2 * np.pi * 10 * np.arange(SAMPLES) / 128)
    names = [f"s{number + 1:02d}" for number in range(PARTICIPANTS)]
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        trials = []
        for trial in range(1, TRIALS + 1):
            label = trial % 4
            eeg = 5 * rng.normal(size=(SEGMENTS, 4, SAMPLES))
            eeg[:, label] += alpha
            rated = (label + number) % 4 if label_shift else label
            trials.append(
                PreparedTrial(
                    trial=trial,
                    stimulus=trial,
                    ratings=np.array([*QUADRANT_RATINGS[rated], 5, 5], np.float32),
                    onset=np.arange(SEGMENTS, dtype=np.float32),
                    eeg=((mixing_matrix(number) if mixed else np.eye(4)) @ eeg).astype(np.float32),
                    faces=None,
                )
            )
        header = Header(
            participant=name,
            sfreq=128.0,
            channels=STORE_CHANNELS,
            segment_s=1.0,
            instances=2,
            face_size=32,
            settings=settings,
            fingerprints={"eeg": f"{number}" * 64, "faces": "a" * 64},
        )
        write_participant(folder / f"{name}.h5", header, trials)
    write_index(folder, settings, names)
    return folder


@pytest.fixture(scope="module")
def open_store(made_once):
    """``open_store(mixed)``: the store with or without mixing."""
    return lambda mixed: LabeledSegments.open(
        made_once(f"mixed-{mixed}", lambda folder: write_mixed_store(folder, mixed)),
        load_settings(overrides=EEG_ONLY),
    )


def model_settings(method: str = "euclidean", scope: str = "transductive"):
    overrides = [f"model.eeg_alignment={method}", f"model.eeg_alignment_scope={scope}"]
    return load_settings(overrides=[*EEG_ONLY, *overrides])


def power_of(labeled) -> np.ndarray:
    """Band power of all segments of a store that all have EEG."""
    segments = labeled.segments
    names = segments.participant.tolist()
    participants = {name: labeled.store.participant(name) for name in set(names)}
    eeg = [
        labeled.read_eeg(participants[name], row)
        for name, row in zip(names, segments.row.tolist(), strict=True)
    ]
    return band_power(np.stack(eeg), 128.0, (1.0, 50.0))


def predict_lda(power, labels, train, test) -> np.ndarray:
    groups = np.arange(len(train))
    return fit_classifier("LDA", power[train], labels[train], groups, 4).predict(power[test])


def cross_validate(labeled, settings) -> np.ndarray:
    """Probabilities of band power + LDA for the test sets of four folds, one after the other."""
    predictions = []
    for fold in make_folds(labeled, "participant", 4, 0.2, 0):
        power = power_of(align_eeg(labeled, fold.train, settings.model))
        predictions.append(predict_lda(power, labeled.labels, fold.train, fold.test))
    return np.concatenate(predictions)


def test_align_eeg_transductive_restores_mixed_eeg(open_store):
    mixed, plain = open_store(True), open_store(False)
    none = load_settings(overrides=EEG_ONLY)
    folds = make_folds(plain, "participant", 4, 0.2, 0)
    tested = TestedSegments.of(plain, "participant", folds, [0] * 4)

    def trial_accuracies(labeled, settings):
        return tested.trials.correct(tested.truth, cross_validate(labeled, settings))

    as_mixed, aligned, unmixed = (
        trial_accuracies(mixed, none),
        trial_accuracies(mixed, model_settings()),
        trial_accuracies(plain, none),
    )
    options = ResamplingOptions.from_settings(none, "participant")
    clusters = tested.clusters.at(tested.trials.first)
    (found,) = compare_models(
        {"chance": np.full_like(as_mixed, 0.25), "mixed": as_mixed}, clusters, "chance", options
    )
    assert found.low <= 0 <= found.high
    assert unmixed.mean() > 0.9
    (found,) = compare_models(
        {"aligned": aligned, "unmixed": unmixed}, clusters, "aligned", options
    )
    assert not found.low > 0  # NaN if all trials are equal
    assert not found.high < 0
    assert aligned.mean() > 0.9


@pytest.mark.parametrize("method", ["euclidean", "standardize"])
def test_align_eeg_gives_equal_covariances(open_store, method):
    labeled = open_store(True)
    aligned = align_eeg(labeled, np.arange(0), model_settings(method).model)
    with labeled.store.participant("s03") as participant:
        eeg = np.stack([aligned.read_eeg(participant, row) for row in range(len(participant))])
    moments = EegMoments.of(eeg)
    expected = AMPLITUDE_UV**2 * np.eye(4)
    if method == "standardize":
        np.testing.assert_allclose(np.diag(moments.power), np.diag(expected), rtol=1e-3)
        np.testing.assert_allclose(moments.mean, 0, atol=1e-3)
    else:
        np.testing.assert_allclose(moments.power, expected, atol=0.01)


def test_align_eeg_removes_directions_without_signal():
    rng = np.random.default_rng(0)
    eeg = rng.normal(size=(30, 4, 100))
    eeg -= eeg.mean(axis=1, keepdims=True)  # the average reference
    aligned = EegMoments.of(eeg).transform("euclidean")(eeg)
    assert np.abs(aligned.mean(axis=1)).max() < 1e-4
    np.testing.assert_allclose(
        np.linalg.eigvalsh(EegMoments.of(aligned).power), [0, 100, 100, 100], atol=0.1
    )


class PoisonedStore:
    """A store that returns huge EEG for some rows of the table of segments."""

    def __init__(self, labeled, rows):
        self._store, self._segments = labeled.store, labeled.segments
        self._rows = set(
            zip(self._segments.participant[rows], self._segments.row[rows], strict=True)
        )

    def __getattr__(self, name):
        return getattr(self._store, name)

    def participant(self, name):
        participant, rows = self._store.participant(name), self._rows

        class Eeg:
            def __getitem__(self, row):
                return participant.eeg[row] * (1e6 if (name, row) in rows else 1)

        return Participant(participant, Eeg())


class Participant:
    def __init__(self, participant, eeg):
        self._participant, self.eeg = participant, eeg

    def __getattr__(self, name):
        return getattr(self._participant, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._participant.__exit__(*error)


@pytest.mark.parametrize("method", ["euclidean", "standardize"])
@pytest.mark.parametrize("protocol", ["trial", "participant"])
def test_align_eeg_inductive_ignores_the_test_set(open_store, method, protocol):
    labeled = open_store(True)
    fold = make_folds(labeled, protocol, 4, 0.2, 0)[0]
    settings = model_settings(method, "inductive").model
    poisoned, kept = fold.test[:5], fold.test[5:]
    other = dataclasses.replace(labeled, store=PoisonedStore(labeled, poisoned))
    first, second = (align_eeg(each, fold.train, settings) for each in (labeled, other))
    maps, changed = first.eeg_alignment, second.eeg_alignment
    assert maps.participants.keys() == changed.participants.keys()
    for name in (*maps.participants, "unseen"):
        np.testing.assert_array_equal(maps.of(name).matrix, changed.of(name).matrix)
        np.testing.assert_array_equal(maps.of(name).offset, changed.of(name).offset)
    powers = [power_of(each) for each in (first, second)]
    predictions = [predict_lda(power, labeled.labels, fold.train, kept) for power in powers]
    np.testing.assert_array_equal(*predictions)
    assert not np.array_equal(powers[0][poisoned], powers[1][poisoned])
    transductive = align_eeg(other, fold.train, model_settings(method).model).eeg_alignment
    name = str(labeled.segments.participant[poisoned[0]])
    assert not np.array_equal(transductive.of(name).matrix, changed.of(name).matrix)


@pytest.mark.slow
def test_evaluate_marks_transductive_results_everywhere(made_once, small_settings, tmp_path):
    store = made_once("mixed-True", lambda folder: write_mixed_store(folder, True))
    settings = small_settings(
        "model.modalities=eeg",
        "model.eeg_alignment=euclidean",
        "model.eeg_alignment_scope=transductive",
        "evaluate.protocols=[participant]",
        "train.batch_size=64",
    )
    result = evaluate(store, tmp_path, settings)
    (protocol,) = result.evaluation.protocols
    assert protocol.models[BAND_POWER].trial_accuracy.value > 0.9
    assert "participant protocol (TRANSDUCTIVE): " in result.headline
    rows = dict(result.summary())
    assert all("TRANSDUCTIVE" in rows[name] for name in ("result", "conclusion"))
    for name in ("predictions.csv", "predictions-others.csv"):
        assert {row["transductive"] for row in read_csv(tmp_path / name)} == {"TRANSDUCTIVE"}
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["transductive"] is metrics["protocols"]["participant"]["transductive"] is True
    page = (tmp_path / "report.html").read_text()
    figures = page.split("<svg")[1:]
    assert all("TRANSDUCTIVE" in figure.split("</svg>")[0] for figure in figures)
    captions = re.findall("<(?:fig)?caption>(.*?)</(?:fig)?caption>", page)
    assert len(captions) > 4
    assert all("TRANSDUCTIVE" in caption for caption in captions if "protocol" in caption.lower())


@pytest.mark.slow
def test_evaluate_calibration_trials_on_participants_with_other_classes(
    made_once, small_settings, tmp_path
):
    store = made_once("shifted", lambda folder: write_mixed_store(folder, False, True))
    settings = small_settings(
        "model.modalities=eeg",
        "evaluate.protocols=[participant]",
        "evaluate.calibration_trials=1,4,8",
        "train.batch_size=64",
    )
    result = evaluate(store, tmp_path, settings)
    curve = result.evaluation.main.adaptation
    assert curve.n_trials == (0, 1, 4, 8)
    assert (curve.n_participants, curve.n_test_trials, curve.n_left_out) == (8, 8 * 4, 0)
    assert list(curve.models) == [MAIN, BAND_POWER]
    for points in curve.models.values():
        assert {point.n_segments for point in points} == {8 * 4 * SEGMENTS}
    accuracy = [point.trial_accuracy.value for point in curve.models[BAND_POWER]]
    assert accuracy[0] < 0.5
    assert accuracy[3] > accuracy[2] > accuracy[0]
    document = json.loads((tmp_path / "metrics.json").read_text())
    values = document["protocols"]["participant"]["calibration_trials"]
    assert values["n_trials"] == [0, 1, 4, 8]
    stored = [point["trial_accuracy"]["value"] for point in values["models"][BAND_POWER]]
    assert stored == accuracy
    page = (tmp_path / "report.html").read_text()
    assert "after adaptation to each new participant" in page
    assert dict(result.summary())["calibration trials"].startswith(
        "participant protocol: with 0, 1,"
    )
    # finished trainings are reused with their adapted predictions
    again = evaluate(store, tmp_path, settings).evaluation.main.adaptation
    assert again.to_json() == curve.to_json()


@pytest.mark.slow
def test_run_with_inductive_alignment_gives_the_same_result_in_evaluate(
    made_once, small_settings, tmp_path
):
    store = made_once("mixed-True", lambda folder: write_mixed_store(folder, True))
    settings = small_settings(
        "model.modalities=eeg",
        "model.eeg_alignment=euclidean",
        "train.protocol=participant",
        "train.batch_size=32",
    )
    metrics = train(store, tmp_path / "run", settings).metrics
    run = Run.open(tmp_path / "run")
    labeled = LabeledSegments.open(store, run.settings)
    (fold,) = run.splits(labeled).folds
    expected = align_eeg(labeled, fold.train, run.settings.model).eeg_alignment
    reference = run.load_model().eeg_reference
    np.testing.assert_array_equal(reference.matrix, expected.reference.matrix)
    assert set(expected.participants) == set(labeled.segments.participant[fold.train])
    result = evaluate_run(tmp_path / "run", store, tmp_path / "out", settings)
    scores = result.evaluation.main.scores
    confusion = np.array(metrics["test"]["confusion"])
    np.testing.assert_array_equal(scores.confusion, confusion)
    aligned = align_eeg(labeled, fold.train, run.settings.model)
    device = Device.from_settings(run.settings.run)
    probabilities = predict_segments(run.load_model(), aligned, fold.test, run.settings, device)
    rows = read_csv(tmp_path / "out" / "predictions.csv")
    written = [[float(row[f"p_{name}"]) for name in labeled.class_names] for row in rows]
    np.testing.assert_allclose(written, probabilities, atol=2e-6)
    assert {row["transductive"] for row in rows} == {"no"}
