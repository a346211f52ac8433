"""EEG segments of a recording, with their quality.

A recording of up to `MAX_WHOLE_S` is preprocessed as a whole, exactly as in `prepare`. A longer one
is preprocessed in pieces, so that memory does not grow with its duration. Consecutive pieces
overlap by `MARGIN_S` on each side, which is longer than any filter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from milmer_cli.data.quality import usable_eeg
from milmer_cli.eeg.amplitude import amplitude_warning
from milmer_cli.eeg.io import EegBlock
from milmer_cli.eeg.quality import EegQuality
from milmer_cli.prediction.recording import EegRecording
from milmer_cli.prediction.timing import StimulusTiming
from milmer_cli.preprocessing import LastRecording, segment_eeg
from milmer_cli.settings.schema import EegSettings, QualitySettings

MAX_WHOLE_S, PIECE_S, MARGIN_S = 5400.0, 2700.0, 30.0

EegScaling = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Maps (n_segments, n_channels, n_samples) and whether each is usable to EEG of the same shape."""

_TRIAL = 0
"""Trial number of the stimulus in the block that is preprocessed."""


@dataclass(frozen=True, eq=False)
class EegSegments:
    """EEG of consecutive segments.

    Attributes
    ----------
    data
        (n_segments, n_channels, n_samples) float32, microvolts.
    quality
        Quality of each channel and segment.
    """

    data: np.ndarray
    quality: EegQuality

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, rows: slice) -> EegSegments:
        return EegSegments(self.data[rows], self.quality[rows])


class EegSegmentReader:
    """Read the segments of a recording in order, preprocessing one piece at a time.

    Parameters
    ----------
    recording
        The recording.
    timing
        Position of the stimulus. If the EEG marks it, the recording is preprocessed as a whole
        whatever its duration, so the segments equal those of `prepare`.
    onsets
        (n_segments,) start of each segment, in seconds from the start of the stimulus.
    settings
        Section ``eeg`` of the model's run.
    limits
        The quality rule.
    scaling
        Applied to the EEG that is preprocessed at once; see `prediction.eeg_scaling`.
    last
        As for `segment_eeg`.

    Attributes
    ----------
    notes, warnings
        Messages of the preprocessing so far, as dict keys in order.
    """

    def __init__(
        self,
        recording: EegRecording,
        timing: StimulusTiming,
        onsets: np.ndarray,
        settings: EegSettings,
        limits: QualitySettings,
        scaling: EegScaling | None = None,
        last: LastRecording | None = None,
    ) -> None:
        self.notes: dict[str, None] = {}
        self.warnings: dict[str, None] = {}
        self._recording, self._settings, self._limits = recording, settings, limits
        self._scaling, self._last = scaling, last
        self._onset_s, self._onsets = timing.eeg_onset_s, onsets
        raw = recording.block.raw
        duration_s = raw.n_times / float(raw.info["sfreq"])
        # the published layout reshapes a whole trial and cannot be applied to pieces
        self._whole = timing.marked or duration_s <= MAX_WHOLE_S or settings.layout == "published"
        self._pieces = self._read_pieces()
        self._buffer: EegSegments | None = None

    def read(self, count: int) -> EegSegments:
        """Return the next ``count`` segments, or fewer if the recording ends."""
        parts = [] if self._buffer is None else [self._buffer]
        while sum(map(len, parts)) < count:
            piece = next(self._pieces, None)
            if piece is None:
                break
            parts.append(piece)
        segments = _concatenate(parts)
        self._buffer = segments[count:]
        return segments[:count]

    def _read_pieces(self) -> Iterator[EegSegments]:
        if self._whole:
            yield self._preprocess(self._recording.block, self._onset_s, self._onsets)
            return
        self.notes[
            f"The recording is longer than {MAX_WHOLE_S / 60:g} minutes: it is preprocessed in "
            f"pieces of {PIECE_S / 60:g} minutes, each with its own bad channels and its own EOG "
            "regression."
        ] = None
        raw = self._recording.block.raw
        last_s = (raw.n_times - 1) / float(raw.info["sfreq"])
        piece_of_segment = self._onsets // PIECE_S
        for piece in np.unique(piece_of_segment):
            onsets = self._onsets[piece_of_segment == piece]
            begin = max(0.0, self._onset_s + onsets[0] - MARGIN_S)
            end = self._onset_s + onsets[-1] + self._settings.segment_s + MARGIN_S
            part = raw.copy().crop(begin, min(end, last_s), verbose="error")
            # crop() starts at a sample, which may differ from the requested time
            onset_s = self._onset_s - (part.first_time - raw.first_time) + onsets[0]
            block = replace(self._recording.block, raw=part)
            yield self._preprocess(block, onset_s, onsets - onsets[0])

    def _preprocess(self, block: EegBlock, onset_s: float, onsets: np.ndarray) -> EegSegments:
        segmented = segment_eeg(
            replace(block, onset_s={_TRIAL: onset_s}),
            {_TRIAL: float(onsets[-1]) + self._settings.segment_s},
            self._settings,
            list(self._recording.match.found),
            self._recording.channels,
            self._last,
        )
        segments = EegSegments(segmented.trials[_TRIAL], segmented.quality[_TRIAL])
        self.notes |= dict.fromkeys(segmented.recording.notes)
        self.warnings |= dict.fromkeys(segmented.recording.warnings)
        usable = usable_eeg(segments.quality, self._limits)
        n_poor = int((~usable).sum())
        if unlikely_amplitude := amplitude_warning(segmented.recording.data):
            self.warnings[unlikely_amplitude] = None
        elif 2 * n_poor > len(segments):
            self.warnings[self._poor_quality(n_poor, len(segments))] = None
        if self._scaling is not None and usable.any():
            return EegSegments(self._scaling(segments.data, usable), segments.quality)
        return segments

    def _poor_quality(self, n_poor: int, n_segments: int) -> str:
        share, limit_uv = self._limits.max_bad_channels, self._limits.reject_ptp_uv
        return (
            f"In {n_poor} of {n_segments} segments more than {share:.0%} of the channels are "
            f"missing, bad, flat or above {limit_uv:g} microvolts: inspect the recording."
        )


def _concatenate(parts: Sequence[EegSegments]) -> EegSegments:
    if not parts:
        return EegSegments(np.zeros((0, 0, 0), np.float32), EegQuality.missing(0, 0))
    return EegSegments(
        np.concatenate([part.data for part in parts]),
        EegQuality.concatenate([part.quality for part in parts]),
    )
