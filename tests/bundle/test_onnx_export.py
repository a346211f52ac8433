"""ONNX Runtime gives the results of PyTorch, for every selection, fusion and modality."""

from __future__ import annotations

import importlib.util
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import SwinConfig, Swinv2Config, ViTConfig

from milmer_cli.bundle import onnx_export
from milmer_cli.bundle.onnx_export import export_onnx
from milmer_cli.bundle.onnx_graphs import FaceEncoderGraph
from milmer_cli.digests import file_digest
from milmer_cli.errors import InputError, MilmerError, SettingsError
from milmer_cli.models import MilmerConfig, MilmerModel
from milmer_cli.models.configuration_milmer import FUSIONS, SELECTIONS
from milmer_cli.stages.export import export_onnx_files

FACE_SIZE, INSTANCES, CHANNELS, SAMPLES = 40, 4, 3, 64
onnx, onnxruntime = (pytest.importorskip(name) for name in ("onnx", "onnxruntime"))


def make_model(**changes: object) -> MilmerModel:
    """A small model of face tokens, without a backbone."""
    torch.manual_seed(0)
    values = {
        "tokens_per_face": 4,
        "hidden_size": 16,
        "n_channels": CHANNELS,
        "n_samples": SAMPLES,
        "num_instances": INSTANCES,
        "num_select": 2,
        "num_heads": 2,
        "num_layers": 1,
        "dim_feedforward": 16,
        "temperatures": {"both": 1.5, "eeg": 2.0, "face": 3.0},
        **changes,
    }
    return MilmerModel(MilmerConfig(**values)).eval()


def make_swin_model(**changes: object) -> MilmerModel:
    """The same with a Swin, whose shifted windows differ from its windows."""
    swin = SwinConfig(image_size=16, embed_dim=8, depths=[2, 1], num_heads=[2, 2], window_size=2)
    return make_model(backbone_config=swin, **changes)


def make_batch(model: MilmerModel, size: int) -> dict[str, torch.Tensor]:
    """Segments that are complete, and that lack a channel, an image, all faces and the EEG."""
    generator = torch.Generator().manual_seed(size)
    shape = (size, INSTANCES, model.config.tokens_per_face, model.config.hidden_size)
    batch = {
        "eeg": 20 * torch.randn(size, CHANNELS, SAMPLES, generator=generator),
        "eeg_found": torch.ones(size, dtype=torch.bool),
        "channels_found": torch.ones(size, CHANNELS, dtype=torch.bool),
        "face_tokens": torch.randn(shape, generator=generator),
        "faces_found": torch.ones(size, INSTANCES, dtype=torch.bool),
    }
    batch["channels_found"][0, 1] = batch["faces_found"][0, 2] = False
    if size > 1:  # with NaN where nothing was recorded
        batch["eeg_found"][1] = False
        batch["eeg"][1] = torch.nan
        batch["faces_found"][2] = False
        batch["face_tokens"][2] = torch.nan
    return batch


def session(path: Path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def compare_classifier(model: MilmerModel, path: Path) -> None:
    classifier = session(path)
    names = [value.name for value in classifier.get_inputs()]
    for size in (1, 3):
        batch = {name: make_batch(model, size)[name] for name in names}
        with torch.no_grad():
            expected = model(**batch)
        outputs = dict(
            zip(
                [value.name for value in classifier.get_outputs()],
                classifier.run(None, {name: value.numpy() for name, value in batch.items()}),
                strict=True,
            )
        )
        probabilities = expected.logits.softmax(-1).numpy()
        np.testing.assert_allclose(outputs["probabilities"], probabilities, rtol=0, atol=1e-4)
        for name in ("instance_weights", "selected_indices"):
            value = getattr(expected, name)
            assert (name in outputs) == (value is not None)
            if value is not None:
                np.testing.assert_allclose(outputs[name], value.numpy(), rtol=0, atol=1e-4)


FEW = {("none", "mlp"), ("amil", "none"), ("attention_weighted_topk", "cross_attention")}
"""Combinations of the default tests, with each fusion; the others are slow."""


@pytest.mark.parametrize(
    ("selection", "fusion"),
    [
        pytest.param(*pair, marks=() if pair in FEW else pytest.mark.slow)
        for pair in itertools.product(SELECTIONS, FUSIONS)
    ],
)
def test_classifier_agrees_for_each_selection_and_fusion(selection, fusion, tmp_path):
    model = make_model(selection=selection, fusion=fusion)
    export_onnx(model, FACE_SIZE, tmp_path)
    compare_classifier(model, tmp_path / "classifier.onnx")


@pytest.mark.parametrize(
    "changes",
    [
        {"modalities": "eeg"},
        {"modalities": "face"},
        {"scorer": "published", "selection": "attention_topk"},
        {"scorer": "published", "selection": "attention_weighted_topk"},
        {"eeg_amplitude": "sd"},
        {"eeg_amplitude": "bands", "sfreq_hz": 64.0, "band_hz": (1.0, 30.0)},
        {"channel_embedding": False, "eeg_amplitude": "bands"},
    ],
    ids=str,
)
def test_classifier_agrees_for_other_parts_of_the_model(changes, tmp_path):
    model = make_model(**changes)
    paths = export_onnx(model, FACE_SIZE, tmp_path)
    compare_classifier(model, tmp_path / "classifier.onnx")
    assert [path.name for path in paths] == ["classifier.onnx", "onnx.json"]


@pytest.mark.parametrize(
    "face_size", [FACE_SIZE, *(pytest.param(size, marks=pytest.mark.slow) for size in (12, 16))]
)
def test_face_encoder_resizes_and_normalizes_as_the_model(face_size, tmp_path):
    model = make_swin_model()
    export_onnx(model, face_size, tmp_path)
    encoder = session(tmp_path / "face_encoder.onnx")
    generator = torch.Generator().manual_seed(2)
    for size in (1, 3):
        shape = (size, face_size, face_size, 3)
        # extreme values, so that the filter overshoots and is clamped
        faces = torch.randint(0, 2, shape, dtype=torch.uint8, generator=generator) * 255
        found = torch.ones(1, size, dtype=torch.bool)
        with torch.no_grad():
            expected = model.encode_faces(faces[None], found)[0].numpy()
        (tokens,) = encoder.run(None, {"faces": faces.numpy()})
        np.testing.assert_allclose(tokens, expected, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone",
    [
        Swinv2Config(image_size=16, embed_dim=8, depths=[2, 1], num_heads=[2, 2], window_size=2),
        ViTConfig(image_size=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                  intermediate_size=32, patch_size=8),
    ],
    ids=lambda config: config.model_type,
)  # fmt: skip
def test_face_encoder_of_other_architectures_agrees(backbone, tmp_path):
    model = make_model(backbone_config=backbone, tokens_per_face=0, hidden_size=0)
    paths = export_onnx(model, FACE_SIZE, tmp_path)  # compares
    assert tmp_path / "face_encoder.onnx" in paths


def test_aligned_eeg_is_part_of_the_classifier(tmp_path):
    model = make_model(modalities="eeg", eeg_alignment="euclidean")
    matrix, offset = torch.tensor([[1.0, 0.5, 0], [0, 2, 0], [0.2, 0, 1]]), torch.arange(3.0)
    model.eeg_reference.set_map(matrix, offset)
    export_onnx(model, FACE_SIZE, tmp_path)
    batch = {n: make_batch(model, 1)[n] for n in ("eeg", "eeg_found", "channels_found")}
    (probabilities,) = session(tmp_path / "classifier.onnx").run(
        None, {name: value.numpy() for name, value in batch.items()}
    )
    with torch.no_grad():
        aligned = {**batch, "eeg": matrix @ (batch["eeg"] - offset[:, None])}
        expected, unaligned = (model(**b).logits.softmax(-1).numpy() for b in (aligned, batch))
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-4)
    assert not np.allclose(probabilities, unaligned, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_export_does_not_change_the_model_and_is_deterministic(tmp_path):
    model = make_swin_model(eeg_amplitude="bands").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = export_onnx(model, FACE_SIZE, tmp_path / "first", {"channels": ["Fz"]})
    second = export_onnx(model, FACE_SIZE, tmp_path / "second", {"channels": ["Fz"]})
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [path.name for path in first] == ["classifier.onnx", "face_encoder.onnx", "onnx.json"]
    for one, other in zip(first, second, strict=True):
        content = one.read_bytes()
        assert content == other.read_bytes()
        assert str(Path.cwd()).encode() not in content
        assert str(Path(torch.__file__).parent).encode() not in content
    description = json.loads((tmp_path / "first" / "onnx.json").read_text())
    assert description["bundle"] == {"channels": ["Fz"]}
    assert description["num_instances"] == INSTANCES


def test_files_that_differ_from_the_model_are_not_kept(tmp_path, monkeypatch):
    original = FaceEncoderGraph.forward
    monkeypatch.setattr(FaceEncoderGraph, "forward", lambda self, x: original(self, x) + 0.01)
    with pytest.raises(MilmerError, match=r"face_encoder.onnx does not give .* \(tokens\)"):
        export_onnx(make_swin_model(), FACE_SIZE, tmp_path)
    assert not list(tmp_path.iterdir())


def test_model_that_reads_the_whole_recording_is_refused(tmp_path):
    transductive = make_model(eeg_alignment="euclidean", eeg_alignment_scope="transductive")
    with pytest.raises(SettingsError, match="eeg_alignment_scope=transductive"):
        export_onnx(transductive, FACE_SIZE, tmp_path)
    with pytest.raises(SettingsError, match="eeg_amplitude_scale=recording"):
        export_onnx(make_model(), FACE_SIZE, tmp_path, recording_amplitude=True)


def test_model_that_is_too_large_for_one_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="at most 1,000"):
        export_onnx(make_model(), FACE_SIZE, tmp_path)


def test_missing_package_is_named_with_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else name
    )
    with pytest.raises(InputError, match=r"package onnxruntime.*milmer-cli\[onnx\]"):
        export_onnx(make_model(), FACE_SIZE, tmp_path)


def test_files_of_others_are_not_replaced(tmp_path):
    (tmp_path / "classifier.onnx").write_text("mine")
    with pytest.raises(InputError, match=r"contains classifier\.onnx, which .* did not write"):
        export_onnx(make_model(), FACE_SIZE, tmp_path)
    assert (tmp_path / "classifier.onnx").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_face_encoder_of_an_earlier_export_is_removed(tmp_path):
    for name in ("classifier.onnx", "face_encoder.onnx", "onnx.json"):
        content = '{"format": 1, "sha256": {}}' if name.endswith("json") else "earlier"
        (tmp_path / name).write_text(content)
    export_onnx(make_model(modalities="eeg"), FACE_SIZE, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classifier.onnx", "onnx.json"]


def test_description_states_classes_temperatures_and_checksums(tmp_path):
    model = make_swin_model(class_names=("low", "high"))
    export_onnx(model, FACE_SIZE, tmp_path)
    description = json.loads((tmp_path / "onnx.json").read_text())
    assert description["class_names"] == ["low", "high"]
    assert description["temperatures"] == {"both": 1.5, "eeg": 2.0, "face": 3.0}
    assert (description["face_size"], description["n_samples"]) == (FACE_SIZE, SAMPLES)
    names = ("classifier.onnx", "face_encoder.onnx")
    assert description["sha256"] == {name: file_digest(tmp_path / name) for name in names}
    for name in names:
        (opset,) = onnx.load(str(tmp_path / name)).opset_import
        assert (opset.domain, opset.version) == ("", 18)


@pytest.mark.parametrize("amplitude", ["sd", "none"])
def test_export_refuses_a_run_only_if_its_model_reads_the_whole_recording(
    amplitude, write_run, tmp_path
):
    scale = "model.eeg_amplitude_scale=recording"  # without an amplitude, it has no effect
    run = write_run(
        tmp_path / "run", "model.modalities=eeg", f"model.eeg_amplitude={amplitude}", scale
    )
    if amplitude == "none":
        written = export_onnx_files(run, tmp_path / "onnx")
        assert len(written.files) == 2
        return
    with pytest.raises(SettingsError, match="eeg_amplitude_scale=recording"):
        export_onnx_files(run, tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()
