"""Open HDF5 files whose data are all inside the file.

An HDF5 file can refer to other files of the machine: by external links, virtual data sets and
external storage. It can also contain links that lead in circles, and filters that load a library.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py

from milmer_cli.errors import InputError
from milmer_cli.input_files import require_regular_file

MAX_OBJECTS = 1000
"""Groups and data sets of a file; a participant has about 20."""

FILTERS = frozenset(
    {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32,
     h5py.h5z.FILTER_SZIP, h5py.h5z.FILTER_NBIT, h5py.h5z.FILTER_SCALEOFFSET, h5py.h5z.FILTER_LZF}
)  # fmt: skip
"""Filters that are part of HDF5 or h5py; any other is a library that HDF5 would search and load."""


def open_hdf5(path: Path, hint: str) -> h5py.File:
    """Open an HDF5 file for reading.

    Parameters
    ----------
    path
    hint
        What the user can do if the file cannot be used.

    Raises
    ------
    InputError
        It is not a regular HDF5 file, or it refers to data outside of the file.
    """
    require_regular_file(path)
    try:
        # A file never changes under its name, so no lock is needed. HDF5's lock would fail
        # on read-only file systems.
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise InputError(f"{path} is not an HDF5 file, or is damaged.", hint) from error
    try:
        problem = next(_problems(file), "")
    except (KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        file.close()
        raise InputError(f"{path} is a damaged HDF5 file.", hint) from error
    if problem:
        file.close()
        raise InputError(f"{path}: {problem}: expected all data inside the file.", hint)
    return file


def _problems(file: h5py.File) -> Iterator[str]:
    """Describe what is not a group or data set inside the file, without following any link."""
    groups: list[h5py.Group] = [file]
    n_objects = 0
    while groups:
        group = groups.pop()
        for name in group:
            n_objects += 1
            where = f"{group.name.rstrip('/')}/{name}"[:200]
            link = group.get(name, getlink=True)
            if n_objects > MAX_OBJECTS:
                yield f"the file has more than {MAX_OBJECTS} objects, or links in circles"
                return
            if not isinstance(link, h5py.HardLink):
                kind = "an external" if isinstance(link, h5py.ExternalLink) else "a soft"
                yield f"{where} is {kind} link"
            elif isinstance(item := group[name], h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                yield from (f"{where} {problem}" for problem in _storage_problems(item))
            else:
                yield f"{where} is neither a group nor a data set"


def _storage_problems(item: h5py.Dataset) -> Iterator[str]:
    if item.is_virtual:
        yield "is a virtual data set"
    if item.external:
        yield "has external storage"
    properties = item.id.get_create_plist()
    for number in range(properties.get_nfilters()):
        if properties.get_filter(number)[0] not in FILTERS:
            yield "has a filter that is not part of HDF5"
