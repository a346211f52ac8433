"""Device and precision: what is chosen, what is refused, what is said."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
import torch
from torch import nn

from milmer_cli.compute import Compute
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import RunSettings


@pytest.fixture
def no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    class Card:
        name = "Test Card"
        total_memory = 16 * 10**9

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 6))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Card)


@pytest.mark.usefixtures("no_card")
def test_a_machine_without_a_card_works_on_its_processor_in_float32() -> None:
    compute = Compute.choose(RunSettings())
    assert (compute.device, compute.precision, compute.compiles) == ("cpu", "float32", False)
    assert compute.loader_workers == 0
    assert compute.describe() == f"cpu ({torch.get_num_threads()} threads), float32"


@pytest.mark.usefixtures("card")
def test_a_card_is_taken_with_bfloat16() -> None:
    compute = Compute.choose(RunSettings(compile="off", deterministic=True))
    assert compute.describe() == "cuda (Test Card, 16 GB), bfloat16, deterministic"
    assert compute.loader_workers > 0


@pytest.mark.usefixtures("card")
def test_an_old_card_keeps_float32_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    assert Compute.choose(RunSettings()).precision == "float32"
    assert Compute.choose(RunSettings(precision="float16")).precision == "float16"
    with pytest.raises(InputError, match="cannot work in bfloat16"):
        Compute.choose(RunSettings(precision="bfloat16"))


@pytest.mark.usefixtures("no_card")
def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="cuda was asked for") as caught:
        Compute.choose(RunSettings(device="cuda"))
    assert "cpu" in caught.value.hint
    with pytest.raises(InputError, match="cannot work in float16"):
        Compute.choose(RunSettings(precision="float16"))


@pytest.mark.usefixtures("no_card")
def test_autocast_follows_the_precision() -> None:
    layer, x = nn.Linear(4, 4), torch.randn(2, 4)
    for precision in ("float32", "bfloat16"):
        with Compute.choose(RunSettings(precision=precision)).autocast():
            assert layer(x).dtype == getattr(torch, precision)


@pytest.mark.usefixtures("no_card")
def test_deterministic_mode_is_switched_on_and_off() -> None:
    try:
        Compute.choose(RunSettings(deterministic=True)).activate()
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        Compute.choose(RunSettings()).activate()
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_compiled_module_takes_any_batch_with_one_tracing(
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
    replace(Compute.choose(RunSettings(device="cpu")), compiles=True).compile(module)
    for size in (3, 5, 4):
        images = torch.randn(size, 7)
        assert torch.equal(module(images), images.square().sum(1))
    assert counters["stats"]["unique_graphs"] == 1
