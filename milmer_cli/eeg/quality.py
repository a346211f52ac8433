"""Signal quality of EEG segments: which electrodes are bad in which segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np


@dataclass(frozen=True, eq=False)
class EegQuality:
    """Quality of each channel in each segment of EEG.

    Attributes
    ----------
    bad
        (n_segments, n_channels) bool: the electrode is bad or missing in the segment.
    interpolated
        (n_segments, n_channels) bool: the values are interpolated, at least in part of the segment.
    ptp_uv
        (n_segments, n_channels) float32: peak-to-peak amplitude after preprocessing, in microvolts;
        NaN without EEG.
    """

    bad: np.ndarray
    interpolated: np.ndarray
    ptp_uv: np.ndarray

    @classmethod
    def of(cls, segments: np.ndarray) -> Self:
        """Return the quality of segments, (n_segments, n_channels, n_samples).

        Channels are bad where they are NaN, as in gaps of a recording.
        """
        ptp_uv = np.ptp(segments, axis=2).astype(np.float32)
        return cls(np.isnan(ptp_uv), np.zeros(ptp_uv.shape, bool), ptp_uv)

    @classmethod
    def missing(cls, n_segments: int, n_channels: int) -> Self:
        """Return the quality of segments without EEG."""
        bad = np.ones((n_segments, n_channels), bool)
        return cls(bad, ~bad, np.full(bad.shape, np.nan, np.float32))

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Join the quality of consecutive segments; at least one part."""
        return cls(
            *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls))
        )

    def __len__(self) -> int:
        return len(self.bad)

    def __getitem__(self, rows: slice | np.ndarray) -> Self:
        return type(self)(self.bad[rows], self.interpolated[rows], self.ptp_uv[rows])
