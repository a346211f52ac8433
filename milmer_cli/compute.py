"""Where and in which arithmetic the work runs: chosen once, described in one line."""

from __future__ import annotations

import functools
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from milmer_cli.errors import InputError
from milmer_cli.settings.schema import RunSettings

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """A device and how it is used.

    Attributes
    ----------
    device
        ``cpu``, ``cuda`` or ``mps``.
    precision
        ``float32``, ``bfloat16`` or ``float16``. Weights stay float32; the lower two are autocast.
    compiles
        Whether `compile` compiles.
    deterministic
        Whether the same seed gives the same bits, at some cost in speed (`activate`).
    name
        The device in words.
    loader_workers
        Processes that read training samples ahead, where the settings leave it open.
    """

    device: str
    precision: str
    compiles: bool
    deterministic: bool
    name: str
    loader_workers: int

    @classmethod
    def choose(cls, run: RunSettings) -> Compute:
        """Resolve the ``run`` settings on this machine.

        Raises
        ------
        InputError
            A device or precision was asked for that this machine does not have.
        """
        device = run.device if run.device != "auto" else _best_device()
        if device not in (available := _devices()):
            raise InputError(
                f"The device {device} was asked for, but torch {torch.__version__} sees none here.",
                f"Use --device {' or '.join(('auto', *available))}.",
            )
        able = _precisions(device)
        precision = run.precision
        if precision == "auto":
            precision = "bfloat16" if device == "cuda" and "bfloat16" in able else "float32"
        if precision not in able:
            raise InputError(
                f"The device {device} cannot work in {precision}.",
                f"Use run.precision={' or '.join(('auto', *able))}.",
            )
        compiles = run.compile == "on" or (run.compile == "auto" and _compiling_pays(device))
        cores = os.cpu_count() or 1
        workers = 0 if device == "cpu" else min(8, cores)
        return cls(device, precision, compiles, run.deterministic, _name(device), workers)

    def describe(self) -> str:
        """Say it in one line: ``cuda (NVIDIA H100, 80 GB), bfloat16, compiled``."""
        words = [f"{self.device} ({self.name})", self.precision]
        if self.compiles:
            words.append("compiled")
        if self.deterministic:
            words.append("deterministic")
        return ", ".join(words)

    def autocast(self) -> AbstractContextManager[None]:
        """Context in which a forward pass runs in `precision`."""
        return torch.autocast(
            self.device, DTYPES[self.precision], enabled=self.precision != "float32"
        )

    def compile(self, module: nn.Module | None) -> None:
        """Compile the forward pass of ``module`` in place, where that pays.

        Batches may be of any size, and only they: with every size left open, tracing Swin's windows
        takes longer than many a training (bench/compile.py).

        Parameters
        ----------
        module
            Its first argument has the batch axis first. Its parameters keep their names.
        """
        if not self.compiles or module is None:
            return
        compiled = torch.compile(module.forward)

        @functools.wraps(module.forward)
        def forward(batch: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            torch._dynamo.maybe_mark_dynamic(batch, 0)
            return compiled(batch, *args, **kwargs)

        module.forward = forward

    def activate(self) -> None:
        """Apply `deterministic` to this process. Call it once, before the device is first used."""
        if self.deterministic:
            os.environ.setdefault(
                "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
            )  # read by cuBLAS at its start
            torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(self.deterministic)


def _devices() -> tuple[str, ...]:
    devices = ["cpu"]
    if torch.backends.mps.is_available():
        devices.insert(0, "mps")
    if torch.cuda.is_available():
        devices.insert(0, "cuda")
    return tuple(devices)


def _best_device() -> str:
    return _devices()[0]


def _precisions(device: str) -> tuple[str, ...]:
    match device:
        case "cuda" if torch.cuda.get_device_capability() >= (8, 0):
            return ("float32", "bfloat16", "float16")
        case "cuda":
            return ("float32", "float16")
        case "mps":
            return ("float32",)
        case _:
            return ("float32", "bfloat16")


def _compiling_pays(device: str) -> bool:
    return (
        device == "cuda"
        and torch.cuda.get_device_capability() >= (7, 0)
        and find_spec("triton") is not None
    )


def _name(device: str) -> str:
    match device:
        case "cuda":
            card = torch.cuda.get_device_properties(torch.cuda.current_device())
            return f"{card.name}, {card.total_memory / 1e9:.0f} GB"
        case "mps":
            return "Apple GPU"
        case _:
            return f"{torch.get_num_threads()} threads"
