"""The example of docs/onnx.md, which uses numpy and onnxruntime only."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import SwinConfig

from helpers import run_python
from milmer_cli.bundle.onnx_export import export_onnx
from milmer_cli.models import MilmerConfig, MilmerModel

DOCS = Path(__file__).parents[2] / "docs"
SCRIPT = DOCS / "examples" / "predict_onnx.py"
INSTANCES, CHANNELS, SAMPLES, FACE_SIZE = 4, 3, 64, 20


def test_script_imports_numpy_and_onnxruntime_only_and_is_short():
    text = SCRIPT.read_text(encoding="utf-8")
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else name.name).partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported - sys.stdlib_module_names == {"numpy", "onnxruntime"}
    assert len(text.splitlines()) <= 60


def test_page_shows_the_script():
    (shown,) = re.findall(r"```python\n(.*?)```", (DOCS / "onnx.md").read_text(), re.DOTALL)
    assert shown == SCRIPT.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models with their files, three faces of four, and EEG that lacks a channel."""
    folder = tmp_path_factory.mktemp("onnx")
    rng = np.random.default_rng(0)
    shape = (3, FACE_SIZE, FACE_SIZE, 3)
    np.save(folder / "faces.npy", rng.integers(0, 256, shape, dtype=np.uint8))
    eeg = rng.normal(size=(CHANNELS, SAMPLES)) * 20
    eeg[1] = np.nan
    np.save(folder / "eeg.npy", eeg)
    np.save(folder / "short.npy", eeg[:, 1:])
    return folder


def make_model(modalities: str) -> MilmerModel:
    torch.manual_seed(0)
    swin = SwinConfig(image_size=16, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=2)
    config = MilmerConfig(
        backbone_config=swin,
        class_names=("low valence", "high valence"),
        n_channels=CHANNELS,
        n_samples=SAMPLES,
        num_instances=INSTANCES,
        num_heads=2,
        modalities=modalities,
        temperatures={"both": 1.5, "eeg": 2.0, "face": 3.0},
    )
    return MilmerModel(config).eval()


def probabilities_of_model(model, folder, given) -> list[float]:
    faces = np.zeros((1, INSTANCES, FACE_SIZE, FACE_SIZE, 3), np.uint8)
    faces[0, :3] = np.load(folder / "faces.npy")
    eeg = torch.from_numpy(np.load(folder / "eeg.npy").astype(np.float32))[None]
    batch = {}
    if "faces" in given:
        batch["faces"] = torch.from_numpy(faces)
        batch["faces_found"] = torch.arange(INSTANCES)[None] < 3
    if "eeg" in given:
        batch |= {"eeg": eeg, "channels_found": torch.isfinite(eeg).all(2)}
    with torch.no_grad():
        return model(**batch).logits.softmax(-1)[0].tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("modalities", "given"),
    [
        ("both", ("faces", "eeg")),
        ("both", ("faces",)),
        ("both", ("eeg",)),
        ("eeg", ("eeg",)),
        ("face", ("faces",)),
    ],
)
def test_script_prints_the_probabilities_of_the_model(modalities, given, folder, tmp_path):
    model = make_model(modalities)
    export_onnx(model, FACE_SIZE, tmp_path)
    flags = [word for name in given for word in (f"--{name}", folder / f"{name}.npy")]
    done = run_python(SCRIPT, tmp_path, *flags)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert list(printed) == ["low valence", "high valence"]
    expected = probabilities_of_model(model, folder, given)
    np.testing.assert_allclose(list(printed.values()), expected, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_script_states_what_it_expects(folder, tmp_path):
    export_onnx(make_model("both"), FACE_SIZE, tmp_path)
    for flags, message in (
        ((), "expected data for the modalities of the model: both"),
        (("--eeg", folder / "short.npy"), "eeg: expected the shape (3, 64), got (3, 63)"),
        (("--faces", folder / "eeg.npy"), "faces: expected uint8, at most (4, 20, 20, 3)"),
    ):
        done = run_python(SCRIPT, tmp_path, *flags)
        assert (done.returncode, done.stderr.strip()) == (1, message)
