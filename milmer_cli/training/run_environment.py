"""environment.json of a run: versions, and a check of the values that evaluate and predict use."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import milmer_cli
from milmer_cli.errors import InputError
from milmer_cli.formats import read_document

PACKAGES = ("torch", "transformers", "accelerate", "numpy", "scipy", "scikit-learn", "mne", "h5py")
_HINT = "Train again, or restore the file from a copy of the run."


def package_versions() -> dict[str, str]:
    """Versions of Milmer, Python and the packages that determine the results."""
    versions = {"milmer": milmer_cli.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _is_names(value: object) -> bool:
    """Whether a value is a list of different names."""
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        return False
    return len(set(value)) == len(value)


def _is_positive(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value > 0  # type: ignore[arg-type,operator]


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


def _is_counts(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


Check = tuple[Callable[[object], bool], str]
_NAMES: Check = (_is_names, "a list of different names")
_POSITIVE: Check = (_is_positive, "a positive number")
_COUNT: Check = (_is_count, "a positive integer")
_REQUIRED: Mapping[str, Check] = {
    "channels": _NAMES,
    "sfreq": _POSITIVE,
    "segment_s": _POSITIVE,
    "instances": _COUNT,
    "face_size": _COUNT,
}
_OPTIONAL: Mapping[str, Check] = {
    "participants": _NAMES,
    "cleaned": _NAMES,
    "eog_methods": (_is_counts, "counts by method"),
    "detector": (lambda value: isinstance(value, str), "a name"),
}


def read_environment(path: Path) -> dict[str, Any]:
    """Read environment.json of a finished run.

    Raises
    ------
    InputError
        The file is missing or damaged: a value that is used later is missing or of a wrong type.
    """
    environment = read_document(path, "run-environment", ("classes", "label_rule", "store"), _HINT)
    store = environment["store"]
    if not isinstance(store, dict) or not set(_REQUIRED) <= set(store):
        raise InputError(f"{path} is damaged: expected a store with {', '.join(_REQUIRED)}.", _HINT)
    values = {"classes": (_NAMES, environment["classes"])} | {
        f"store.{name}": (check, store[name])
        for name, check in {**_REQUIRED, **_OPTIONAL}.items()
        if store.get(name) is not None or name in _REQUIRED
    }
    for name, ((is_valid, expected), value) in values.items():
        if not is_valid(value):
            raise InputError(
                f"{path} is damaged: {name}: expected {expected}, got {str(value)[:60]}.", _HINT
            )
    return environment
