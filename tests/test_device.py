"""Device: resolve device, precision and compilation from the settings."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
import torch
from torch import nn

from milmer_cli import device as module
from milmer_cli.device import OPENVINO_MIN_PIXELS, Device
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import RunSettings


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def no_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "openvino_version", lambda: "")


@pytest.fixture
def with_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "openvino_version", lambda: "2030.1")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        name = "Test Card"
        total_memory = 16 * 10**9

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 6))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties)


@pytest.mark.usefixtures("no_gpu", "no_openvino")
def test_from_settings_without_gpu_is_cpu_in_float32() -> None:
    device = Device.from_settings(RunSettings())
    assert (device.type, device.precision, device.compiled) == ("cpu", "float32", False)
    assert device.dataloader_num_workers == 0
    assert device.describe() == f"cpu ({torch.get_num_threads()} threads), float32"


@pytest.mark.usefixtures("gpu")
def test_from_settings_with_gpu_is_cuda_in_bfloat16() -> None:
    device = Device.from_settings(RunSettings(compile="off", deterministic=True))
    assert device.describe() == "cuda (Test Card, 16 GB), bfloat16, deterministic"
    assert device.dataloader_num_workers > 0


@pytest.mark.usefixtures("gpu")
def test_from_settings_with_old_gpu_is_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    assert Device.from_settings(RunSettings()).precision == "float32"
    assert Device.from_settings(RunSettings(precision="float16")).precision == "float16"
    with pytest.raises(InputError, match=r"expected one of float32, float16, .* got bfloat16"):
        Device.from_settings(RunSettings(precision="bfloat16"))


@pytest.mark.usefixtures("no_gpu")
def test_from_settings_refuses_what_the_machine_lacks() -> None:
    with pytest.raises(InputError, match=r"expected one of cpu, .* got cuda") as caught:
        Device.from_settings(RunSettings(device="cuda"))
    assert "cpu" in caught.value.hint
    with pytest.raises(InputError, match=r"expected one of float32, bfloat16, .* got float16"):
        Device.from_settings(RunSettings(precision="float16"))


@pytest.mark.usefixtures("no_gpu")
def test_autocast_has_the_precision() -> None:
    layer, x = nn.Linear(4, 4), torch.randn(2, 4)
    for precision in ("float32", "bfloat16"):
        with Device.from_settings(RunSettings(precision=precision)).autocast():
            assert layer(x).dtype == getattr(torch, precision)


@pytest.mark.usefixtures("no_gpu")
def test_configure_torch_switches_determinism_on_and_off() -> None:
    try:
        Device.from_settings(RunSettings(deterministic=True)).configure_torch()
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        Device.from_settings(RunSettings()).configure_torch()
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.usefixtures("no_gpu", "with_openvino")
def test_inference_auto_is_openvino_on_a_cpu_in_float32() -> None:
    cpu = Device.from_settings(RunSettings())
    assert cpu.uses_openvino(OPENVINO_MIN_PIXELS)
    assert not cpu.uses_openvino(OPENVINO_MIN_PIXELS - 1)
    threads = torch.get_num_threads()
    assert cpu.describe() == (
        f"cpu ({threads} threads), float32, inference of many faces with OpenVINO 2030.1"
    )
    assert cpu.with_torch().describe() == f"cpu ({threads} threads), float32"
    always = Device.from_settings(RunSettings(inference="openvino"))
    assert always.uses_openvino(1)
    assert always.describe().endswith("float32, inference with OpenVINO 2030.1")
    for run in (
        RunSettings(inference="torch"),
        RunSettings(precision="bfloat16"),
        RunSettings(compile="on"),
    ):
        assert Device.from_settings(run).inference == "torch"


@pytest.mark.usefixtures("gpu", "with_openvino")
def test_inference_openvino_is_refused_on_a_gpu() -> None:
    assert Device.from_settings(RunSettings()).inference == "torch"
    with pytest.raises(InputError, match=r"needs run\.device=cpu, .* got cuda, bfloat16 and"):
        Device.from_settings(RunSettings(inference="openvino"))


@pytest.mark.usefixtures("no_gpu", "no_openvino")
def test_inference_openvino_that_is_not_installed_is_refused() -> None:
    assert Device.from_settings(RunSettings()).inference == "torch"
    with pytest.raises(InputError, match="openvino is not installed") as caught:
        Device.from_settings(RunSettings(inference="openvino"))
    assert "pip install 'milmer-cli[openvino]'" in caught.value.hint


def test_compile_traces_once_for_all_batch_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Squared(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.square().sum(1)

    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    module = Squared()
    replace(Device.from_settings(RunSettings(device="cpu")), compiled=True).compile(module)
    for size in (3, 5, 4):
        images = torch.randn(size, 7)
        assert torch.equal(module(images), images.square().sum(1))
    assert counters["stats"]["unique_graphs"] == 1
