from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, default_collate

from helpers import write_labeled_store
from milmer_cli.data.dataset import BagDataset
from milmer_cli.data.feature_cache import TokenBagDataset
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import EXCLUDED, QUADRANTS
from milmer_cli.errors import MilmerError
from milmer_cli.settings import load_settings
from milmer_cli.store import (
    Header,
    PreparedStore,
    PreparedTrial,
    SegmentFaces,
    encode_face,
    write_index,
    write_participant,
)

N, INSTANCES, SIZE, CHANNELS = 2, 3, 32, ("Fp1", "Cz")
FOUND = np.array([[True, True, True], [True, False, False]])


def grey(trial: int, segment: int, instance: int) -> int:
    return 40 + 50 * trial + 20 * segment + 5 * instance


def trial_of(person: int, trial: int) -> PreparedTrial:
    """Segment s of the trial: EEG is 100 * person + 10 * trial + s everywhere; trial 2 has none."""
    values = 100 * person + 10 * trial + np.arange(N, dtype=np.float32)
    eeg = np.broadcast_to(values[:, None, None], (N, len(CHANNELS), 384)).astype(np.float32)
    images = [
        encode_face(np.full((SIZE, SIZE, 3), grey(trial, s, i), np.uint8)) if FOUND[s, i] else b""
        for s in range(N)
        for i in range(INSTANCES)
    ]
    nothing = np.full((N, INSTANCES), np.nan, dtype=np.float32)
    faces = SegmentFaces(
        images=images,
        found=FOUND,
        time=np.zeros((N, INSTANCES), dtype=np.float32),
        box=np.where(FOUND[..., None], 1.0, np.nan).repeat(4, axis=2).astype(np.float32),
        score=np.where(FOUND, 0.5, nothing).astype(np.float32),
        reason=np.where(FOUND, "", "no face").astype(object),
    )
    return PreparedTrial(
        trial=trial,
        stimulus=trial,
        ratings=(5.0, 5.0, 5.0, 5.0),
        onset=np.arange(N) * 3.0,
        eeg=None if trial == 2 else eeg,
        faces=faces,
    )


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bags") / "prepared"
    for person in (1, 2):
        name = f"s{person:02d}"
        prints = {"eeg": name, "faces": name}
        header = Header(name, 128.0, CHANNELS, 3.0, INSTANCES, SIZE, {}, prints, "dlib")
        write_participant(folder / f"{name}.h5", header, [trial_of(person, t) for t in (1, 2, 3)])
    write_index(folder, {}, ["s01", "s02"])
    return PreparedStore.open(folder)


@pytest.fixture
def labeled(store):
    segments = store.segments()
    return LabeledSegments(store, segments, np.arange(len(segments)) % 4, QUADRANTS)


@pytest.mark.parametrize("workers", [0, 1])
def test_bag_dataset_batches_are_the_arguments_of_the_model(labeled, workers):
    rows = np.array([11, 0, 4, 7])
    bags = BagDataset(labeled, rows)
    batch = next(iter(DataLoader(bags, 4, num_workers=workers)))
    shapes = {key: tuple(value.shape) for key, value in batch.items()}
    assert shapes == {
        "eeg": (4, 2, 384),
        "eeg_found": (4,),
        "faces": (4, 3, 32, 32, 3),
        "faces_found": (4, 3),
        "labels": (4,),
        "index": (4,),
    }
    assert batch["eeg"].dtype == torch.float32
    assert batch["faces"].dtype == torch.uint8
    assert batch["index"].tolist() == rows.tolist()
    assert batch["labels"].tolist() == labeled.labels[rows].tolist()
    # row 11 is the last segment of trial 3 of s02; rows are not mixed up between participants
    assert batch["eeg"][:3, 1, 200].tolist() == [231.0, 110.0, 130.0]
    assert abs(int(batch["faces"][2, 1].float().mean()) - grey(3, 0, 1)) <= 2


def test_bag_dataset_masks_missing_data_without_nan(labeled):
    batch = default_collate([BagDataset(labeled, np.arange(6))[item] for item in range(6)])
    assert batch["eeg_found"].tolist() == [True, True, False, False, True, True]
    assert torch.isfinite(batch["eeg"]).all()
    assert batch["eeg"][2:4].abs().max() == 0
    assert batch["faces_found"][1].tolist() == [True, False, False]
    assert batch["faces"][1, 1:].max() == 0


def test_bag_dataset_finds_the_rows_of_participants_with_different_trials(tmp_path):
    trials = {"s01": (3,), "s02": (1, 2, 3)}
    for name, numbers in trials.items():
        prints = {"eeg": name, "faces": name}
        header = Header(name, 128.0, CHANNELS, 3.0, INSTANCES, SIZE, {}, prints, "dlib")
        person = int(name.removeprefix("s"))
        write_participant(
            tmp_path / f"{name}.h5", header, [trial_of(person, trial) for trial in numbers]
        )
    write_index(tmp_path, {}, list(trials))
    store = PreparedStore.open(tmp_path)
    segments = store.segments()
    labeled = LabeledSegments(store, segments, np.zeros(len(segments), int), QUADRANTS)
    bags = BagDataset(labeled, np.arange(len(segments)))
    # in each bag, the EEG, the first face and the faces found are those of the same segment
    expected = [(p, t, s) for p, numbers in ((1, (3,)), (2, (1, 2, 3))) for t in numbers
                for s in range(N)]  # fmt: skip
    for bag, (person, trial, segment) in zip(bags, expected, strict=True):
        value = 0 if trial == 2 else 100 * person + 10 * trial + segment
        assert bag["eeg"][0, 0] == value
        assert abs(float(bag["faces"][0].float().mean()) - grey(trial, segment, 0)) <= 2
        assert bag["faces_found"].tolist() == FOUND[segment].tolist()


def test_bag_dataset_has_the_channels_that_the_model_reads(labeled):
    found = np.random.default_rng(0).random((12, 2)) < 0.5
    rows = np.array([11, 0, 4, 7])
    masked = dataclasses.replace(labeled, channels_found=found)
    batch = next(iter(DataLoader(BagDataset(masked, rows), 4)))
    assert batch["channels_found"].tolist() == found[rows].tolist()
    assert "channels_found" not in BagDataset(masked, rows, "face")[0]
    assert "channels_found" not in BagDataset(labeled, rows)[0]


@pytest.mark.parametrize("modalities", ["both", "face"])
def test_token_bag_dataset_has_the_channels_that_the_model_reads(labeled, modalities, tmp_path):
    files = {name: tmp_path / f"{name}.npy" for name in ("s01", "s02")}
    for path in files.values():
        np.save(path, np.zeros((6, 3, 1, 4), np.float16))
    found = np.random.default_rng(0).random((12, 2)) < 0.5
    masked = dataclasses.replace(labeled, channels_found=found)
    bag = TokenBagDataset(masked, np.array([8]), modalities, files)[0]
    expected = {"eeg", "eeg_found", "channels_found"} if modalities == "both" else set()
    assert {name for name in bag if "face" not in name} == expected | {"labels", "index"}
    if modalities == "both":
        assert bag["channels_found"].tolist() == found[8].tolist()


@pytest.mark.parametrize("model", ["mask", "interpolate"])
def test_labeled_segments_read_the_bad_channels_of_the_store(tmp_path, model):
    bad = {"s01": [False, False, True, False], "s03": [True] * 4}
    write_labeled_store(tmp_path, participants=3, trials=2, without_eeg=["s02"], bad_channels=bad)
    overrides = [f"model.bad_channels={model}", "quality.max_bad_channels=1"]
    labeled = LabeledSegments.open(tmp_path, load_settings(overrides=overrides))
    eeg_found = labeled.segments.eeg_found.tolist()
    if model == "interpolate":
        assert labeled.channels_found is None
        assert eeg_found == [True] * 4 + [False] * 4 + [True] * 4
        return
    assert labeled.channels_found[:4].tolist() == [[True, True, False, True]] * 4
    assert not labeled.channels_found[8:].any()
    # a segment without any good channel has no EEG, and is excluded if the model has no faces
    assert eeg_found == [True] * 4 + [False] * 8
    excluded = labeled.restrict_to("eeg").labels == EXCLUDED
    assert excluded.tolist() == [False] * 4 + [True] * 8
    assert not (labeled.restrict_to("both").labels == EXCLUDED).any()


@pytest.mark.parametrize(("modalities", "absent"), [("eeg", "faces"), ("face", "eeg")])
def test_bag_dataset_of_one_modality_omits_the_other(labeled, modalities, absent):
    bag = BagDataset(labeled, np.array([0]), modalities=modalities)[0]
    assert not {absent, f"{absent}_found"} & set(bag)
    assert len(bag) == 4


def test_bag_dataset_refuses_a_row_without_class(labeled):
    labels = np.where(labeled.labels == 3, -1, labeled.labels)
    with pytest.raises(MilmerError, match="without a class"):
        BagDataset(dataclasses.replace(labeled, labels=labels), np.arange(6))
