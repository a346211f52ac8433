"""Spherical splines on the head: prediction of one electrode from the others.

The splines are those of Perrin et al. (1989), with the parameters of MNE, whose interpolation works
on whole recordings only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mne
import numpy as np

from milmer_cli.eeg.channels import canonical_name, montage_1005

_STIFFNESS, _N_TERMS, _REGULARIZATION = 4, 50, 1e-5
"""Parameters of MNE."""

_MIN_SOURCES = 4


@dataclass(frozen=True, eq=False)
class SphericalSplines:
    """Spherical splines through electrodes.

    Attributes
    ----------
    kernel
        (n_channels, n_channels): `spline_kernel` of the electrodes.
    """

    kernel: np.ndarray

    def weights(self, good: np.ndarray) -> np.ndarray:
        """Return the weights that predict each channel from the good channels other than itself.

        Parameters
        ----------
        good
            (n_channels,) bool.

        Returns
        -------
        ndarray, shape (n_channels, n_channels)
            Its product with the signals is the prediction. The rows sum to 1; they are 0 if fewer
            than 4 channels are good.
        """
        weights, used = np.zeros_like(self.kernel), np.flatnonzero(good)
        if len(used) < _MIN_SOURCES:
            return weights
        inverse = self._inverse(used)
        to_all = np.column_stack([self.kernel[:, used], np.ones(len(good))])
        weights[:, used] = to_all @ inverse[:, : len(used)]
        # A channel is left out of its own prediction without another inversion, by the identity
        # of the leave-one-out residual: (K^-1 y)_i / (K^-1)_ii
        own = inverse[: len(used), : len(used)] / np.diag(inverse)[: len(used), None]
        weights[np.ix_(used, used)] = np.eye(len(used)) - own
        return weights

    def _inverse(self, used: np.ndarray) -> np.ndarray:
        size = len(used)
        system = np.ones((size + 1, size + 1))
        system[:size, :size] = self.kernel[np.ix_(used, used)] + _REGULARIZATION * np.eye(size)
        system[size, size] = 0.0
        return np.linalg.inv(system)


def spline_kernel(directions: np.ndarray) -> np.ndarray:
    """Return the kernel of spherical splines between unit vectors: (n, n)."""
    degree = np.arange(1, _N_TERMS + 1)
    factors = (2 * degree + 1) / (degree * (degree + 1.0)) ** _STIFFNESS / (4 * np.pi)
    cosines = np.clip(directions @ directions.T, -1.0, 1.0)
    kernel: np.ndarray = np.polynomial.legendre.legval(cosines, [0.0, *factors])
    return kernel


def electrode_splines(info: mne.Info, names: Sequence[str]) -> SphericalSplines | None:
    """Return the splines through electrodes, or None if the position of one is not known.

    Parameters
    ----------
    info
        MNE info of the channels. Its electrode positions are used if it has all of them, otherwise
        those of the 10-05 system by name.
    names
        Channel names, in the order of ``info``.
    """
    directions = _directions(info, names)
    return None if directions is None else SphericalSplines(spline_kernel(directions))


def _directions(info: mne.Info, names: Sequence[str]) -> np.ndarray | None:
    """Return unit vectors from the center of the head, (n_channels, 3)."""
    positions = np.array([channel["loc"][:3] for channel in info["chs"]])
    if not (np.isfinite(positions).all() and (np.abs(positions).sum(axis=1) > 0).all()):
        montage = montage_1005().get_positions()["ch_pos"]
        known = {canonical_name(name): position for name, position in montage.items()}
        wanted = [canonical_name(name) for name in names]
        if not set(wanted) <= set(known):
            return None
        center = _sphere_center(np.array(list(known.values())))
        positions = np.array([known[name] for name in wanted])
    else:
        center = _sphere_center(positions)
    directions: np.ndarray = positions - center
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _sphere_center(positions: np.ndarray) -> np.ndarray:
    """Fit a sphere: |p|^2 = 2 p.c + (r^2 - |c|^2) is linear in the center c."""
    columns = np.column_stack([2 * positions, np.ones(len(positions))])
    solution: np.ndarray = np.linalg.lstsq(columns, (positions**2).sum(axis=1), rcond=1e-3)[0]
    return solution[:3]
