"""Read archives of arrays that the program wrote itself, as a cache that may be damaged."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.input_files import open_input

_DAMAGE = (
    ValueError, KeyError, EOFError, OSError, TypeError, IndexError, OverflowError, MemoryError,
    InputError, NotImplementedError, RuntimeError, SyntaxError, struct.error, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
"""What NumPy and zipfile raise for damaged archives."""


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """Read all arrays of an ``.npz`` file; None if it is missing or damaged.

    Every member is compared with its CRC-32. Pickled objects are never loaded.
    """
    try:
        # np.load leaves a damaged file open, so it is opened here
        with open_input(path) as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except _DAMAGE:
        return None
