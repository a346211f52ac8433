"""Cached face tokens of a frozen backbone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from helpers import RecordingProgress, write_labeled_store
from milmer_cli.data.dataset import BagDataset
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.device import Device
from milmer_cli.inference.face_token_cache import cache_face_tokens
from milmer_cli.settings import load_settings
from milmer_cli.store import PreparedStore, write_index
from milmer_cli.training.fit_fold import new_model, open_bags


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    write_labeled_store(folder, participants=2)
    return folder


def asked(*more):
    small = ("model.backbone=scratch:micro", "model.dim_feedforward=32", "model.num_layers=1")
    return load_settings(overrides=[*small, "model.num_select=2", "run.device=cpu", *more])


@pytest.fixture(scope="module")
def prepared_unequal(tmp_path_factory):
    """The first participant has fewer segments, so a row of the table is not a row of the file."""
    folder = tmp_path_factory.mktemp("unequal")
    write_labeled_store(folder, participants=2)
    write_labeled_store(folder, participants=1, trials=5)
    write_index(folder, PreparedStore.open(folder).settings, ["s01", "s02"])
    return folder


def test_open_bags_gives_tokens_that_lead_to_the_logits_of_the_faces(prepared_unequal):
    frozen = asked("model.freeze_backbone=true", "model.modality_dropout=0")
    device = Device.from_settings(frozen.run)
    labeled = LabeledSegments.open(prepared_unequal, frozen)
    model = new_model(labeled, frozen, device)
    rows = np.arange(len(labeled.segments))
    args = (labeled, rows)
    kept = open_bags(model, *args, frozen, device)
    live = BagDataset(*args)
    model.eval()
    with torch.inference_mode():
        outputs = []
        for data in (kept, live):
            batch = default_collate([data[row] for row in rows])
            for name in ("labels", "index"):
                batch.pop(name)
            outputs.append(model(**batch))
        expected = model.encode_faces(batch["faces"], batch["faces_found"]).half()
    tokens = torch.stack([kept[row]["face_tokens"] for row in rows])
    torch.testing.assert_close(tokens, expected, atol=2e-3, rtol=2e-3)
    assert "faces" not in kept[0]
    assert kept[0]["face_tokens"].dtype == torch.float16
    torch.testing.assert_close(outputs[0].logits, outputs[1].logits, atol=2e-3, rtol=2e-3)
    assert torch.equal(outputs[0].selected_indices, outputs[1].selected_indices)


def test_cache_face_tokens_computes_once_per_weights(prepared, tmp_path, monkeypatch):
    frozen = asked("model.freeze_backbone=true")
    device = Device.from_settings(frozen.run)
    labeled = LabeledSegments.open(prepared, frozen)
    model = new_model(labeled, frozen, device)
    calls = []
    encode = type(model).encode_faces

    def counted(self, faces, *rest):
        calls.append(len(faces))
        return encode(self, faces, *rest)

    monkeypatch.setattr(type(model), "encode_faces", counted)
    args = (labeled.store, ["s01", "s02"], tmp_path, device)
    first = cache_face_tokens(model, *args)
    assert sum(calls) == 32
    first["s02"].unlink()  # as if killed before the second was whole
    cache_face_tokens(model, *args)
    assert sum(calls) == 48
    content = bytearray(first["s01"].read_bytes())
    content[-5] ^= 1
    first["s01"].write_bytes(content)
    progress = RecordingProgress()
    cache_face_tokens(model, *args, progress)
    assert sum(calls) == 64
    assert progress.warnings == [f"{first['s01']} is damaged and is computed again."]
    first["s02"].with_name(f"{first['s02'].name}.checksum").unlink()  # as if killed before it
    cache_face_tokens(model, *args)
    assert sum(calls) == 80
    calls.clear()
    with torch.no_grad():
        next(model.backbone.parameters()).add_(1)
    again = cache_face_tokens(model, *args)
    assert sum(calls) == 32
    assert not set(again.values()) & set(first.values())


def test_cache_face_tokens_depends_on_the_rows_and_not_on_the_precision(tmp_path):
    """The fingerprint of the faces alone stays when a trial without video moves the rows."""
    files = {}
    for trials, precision in ((2, "float32"), (2, "bfloat16"), (3, "float32")):
        frozen = asked("model.freeze_backbone=true", f"run.precision={precision}")
        device = Device.from_settings(frozen.run)
        write_labeled_store(tmp_path / f"{trials}", participants=1, trials=trials)
        labeled = LabeledSegments.open(tmp_path / f"{trials}", frozen)
        model = new_model(labeled, frozen, device)
        to = tmp_path / f"{trials}{precision}"
        files[trials, precision] = cache_face_tokens(model, labeled.store, ["s01"], to, device)
    plain, half, moved = (found["s01"] for found in files.values())
    assert plain.name == half.name != moved.name
    np.testing.assert_array_equal(np.load(half), np.load(plain))
