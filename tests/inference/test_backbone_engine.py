"""When OpenVINO runs the backbone of a model, and what is reported if it cannot."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import torch

from helpers import RecordingProgress, write_labeled_store
from milmer_cli import device as device_module
from milmer_cli.data.dataset import BagDataset
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.device import OPENVINO_MIN_PIXELS, Device
from milmer_cli.inference.backbone_engine import backbone_engine
from milmer_cli.inference.face_token_cache import cache_face_tokens
from milmer_cli.inference.predict_proba import predict_logits
from milmer_cli.models import openvino_backbone
from milmer_cli.settings import load_settings
from milmer_cli.training.fit_fold import new_model

if find_spec("openvino") is None:
    pytest.skip("needs the extra openvino", allow_module_level=True)

SMALL = ("model.backbone=scratch:micro", "model.dim_feedforward=32", "model.num_layers=1")


def settings_of(*more):
    return load_settings(overrides=[*SMALL, "model.num_select=2", "run.device=cpu", *more])


@pytest.fixture(scope="module")
def labeled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    write_labeled_store(folder, participants=1)
    return LabeledSegments.open(folder, settings_of())


def device_of(*more):
    return Device.from_settings(settings_of(*more).run)


@pytest.fixture(scope="module")
def model(labeled):
    return new_model(labeled, settings_of(), device_of()).eval()


def test_auto_uses_openvino_for_many_images_only(model):
    height, width = model.config.image_size
    per_segment = model.config.num_instances * height * width
    enough = -(-OPENVINO_MIN_PIXELS // per_segment)
    for n_segments, used in ((enough - 1, False), (enough, True)):
        with backbone_engine(model, device_of(), n_segments) as engine:
            assert (engine is not None) == used
    with backbone_engine(model, device_of().with_torch(), enough) as engine:
        assert engine is None
    with backbone_engine(model, device_of("run.inference=openvino"), 1) as outer:
        assert outer is not None
        with backbone_engine(model, device_of("run.inference=torch"), 1) as inner:
            assert inner is outer
    assert openvino_backbone.active_engine(model.backbone) is None


def test_auto_warns_if_openvino_cannot_run_the_backbone(model, monkeypatch):
    def fail(*args):
        raise RuntimeError("no conversion rule")

    monkeypatch.setattr(openvino_backbone, "_compile", fail)
    monkeypatch.setattr(device_module, "OPENVINO_MIN_PIXELS", 0)
    progress = RecordingProgress()
    faces = torch.zeros(1, model.config.num_instances, 32, 32, 3, dtype=torch.uint8)
    with backbone_engine(model, device_of(), 1, progress), torch.inference_mode():
        model.encode_faces(faces, torch.ones(faces.shape[:2], dtype=torch.bool))
    assert progress.warnings == [
        "OpenVINO cannot run the backbone SwinModel: no conversion rule. It runs with torch."
    ]


def test_logits_and_face_tokens_equal_those_of_torch(labeled, model, tmp_path, monkeypatch):
    used = []
    tokens = openvino_backbone.OpenVinoBackbone.tokens
    monkeypatch.setattr(
        openvino_backbone.OpenVinoBackbone,
        "tokens",
        lambda self, pixels: used.append(len(pixels)) or tokens(self, pixels),
    )
    data = BagDataset(labeled, np.arange(len(labeled.segments)))
    logits, files = {}, {}
    for inference in ("torch", "openvino"):
        device = device_of(f"run.inference={inference}")
        _, logits[inference] = predict_logits(model, data, device, 4)
        assert bool(used) == (inference == "openvino")
        used.clear()
        folder = tmp_path / inference
        files[inference] = cache_face_tokens(model, labeled.store, ["s01"], folder, device)["s01"]
        assert bool(used) == (inference == "openvino")
    np.testing.assert_allclose(logits["openvino"], logits["torch"], atol=1e-5, rtol=1e-5)
    # one cache for both engines: they differ in the last bit of few values
    assert files["torch"].name == files["openvino"].name
    expected, actual = (np.load(files[name]).astype(np.float32) for name in files)
    np.testing.assert_allclose(actual, expected, atol=1e-5, rtol=2**-10)
    assert (actual != expected).mean() < 0.01


def test_interrupted_face_tokens_continue_with_the_same_engine(
    labeled, model, tmp_path, monkeypatch
):
    """The engine depends on all segments, not on those that are missing."""
    asked = []

    def uses_openvino(self, pixels):
        asked.append(pixels)
        return False

    monkeypatch.setattr(Device, "uses_openvino", uses_openvino)
    args = (model, labeled.store, ["s01"], tmp_path, device_of())
    cache_face_tokens(*args)["s01"].unlink()
    first = asked[0]
    asked.clear()
    cache_face_tokens(*args)
    height, width = model.config.image_size
    assert asked[0] == first == 16 * model.config.num_instances * height * width
