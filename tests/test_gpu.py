"""Work on a CUDA device; run with ``pytest -m gpu``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data
from transformers import SwinConfig

from helpers import run_python, write_labeled_store
from milmer_cli.device import Device
from milmer_cli.faces.detector import DETECTORS, FaceDetector, available_detectors, weights_dir
from milmer_cli.models import MilmerConfig, MilmerModel
from milmer_cli.settings.schema import FacesSettings, RunSettings

CUDA = "cuda"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
needs_bfloat16 = pytest.mark.skipif(
    torch.cuda.is_available() and torch.cuda.get_device_capability() < (8, 0),
    reason="needs a GPU with bfloat16",
)


@pytest.fixture
def device() -> Device:
    return Device.from_settings(RunSettings(device=CUDA, compile="off", precision="float32"))


@pytest.fixture
def model() -> MilmerModel:
    torch.manual_seed(0)
    swin = SwinConfig(
        image_size=32,
        embed_dim=12,
        depths=[1, 1],
        num_heads=[2, 2],
        window_size=4,
        drop_path_rate=0.0,
    )
    config = MilmerConfig(
        backbone_config=swin,
        n_channels=4,
        n_samples=32,
        num_instances=6,
        num_heads=3,
        dim_feedforward=32,
        dropout=0.0,
        classifier_dropout=0.0,
        modality_dropout=0.0,
        selection_noise=0.0,
    )
    return MilmerModel(config).train()


def make_batch(n: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    faces_found = torch.ones(n, 6, dtype=torch.bool)
    faces_found[0, :4] = False
    return {
        "eeg": 20 * torch.randn(n, 4, 32, generator=generator),
        "faces": torch.randint(0, 256, (n, 6, 32, 32, 3), generator=generator, dtype=torch.uint8),
        "faces_found": faces_found,
        "labels": torch.arange(n) % 4,
    }


def training_step(
    model: MilmerModel, device: Device, n: int = 4
) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of one step, on the CPU."""
    model.to(device.type).zero_grad()
    batch = {name: values.to(device.type) for name, values in make_batch(n).items()}
    with device.autocast():
        loss = model(**batch).loss
    loss.backward()
    gradients = {
        name: parameter.grad.float().cpu()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    return loss.item(), gradients


def assert_close(model: MilmerModel, expected: dict, gradients: dict, tolerance: float) -> None:
    """Compare the direction and the size of all gradients together."""
    assert gradients.keys() == expected.keys() == {name for name, _ in model.named_parameters()}
    a, b = (torch.cat([g[name].flatten() for name in expected]) for g in (expected, gradients))
    assert b.isfinite().all()
    assert (a - b).norm() <= tolerance * a.norm()


def test_training_step_on_gpu_equals_cpu(model: MilmerModel, device: Device) -> None:
    cpu = Device.from_settings(RunSettings(device="cpu", precision="float32"))
    expected_loss, expected = training_step(model, cpu)
    loss, gradients = training_step(model, device)
    assert loss == pytest.approx(expected_loss, rel=1e-3)
    assert_close(model, expected, gradients, 0.01)


@needs_bfloat16
def test_training_step_in_bfloat16_is_close_to_float32(model: MilmerModel, device: Device) -> None:
    expected_loss, expected = training_step(model, device)
    loss, gradients = training_step(model, replace(device, precision="bfloat16"))
    assert loss == pytest.approx(expected_loss, rel=0.05)
    assert_close(model, expected, gradients, 0.2)


def test_training_step_of_a_compiled_backbone_equals_the_eager_one(
    model: MilmerModel, device: Device
) -> None:
    expected = [training_step(model, device, n) for n in (4, 3)]
    replace(device, compiled=True).compile(model.backbone)
    for n, (expected_loss, expected_gradients) in zip((4, 3), expected, strict=True):
        loss, gradients = training_step(model, device, n)
        assert loss == pytest.approx(expected_loss, rel=1e-3)
        assert_close(model, expected_gradients, gradients, 0.01)


@pytest.mark.parametrize("name", [name for name in DETECTORS if name != "dlib"])
def test_face_detector_on_gpu_finds_the_face_of_the_cpu(name: str) -> None:
    settings = FacesSettings(detector=name)
    if name not in available_detectors(weights_dir(settings)):
        pytest.skip(f"the weights of {name} are missing")
    if CUDA not in DETECTORS[name].devices:
        pytest.skip(f"{name} runs on the CPU")
    image = data.astronaut()
    detector = FaceDetector(settings, CUDA)
    assert detector.device == CUDA
    (found, *_), (expected, *_) = (
        detector.detect(image),
        FaceDetector(settings, "cpu").detect(image),
    )
    np.testing.assert_allclose(
        [found.left, found.top, found.right, found.bottom],
        [expected.left, expected.top, expected.right, expected.bottom],
        atol=3,
    )


TRAIN = """
import sys
from pathlib import Path
import torch
from milmer_cli.settings import load_settings
from milmer_cli.stages.train import train

settings = load_settings(overrides=[
    "model.backbone=scratch:micro", "model.num_layers=1", "model.dim_feedforward=32",
    "model.num_select=2", "train.epochs=1", "train.batch_size=8", "evaluate.n_bootstraps=100",
    "evaluate.n_permutations=100", "run.report_to=none", "run.device=cuda", "run.compile=off",
])
result = train(Path(sys.argv[1]), Path(sys.argv[2]), settings)
assert torch.distributed.get_backend() == "nccl", torch.distributed.get_backend()
assert result.metrics["test"] is not None
"""


@pytest.mark.parametrize("n_processes", [1, 2])
def test_train_distributed_with_nccl(n_processes: int, tmp_path: Path) -> None:
    if torch.cuda.device_count() < n_processes:
        pytest.skip(f"needs {n_processes} CUDA devices")
    store = tmp_path / "store"
    write_labeled_store(store)
    program = tmp_path / "program.py"
    program.write_text(TRAIN)
    ended = run_python(
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", n_processes),
        *(program, store, tmp_path / "run"),
        timeout_s=300,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert (tmp_path / "run" / "metrics.json").is_file()
