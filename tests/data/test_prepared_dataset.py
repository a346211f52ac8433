from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, default_collate

from helpers import STORE_CHANNELS, write_labeled_store
from milmer_cli.data.labels import EXCLUDED
from milmer_cli.data.prepared_dataset import PreparedDataset
from milmer_cli.errors import InputError
from milmer_cli.models import build_model
from milmer_cli.settings import load_settings

SETTINGS = load_settings(
    overrides=[
        "model.backbone=scratch:micro",
        "model.dim_feedforward=32",
        "model.num_layers=1",
        "model.num_select=2",
    ]
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    write_labeled_store(folder, participants=2, trials=4, without_eeg=["s02"])
    return folder


@pytest.fixture(scope="module")
def dataset(store):
    return PreparedDataset(str(store), SETTINGS)


@pytest.fixture(scope="module")
def model(dataset):
    torch.manual_seed(0)
    return build_model(SETTINGS.model, dataset.class_names, len(STORE_CHANNELS), 64, 3).eval()


def test_prepared_dataset_batches_are_the_arguments_of_the_model(dataset, model):
    batch = next(iter(DataLoader(dataset, batch_size=4)))
    output = model(**batch)
    assert output.logits.shape == (4, 4)
    expected = torch.nn.functional.cross_entropy(output.logits, batch["labels"])
    torch.testing.assert_close(output.loss, expected)


def test_prepared_dataset_item_can_be_collated_alone(dataset, model):
    alone = model(**default_collate([dataset[9]])).logits
    together = model(**default_collate([dataset[8], dataset[9]])).logits
    torch.testing.assert_close(alone[0], together[1])


def test_prepared_dataset_has_labels_and_segments_in_the_order_of_its_items(dataset):
    assert len(dataset) == len(dataset.segments) == 16
    assert [int(item["labels"]) for item in map(dataset.__getitem__, range(16))] == list(
        dataset.labels
    )
    # trial t of participant p has class (t + p - 1) % 4
    trial = dataset.segments.trial + (dataset.segments.participant == "s02")
    np.testing.assert_array_equal(dataset.labels, trial % 4)


def test_prepared_dataset_class_names_are_those_of_the_model(dataset, model):
    assert dict(enumerate(dataset.class_names)) == model.config.id2label
    assert model.config.label2id["HALV"] == dataset.class_names.index("HALV") == 3


def test_prepared_dataset_leaves_out_segments_without_data(store):
    settings = load_settings(overrides=["model.modalities=eeg"])
    dataset = PreparedDataset(store, settings)
    assert set(dataset.segments.participant) == {"s01"}
    assert EXCLUDED not in dataset.labels
    assert set(dataset[0]) == {"eeg", "eeg_found", "labels"}


def test_prepared_dataset_uses_the_default_settings(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        PreparedDataset(tmp_path / "nowhere")
