from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from milmer_cli.data.dataset import Bags, collate
from milmer_cli.errors import MilmerError
from milmer_cli.store import (
    EncodedFaces,
    Header,
    PreparedStore,
    PreparedTrial,
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
    faces = EncodedFaces(
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
def parts(store):
    segments = store.segments()
    return store, segments, np.arange(len(segments)) % 4


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_is_the_models_arguments_and_the_row(parts, workers):
    store, segments, labels = parts
    rows = np.array([11, 0, 4, 7])
    bags = Bags(store, segments, labels, rows)
    batch = next(iter(DataLoader(bags, 4, collate_fn=collate, num_workers=workers)))
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
    assert batch["labels"].tolist() == labels[rows].tolist()
    # row 11 is the last segment of trial 3 of s02; rows are not mixed up between participants
    assert batch["eeg"][:3, 1, 200].tolist() == [231.0, 110.0, 130.0]
    assert abs(int(batch["faces"][2, 1].float().mean()) - grey(3, 0, 1)) <= 2


def test_what_is_absent_is_a_mask_and_never_a_nan(parts):
    batch = collate([Bags(*parts, np.arange(6))[item] for item in range(6)])
    assert batch["eeg_found"].tolist() == [True, True, False, False, True, True]
    assert torch.isfinite(batch["eeg"]).all()
    assert batch["eeg"][2:4].abs().max() == 0
    assert batch["faces_found"][1].tolist() == [True, False, False]
    assert batch["faces"][1, 1:].max() == 0


@pytest.mark.parametrize(("modalities", "absent"), [("eeg", "faces"), ("face", "eeg")])
def test_one_modality_leaves_the_other_out(parts, modalities, absent):
    bag = Bags(*parts, np.array([0]), modalities=modalities)[0]
    assert not {absent, f"{absent}_found"} & set(bag)
    assert len(bag) == 4


def test_a_row_without_class_is_refused(parts):
    store, segments, labels = parts
    with pytest.raises(MilmerError, match="without a class"):
        Bags(store, segments, np.where(labels == 3, -1, labels), np.arange(6))
