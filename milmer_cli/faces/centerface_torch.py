"""The network of CenterFace in PyTorch, for a GPU: OpenCV runs it on the CPU only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from milmer_cli.errors import MilmerError

Operation = Callable[..., torch.Tensor]


class OnnxNetwork(torch.nn.Module):
    """A convolutional network from an ONNX file, of the operations in `_OPERATIONS`.

    Parameters
    ----------
    content
        The file.

    Raises
    ------
    MilmerError
        The package onnx is not installed.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__()
        onnx = _import_onnx()
        graph = onnx.load_from_string(content).graph
        self._weights = [weight.name for weight in graph.initializer]
        for index, weight in enumerate(graph.initializer):
            values = torch.from_numpy(np.array(onnx.numpy_helper.to_array(weight)))
            self.register_buffer(f"weight_{index}", values)
        (self._input,) = (i.name for i in graph.input if i.name not in set(self._weights))
        self._nodes = [_read_node(onnx, node) for node in graph.node]

    def forward(self, images: torch.Tensor, outputs: tuple[str, ...]) -> list[torch.Tensor]:
        """Return the named outputs.

        Parameters
        ----------
        images
            (n, channels, height, width).
        outputs
            Names of the tensors to return.
        """
        values = {name: self.get_buffer(f"weight_{i}") for i, name in enumerate(self._weights)}
        values[self._input] = images
        for operation, attributes, inputs, output in self._nodes:
            values[output] = operation(attributes, *(values[name] for name in inputs))
        return [values[name] for name in outputs]


def _import_onnx() -> Any:
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError as error:
        raise MilmerError(
            "The face detector centerface on a GPU needs the package onnx, which is not installed.",
            "Run `pip install 'milmer-cli[gpu]'`, or set run.device=cpu.",
        ) from error
    return onnx


def _read_node(onnx: Any, node: Any) -> tuple[Operation, dict[str, Any], list[str], str]:
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    return _OPERATIONS[node.op_type], attributes, list(node.input), node.output[0]


def _convolution(function: Callable[..., torch.Tensor]) -> Operation:
    def convolve(attributes: dict[str, Any], *tensors: torch.Tensor) -> torch.Tensor:
        return function(
            *tensors,
            stride=attributes["strides"],
            padding=attributes["pads"][:2],
            groups=attributes["group"],
        )

    return convolve


def _normalize(
    attributes: dict[str, Any],
    images: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
) -> torch.Tensor:
    epsilon = attributes["epsilon"]
    return functional.batch_norm(images, mean, variance, weight, bias, eps=epsilon)


_OPERATIONS: dict[str, Operation] = {
    "Conv": _convolution(functional.conv2d),
    "ConvTranspose": _convolution(functional.conv_transpose2d),
    "BatchNormalization": _normalize,
    "Relu": lambda _, images: images.relu(),
    "Sigmoid": lambda _, images: images.sigmoid(),
    "Add": lambda _, first, second: first + second,
}
