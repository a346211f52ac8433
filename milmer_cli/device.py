"""The device, precision and compilation of all torch work, resolved once from the settings."""

from __future__ import annotations

import functools
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from milmer_cli.errors import InputError
from milmer_cli.settings.schema import Inference, RunSettings

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
MAX_WORKERS = 8
OPENVINO = "openvino"
OPENVINO_MIN_PIXELS = 256 * 224**2
"""Pixels of the images from which ``run.inference=auto`` takes OpenVINO: 256 faces with Swin-Tiny
save more time than the compilation takes, also on a busy machine (bench/README.md)."""


@dataclass(frozen=True)
class Device:
    """A torch device and how it is used.

    Attributes
    ----------
    type
        ``cpu``, ``cuda`` or ``mps``.
    precision
        ``float32``, ``bfloat16`` or ``float16``. The weights are always float32; the other two are
        applied by autocast.
    compiled
        Whether `compile` compiles modules.
    deterministic
        Whether `configure_torch` makes equal seeds give equal bits, at some cost in speed.
    name
        Model of the GPU, or threads of the CPU, for messages.
    dataloader_num_workers
        Worker processes of a training DataLoader if ``run.dataloader_num_workers`` is -1.
    inference
        Library of a backbone in inference: ``torch``, ``openvino``, or ``auto``, which is OpenVINO
        for at least `OPENVINO_MIN_PIXELS`.
    """

    type: str
    precision: str
    compiled: bool
    deterministic: bool
    name: str
    dataloader_num_workers: int
    inference: Inference = "torch"

    @classmethod
    def from_settings(cls, run: RunSettings) -> Device:
        """Resolve ``auto`` values of the ``run`` settings on this machine.

        Raises
        ------
        InputError
            If this machine lacks the requested device, precision or library.
        """
        available = _available_types()
        device_type = run.device if run.device != "auto" else available[0]
        if device_type not in available:
            raise InputError(
                f"run.device: expected one of {', '.join(available)}, which torch "
                f"{torch.__version__} finds on this machine, got {device_type}.",
                f"Use --device {' or '.join(('auto', *available))}.",
            )
        supported = _supported_precisions(device_type)
        precision = run.precision
        if precision == "auto":
            use_bfloat16 = device_type == "cuda" and "bfloat16" in supported
            precision = "bfloat16" if use_bfloat16 else "float32"
        if precision not in supported:
            raise InputError(
                f"run.precision: expected one of {', '.join(supported)}, which {device_type} "
                f"supports on this machine, got {precision}.",
                f"Use run.precision={' or '.join(('auto', *supported))}.",
            )
        compiled = run.compile == "on" or (run.compile == "auto" and _can_compile(device_type))
        return cls(
            type=device_type,
            precision=precision,
            compiled=compiled,
            deterministic=run.deterministic,
            name=_device_name(device_type),
            # a CPU needs its cores for the model; a GPU waits for data without workers
            dataloader_num_workers=(
                0 if device_type == "cpu" else min(MAX_WORKERS, os.cpu_count() or 1)
            ),
            inference=_resolve_inference(run.inference, device_type, precision, compiled),
        )

    def uses_openvino(self, pixels: int) -> bool:
        """Return whether OpenVINO runs the backbone on images with so many pixels in total."""
        large = pixels >= OPENVINO_MIN_PIXELS
        return self.inference == OPENVINO or (self.inference == "auto" and large)

    def with_torch(self) -> Device:
        """Return the same device with torch for inference."""
        return replace(self, inference="torch")

    def describe(self) -> str:
        """Describe the device in one line, as in ``cuda (NVIDIA H100, 80 GB), bfloat16``."""
        parts = [f"{self.type} ({self.name})", self.precision]
        if self.compiled:
            parts.append("compiled")
        if self.deterministic:
            parts.append("deterministic")
        if self.inference != "torch":
            faces = " of many faces" if self.inference == "auto" else ""
            parts.append(f"inference{faces} with OpenVINO {openvino_version()}")
        return ", ".join(parts)

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which forward passes use `precision`."""
        return torch.autocast(
            self.type, DTYPES[self.precision], enabled=self.precision != "float32"
        )

    def compile(self, module: nn.Module | None) -> None:
        """Compile the forward pass of a module in place, if `compiled`.

        Only the batch axis is dynamic. With all axes dynamic, tracing the windows of a Swin takes
        longer than many a training (bench/compile.py).

        Parameters
        ----------
        module
            The first axis of its first argument is the batch. The names of its parameters do not
            change.
        """
        if not self.compiled or module is None:
            return
        compiled = torch.compile(module.forward)

        @functools.wraps(module.forward)
        def forward(batch: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            torch._dynamo.maybe_mark_dynamic(batch, 0)
            return compiled(batch, *args, **kwargs)

        module.forward = forward

    def configure_torch(self) -> None:
        """Apply `deterministic` to this process; call it before the device is first used."""
        if self.deterministic:
            # cuBLAS reads the variable when it is initialized
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(self.deterministic)


def _available_types() -> tuple[str, ...]:
    """Return the device types of this machine, fastest first."""
    types = ["cpu"]
    if torch.backends.mps.is_available():
        types.insert(0, "mps")
    if torch.cuda.is_available():
        types.insert(0, "cuda")
    return tuple(types)


def _supported_precisions(device_type: str) -> tuple[str, ...]:
    match device_type:
        case "cuda" if torch.cuda.get_device_capability() >= (8, 0):  # Ampere
            return ("float32", "bfloat16", "float16")
        case "cuda":
            return ("float32", "float16")
        case "mps":
            return ("float32",)
        case _:
            return ("float32", "bfloat16")


def openvino_version() -> str:
    """Return the version of the installed OpenVINO; empty if it is not installed."""
    try:
        return metadata.version(OPENVINO) if find_spec(OPENVINO) else ""
    except metadata.PackageNotFoundError:  # built from its source
        return "(unknown version)"


def _resolve_inference(
    inference: Inference, device_type: str, precision: str, compiled: bool
) -> Inference:
    """Return torch, or for OpenVINO ``auto`` or ``openvino``."""
    suitable = device_type == "cpu" and precision == "float32" and not compiled
    if inference == "auto":
        return "auto" if suitable and openvino_version() else "torch"
    if inference == OPENVINO and not suitable:
        compiling = "on" if compiled else "off"
        raise InputError(
            "run.inference: openvino needs run.device=cpu, run.precision=float32 and "
            f"run.compile=off, got {device_type}, {precision} and {compiling}.",
            "Use run.inference=auto, or change these settings.",
        )
    if inference == OPENVINO and not openvino_version():
        raise InputError(
            "run.inference: openvino is not installed.",
            "Install it with `pip install 'milmer-cli[openvino]'`, or use run.inference=auto.",
        )
    return inference


def _can_compile(device_type: str) -> bool:
    """Return whether ``run.compile=auto`` compiles: on GPUs for which Triton generates code."""
    return (
        device_type == "cuda"
        and torch.cuda.get_device_capability() >= (7, 0)  # Volta
        and find_spec("triton") is not None
    )


def _device_name(device_type: str) -> str:
    match device_type:
        case "cuda":
            properties = torch.cuda.get_device_properties(torch.cuda.current_device())
            return f"{properties.name}, {properties.total_memory / 1e9:.0f} GB"
        case "mps":
            return "Apple GPU"
        case _:
            return f"{torch.get_num_threads()} threads"
