"""Training on one store and testing on another: matched channels and classes, one honest fold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers import RecordingProgress, read_csv, write_eeg_store
from milmer_cli.data.cross_dataset import CrossDataset
from milmer_cli.errors import InputError
from milmer_cli.evaluation.baselines import BAND_POWER
from milmer_cli.stages.evaluate import evaluate, evaluate_dry_run
from milmer_cli.store import PreparedStore, PreparedTrial

pytestmark = pytest.mark.slow

CLASSES = ("joy", "fear")
TRAIN = ("Fp1", "T3", "Cz", "Oz")
TEST = ("OZ", "Pz", "fp1", "T7")  # other order and spelling; T7 is the new name of T3


def write_store(
    folder: Path,
    channels: Sequence[str],
    participants: int,
    seed: int,
    names: Sequence[str] = CLASSES,
    sources: Mapping[str, object] | None = None,
    **changes: object,
) -> Path:
    """The class is the amplitude of 10 Hz at Oz, whatever the other channels are."""
    random, time = np.random.default_rng(seed), np.arange(128) / 128
    lower = [name.lower() for name in channels]
    place = lower.index("oz") if "oz" in lower else 0

    def trial(number: int) -> PreparedTrial:
        label = int(random.integers(len(names)))
        eeg = random.normal(0, 5, (2, len(channels), len(time)))
        eeg[:, place] += (4, 25, 60)[label] * np.sin(2 * np.pi * 10 * time)
        eeg = (eeg - eeg.mean(axis=1, keepdims=True)).astype(np.float32)
        return PreparedTrial(number, number, (np.nan,) * 4, np.arange(2.0), eeg, None, names[label])

    people = [f"s{number + 1:02d}" for number in range(participants)]
    trials = {name: [trial(number) for number in range(1, 17)] for name in people}
    return write_eeg_store(folder, channels, trials, sources, **changes)


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("stores")
    first = write_store(folder / "deap", TRAIN, 4, 0)
    return first, write_store(folder / "mahnob", TEST, 6, 1, ("Joy", "fear", "anger"))


@pytest.fixture
def settings(small_settings):
    def make(*overrides):
        return small_settings(
            "data.target=label", "model.modalities=eeg", "evaluate.protocols=[trial]", *overrides
        )

    return make


def test_cross_dataset_matches_channels_in_the_order_of_the_first(stores, settings):
    progress = RecordingProgress()
    data = CrossDataset.open(*stores, settings(), progress)
    store = data.labeled.store
    own, other = store.participant("deap.s01"), store.participant("mahnob.s01")
    assert own.channels == other.channels == ("Fp1", "T3", "Oz")
    stored = PreparedStore.open(stores[1]).participant("s01").eeg[3]
    picked = stored[[2, 3, 0]]
    expected = picked - picked.mean(axis=0)  # the average reference of the common channels
    np.testing.assert_allclose(other.eeg[3], expected, atol=1e-4)
    np.testing.assert_allclose(other.eeg[:][3], expected, atol=1e-4)
    # cached features of the EEG of the store are not those of its selected channels
    stored_prints = PreparedStore.open(stores[1]).participant("s01").fingerprints
    assert other.fingerprints["eeg"] != stored_prints["eeg"]
    assert "3 EEG channels are in deap and in mahnob and are used: Fp1, T3, Oz." in progress.text


def test_cross_dataset_average_reference_leaves_bad_channels_out(stores, settings):
    store = CrossDataset.open(*stores, settings()).labeled.store
    participant = store.participant("mahnob.s02")
    bad = participant.quality.bad.copy()
    bad[2, 1] = True
    participant.quality = replace(participant.quality, bad=bad)
    good = participant.eeg[2][[0, 2]]
    np.testing.assert_allclose(good.mean(axis=0), 0, atol=1e-4)
    assert np.abs(participant.eeg[2].mean(axis=0)).max() > 0.1


def test_cross_dataset_names_participants_stimuli_and_shared_classes(stores, settings):
    progress = RecordingProgress()
    data = CrossDataset.open(*stores, settings(), progress)
    segments, labels = data.labeled.segments, data.labeled.labels
    names = np.unique(segments.participant).tolist()
    assert names == [f"deap.s{n:02d}" for n in range(1, 5)] + [
        f"mahnob.s{n:02d}" for n in range(1, 7)
    ]
    assert not set(segments.stimulus[data.tested]) & set(segments.stimulus[~data.tested])
    assert data.labeled.class_names == ("fear", "joy")
    original = PreparedStore.open(stores[1]).segments().label
    expected = [{"Joy": 1, "fear": 0}.get(name, -1) for name in original]
    assert labels[data.tested].tolist() == expected
    assert progress.warnings == ["Only mahnob has the class anger: the segments are not used."]


def test_cross_dataset_fold_validates_on_participants_of_the_first_store(stores, settings):
    data = CrossDataset.open(*stores, settings())
    fold, segments = data.fold(0.25, 0), data.labeled.segments
    assert set(fold.test) == set(np.flatnonzero(data.tested & (data.labeled.labels >= 0)))
    trained, validated = (set(segments.participant[rows]) for rows in (fold.train, fold.validation))
    assert (len(trained), len(validated), trained & validated) == (3, 1, set())
    assert all(name.startswith("deap.") for name in trained | validated)
    assert not np.array_equal(fold.validation, data.fold(0.25, 3).validation)


@pytest.fixture(scope="module")
def out(stores, small_settings, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    evaluate(
        stores[0],
        folder,
        small_settings("data.target=label", "model.modalities=eeg", "evaluate.seeds=2"),
        test_on=stores[1],
    )
    return folder


def test_evaluate_cross_dataset_is_stamped_and_transfers_the_planted_signal(out, stores):
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["protocol"], metrics["leaky"]) == ("cross-dataset", False)
    assert metrics["headline"].startswith("cross-dataset protocol: accuracy ")
    assert metrics["scores"]["resampling"]["axes"] == ["participant"]
    assert "(of the tested data set " in metrics["headline"]
    assert "chance 50 %" in metrics["headline"]
    assert metrics["cross_dataset"] == {"train_on": str(stores[0]), "test_on": str(stores[1])}
    lda = metrics["protocols"]["cross-dataset"]["models"][BAND_POWER]
    assert lda["trial"]["accuracy"]["value"] > 0.9
    assert lda["chance"]["p_value_trial"] < 0.05
    page = (out / "report.html").read_text()
    assert "CROSS-DATASET: trained on" in page
    rows = read_csv(out / "predictions.csv")
    assert {row["protocol"] for row in rows} == {"cross-dataset"}
    assert {row["participant"].split(".")[0] for row in rows} == {"mahnob"}
    assert {row["seed"] for row in rows} == {"0", "1"}


def test_evaluate_cross_dataset_reuses_finished_trainings(out, stores, small_settings, tmp_path):
    settings = small_settings("data.target=label", "model.modalities=eeg", "evaluate.seeds=2")
    result = evaluate_dry_run(stores[0], out, settings, test_on=stores[1])
    assert (result.folds, result.n_trainings) == ({"cross-dataset": 2}, 0)
    fresh = evaluate_dry_run(stores[0], tmp_path / "new", settings, test_on=stores[1])
    assert fresh.n_trainings == 2
    assert not (tmp_path / "new").exists()


def refused(settings, first, second, match):
    with pytest.raises(InputError, match=match) as caught:
        CrossDataset.open(first, second, settings)
    assert str(caught.value.message).count(". ") == 0  # one sentence
    return caught.value.hint


def test_cross_dataset_refuses_other_settings_and_names_the_command(stores, settings, tmp_path):
    other = write_store(tmp_path / "other", TEST, 2, 3, band_hz=[4.0, 40.0])
    hint = refused(
        settings(), stores[0], other,
        r"prepared with different settings: eeg.band_hz is \[1.0, 50.0\] and \[4.0, 40.0\]",
    )  # fmt: skip
    assert f"milmer prepare --out {other} --set eeg.band_hz=[1.0, 50.0]" in hint


def test_cross_dataset_refuses_stores_without_common_channels_or_classes(
    stores, settings, tmp_path
):
    occipital = write_store(tmp_path / "occipital", ("O1", "Oz"), 2, 3)
    frontal = write_store(tmp_path / "frontal", ("F3", "F4"), 2, 4)
    refused(
        settings(), occipital, frontal,
        "occipital and frontal have no EEG channel in common: .* got O1, Oz and F3, F4",
    )  # fmt: skip
    classes = write_store(tmp_path / "classes", TEST, 2, 6, ("joy", "calm"))
    refused(settings(), stores[0], classes, "have 1 class in common, expected at least 2: got")
    refused(settings(), stores[0], stores[0], "are the same store")
    refused(settings("data.participants=1"), *stores, "does not say which store")


def test_cross_dataset_refuses_the_same_recordings(stores, settings, tmp_path):
    sources = {"1": {"duration_s": 2.0, "eeg": ["digest"]}}
    first, second = (
        write_store(tmp_path / name, TRAIN, 2, 7, sources=sources) for name in ("one", "two")
    )
    refused(settings(), first, second, "contain the same recordings: .*one.s02 and two.s01")
