"""Run a backbone with OpenVINO on a CPU: the numbers of torch within 1e-5, in less time.

Only inference uses it. `openvino_backbone` makes a backbone run with OpenVINO within a ``with``
statement, and `FaceEncoderModel.encode_faces` asks `active_engine` for it, so that everything
around the backbone is the same code for both engines.

The backbone is traced by torch and compiled once per process for equal weights, size of the images
and number of threads. One image is then run with both engines. A backbone that OpenVINO cannot
convert, or whose tokens differ, runs with torch.

The execution is in float32. Without an explicit precision, OpenVINO computes in bfloat16 on CPUs
that support it.
"""

from __future__ import annotations

import copy
import sys
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from milmer_cli.digests import digest
from milmer_cli.errors import MilmerError
from milmer_cli.models.image_features import image_tokens

MAX_DIFFERENCE = 1e-5
"""Largest difference from the tokens of torch, relative to the largest token if that exceeds 1."""
TRACED_IMAGES = 2
MAX_COMPILED = 2
"""Compiled backbones that a process keeps."""
_TRACING_WARNINGS = (
    r"`torch\.jit\.trace",
    r"`is_gradient_checkpointing` is deprecated",
    r"Converting a tensor to a Python",
    r"torch\.tensor results are registered as constants",
    r"Using len to get tensor shape might cause the trace to be incorrect",
)
"""The sizes of a traced backbone are those of its images, and the batch size is tested."""

_active: ContextVar[OpenVinoBackbone | None] = ContextVar("openvino_backbone", default=None)
_compiled: OrderedDict[tuple[str, int], _CompiledBackbone] = OrderedDict()
_lock = threading.Lock()


def active_engine(backbone: nn.Module) -> OpenVinoBackbone | None:
    """Return the engine with which a backbone runs in this context; None for torch."""
    engine = _active.get()
    return engine if engine is not None and engine.backbone is backbone else None


@contextmanager
def openvino_backbone(
    backbone: nn.Module, size: tuple[int, int], required: bool
) -> Iterator[OpenVinoBackbone]:
    """Run a backbone with OpenVINO within a ``with`` statement.

    Other threads must be started in a copy of the context (``contextvars.copy_context``).

    Parameters
    ----------
    backbone
        In evaluation mode; its weights do not change within the ``with`` statement.
    size
        Height and width of the images, in pixels.
    required
        Whether it is an error if OpenVINO cannot run the backbone.
    """
    engine = OpenVinoBackbone(backbone, size, torch.get_num_threads(), required)
    token = _active.set(engine)
    try:
        yield engine
    finally:
        _active.reset(token)


class OpenVinoBackbone:
    """A backbone that is compiled by OpenVINO at its first use.

    Parameters
    ----------
    backbone, size, required
        As for `openvino_backbone`.
    threads
        Threads of all passes together.

    Attributes
    ----------
    backbone, threads
        See above.
    failure
        Why the backbone runs with torch nevertheless; empty if it does not.
    used
        Whether images were run with OpenVINO.
    """

    def __init__(
        self, backbone: nn.Module, size: tuple[int, int], threads: int, required: bool
    ) -> None:
        self.backbone = backbone
        self.threads = threads
        self.failure = ""
        self.used = False
        self._size = size
        self._required = required
        self._own: _CompiledBackbone | None = None
        self._lock = threading.Lock()

    def tokens(self, pixels: Tensor) -> Tensor:
        """Return the tokens of n images; see `image_tokens`.

        The images are distributed over the threads that torch would use in the calling thread.

        Raises
        ------
        MilmerError
            OpenVINO is required and cannot run the backbone.
        """
        compiled = self.compile()
        if compiled is None:
            return image_tokens(self.backbone, pixels)
        self.used = True
        return compiled.tokens(pixels, torch.get_num_threads())

    def compile(self) -> _CompiledBackbone | None:
        """Compile the backbone unless it is compiled; None if it runs with torch.

        Raises
        ------
        MilmerError
            OpenVINO is required and cannot run the backbone.
        """
        with self._lock:
            if self._own is None and not self.failure:
                try:
                    self._own = _compile(self.backbone, self._size, self.threads)
                except Exception as error:  # the converter raises various types
                    reason = " ".join(str(error).split())[:200].rstrip(".")
                    name = type(self.backbone).__name__
                    self.failure = f"OpenVINO cannot run the backbone {name}: {reason}."
        if self.failure and self._required:
            raise MilmerError(self.failure, "Use run.inference=torch.")
        return self._own


class _CompiledBackbone:
    """A compiled backbone; may be used by several threads at once.

    Parameters
    ----------
    model
        An ``openvino.CompiledModel`` with one thread per stream.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._local = threading.local()

    def tokens(self, pixels: Tensor, threads: int) -> Tensor:
        """Map (n, 3, height, width) to (n, N, d), with one pass in each of some threads."""
        parts = np.array_split(pixels.contiguous().numpy(), min(threads, len(pixels)))
        requests = self._requests(len(parts))
        for request, part in zip(requests, parts, strict=True):
            request.start_async([part], share_inputs=True)
        for request in requests:
            request.wait()
        outputs = [request.get_output_tensor(0).data for request in requests]
        return torch.from_numpy(np.concatenate(outputs))

    def _requests(self, count: int) -> list[Any]:
        """Return requests of the calling thread."""
        requests: list[Any] = self._local.__dict__.setdefault("requests", [])
        while len(requests) < count:
            requests.append(self._model.create_infer_request())
        return requests[:count]


class _Tokens(nn.Module):
    """The tokens of a backbone as a module, for the tracer."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels: Tensor) -> Tensor:
        return image_tokens(self.backbone, pixels)


def _compile(backbone: Any, size: tuple[int, int], threads: int) -> _CompiledBackbone:
    """Return the compiled backbone of this process, compiled now if it is new."""
    weights = [value for item in sorted(backbone.state_dict().items()) for value in item]
    key = digest(backbone.config.to_json_string(), size, *weights), threads
    with _lock:
        if key not in _compiled:
            compiled = _CompiledBackbone(_compile_model(_convert(backbone, size), threads))
            _require_equal(compiled, backbone, size)
            _compiled[key] = compiled
        _compiled.move_to_end(key)
        while len(_compiled) > MAX_COMPILED:
            _compiled.popitem(last=False)
        return _compiled[key]


def _convert(backbone: nn.Module, size: tuple[int, int]) -> Any:
    """Convert a backbone to an ``openvino.Model`` with a dynamic batch size."""
    _import_openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    for message in _TRACING_WARNINGS:
        warnings.filterwarnings("ignore", message)
    images = torch.zeros(TRACED_IMAGES, 3, *size)
    with torch.inference_mode(False), torch.no_grad():
        # the constants of the converted model share the memory of the traced one
        module = _Tokens(copy.deepcopy(backbone)).eval().requires_grad_(False)
        traced = torch.jit.trace(module, images, check_trace=False, strict=False)
        frontend = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(traced, example_input=(images,))
        model = frontend.convert(frontend.load(decoder))
    model.reshape([-1, 3, *size])
    return model


def _compile_model(model: Any, threads: int) -> Any:
    """Compile for passes in parallel, each in one thread (bench/predict.py)."""
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": threads,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # several processes would share the first cores
    }
    return _import_openvino().Core().compile_model(model, "CPU", options)


def _import_openvino() -> Any:
    """Import OpenVINO without its telemetry, which reports each import to a server."""
    name = "openvino_telemetry"
    loaded = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # openvino treats it as not installed
    try:
        import openvino
    finally:
        del sys.modules[name]
        if loaded is not None:
            sys.modules[name] = loaded
    return openvino


def _require_equal(compiled: _CompiledBackbone, backbone: nn.Module, size: tuple[int, int]) -> None:
    """Run one image with both engines.

    Raises
    ------
    ValueError
        The tokens differ.
    """
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = image_tokens(backbone, image)
        difference = float((compiled.tokens(image, 1) - expected).abs().max())
    limit = MAX_DIFFERENCE * max(1.0, float(expected.abs().max()))
    if not difference <= limit:
        raise ValueError(f"its tokens differ by {difference:.1e} from those of torch")
