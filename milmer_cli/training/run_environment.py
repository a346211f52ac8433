"""Versions of the packages that determine the results, for environment.json."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import milmer_cli

PACKAGES = ("torch", "transformers", "accelerate", "numpy", "scipy", "scikit-learn", "mne", "h5py")


def package_versions() -> dict[str, str]:
    """Versions of Milmer, Python and the packages that determine the results."""
    versions = {"milmer": milmer_cli.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions
