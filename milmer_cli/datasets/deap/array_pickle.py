"""Reader of pickles that contain only arrays, numbers, text and containers: DEAP's .dat files.

A pickle can execute code, and one of nine bytes can allocate gigabytes. The operations are
therefore checked before the pickle is loaded, and the unpickler creates plain arrays only.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.input_files import read_input

_KINDS = "biufSU"
_MAX_OPERATIONS = 50_000_000
_MEMO_OPERATIONS = {"PUT", "BINPUT", "LONG_BINPUT"}
_FORBIDDEN = {"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"}


class UnsafePickleError(Exception):
    """A pickle refers to a global that arrays do not need; the text names it."""


def read_array_pickle(path: Path) -> object:
    """Read a pickle of any protocol, by Python 2 or 3 and NumPy 1 or 2; arrays are `PickledArray`.

    Raises
    ------
    UnsafePickleError
        It refers to anything that arrays do not need. Nothing was executed.
    Exception
        The file is damaged: any type, as Python's unpickler raises it.
    """
    content = read_input(path)
    _check_operations(content)
    return _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()


def _check_operations(content: bytes) -> None:
    """Raise an error if an operation states a size that the file does not have.

    The unpickler allocates as much memory as a pickle states: of text, and of the largest number
    under which an object is remembered.
    """
    operations = 0
    for operations, (operation, argument, _) in enumerate(_operations(content), start=1):
        name = operation.name
        if name in _FORBIDDEN:
            raise UnsafePickleError(f"the operation {name}")
        if name == "GLOBAL" and _allowed(*str(argument).split(" ", 1)) is None:
            raise UnsafePickleError(str(argument).replace(" ", "."))
        remembered = name in _MEMO_OPERATIONS and not 0 <= int(argument or 0) <= operations
        too_long = name == "FRAME" and int(argument or 0) > len(content)
        if remembered or too_long or operations > _MAX_OPERATIONS:
            raise ValueError(f"the operation {name} states an impossible number")
    if not operations:
        raise EOFError("it is empty")


def _operations(content: bytes) -> Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]]:
    """Yield the operations of a pickle with their arguments."""
    try:
        yield from pickletools.genops(content)
    except (ValueError, IndexError, OverflowError, UnicodeDecodeError) as error:
        raise ValueError("it is truncated or damaged") from error


class _NumberType:
    """Stands for ``numpy.dtype``: a type of numbers or text, and its byte order."""

    def __init__(self, name: str | bytes, *options: object) -> None:
        text = name.decode("ascii") if isinstance(name, bytes) else str(name)
        self.dtype = np.dtype(text)
        # an array of objects or of fields could contain anything
        if self.dtype.kind not in _KINDS:
            raise ValueError(f"it contains an array of the type {self.dtype}")

    def __setstate__(self, state: tuple[object, ...]) -> None:
        if state[1] in ("<", ">", b"<", b">"):
            order = state[1].decode("ascii") if isinstance(state[1], bytes) else str(state[1])
            self.dtype = self.dtype.newbyteorder(order)  # type: ignore[arg-type]


class PickledArray:
    """Stands for an array of NumPy, whose own code would trust the shape and type of a pickle.

    Attributes
    ----------
    array
        The array.
    """

    array = np.empty(0)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        shape, number_type, is_fortran, content = state[-4:]
        self.array = _array_from_buffer(content, number_type, shape, "F" if is_fortran else "C")

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return self.array


def _array_type(*arguments: object) -> np.ndarray:
    # stands for numpy.ndarray, which DEAP's files pass to _reconstruct and do not call
    raise UnsafePickleError("a call of numpy.ndarray")


def _empty_array(subtype: object, shape: object, dtype: object) -> PickledArray:
    return PickledArray()


def _array_from_buffer(content: Any, number_type: Any, shape: Any, order: object) -> np.ndarray:
    if not isinstance(number_type, _NumberType):
        raise TypeError("the type of an array is missing")
    buffer = content.encode("latin1") if isinstance(content, str) else content
    array = np.frombuffer(buffer, dtype=number_type.dtype)
    return array.reshape(shape, order="F" if order == "F" else "C")


def _number(number_type: Any, content: Any) -> object:
    """Return a single number of an array, as in a list of them."""
    return _array_from_buffer(content, number_type, (1,), "C")[0].item()


def _latin1(text: str, encoding: str) -> bytes:
    if encoding not in {"latin1", "latin-1"}:
        raise UnsafePickleError(f"_codecs.encode to {encoding!r}")
    return text.encode("latin1")


def _ordered(*items: object) -> dict[object, object]:
    if items:
        raise UnsafePickleError("collections.OrderedDict of something")
    return {}


_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    **{(module, "_reconstruct"): _empty_array for module in _MULTIARRAY},
    **{(module, "scalar"): _number for module in _MULTIARRAY},
    **{(module, "_frombuffer"): _array_from_buffer for module in _NUMERIC},
    ("numpy", "ndarray"): _array_type,
    ("numpy", "dtype"): _NumberType,
    ("_codecs", "encode"): _latin1,
    ("collections", "OrderedDict"): _ordered,
}


def _allowed(module: str, name: str = "") -> Callable[..., object] | None:
    return _ALLOWED.get((module, name))


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickler of dictionaries, numbers, text and plain arrays only.

    It accepts the names of NumPy 1 and NumPy 2; each maps to a function of this module.
    """

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        if (function := _allowed(module, name)) is None:
            raise UnsafePickleError(f"{module}.{name}")
        return function
