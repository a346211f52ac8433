"""Segment onsets, and the cut of a preprocessed trial into segments."""

from __future__ import annotations

import math

import mne
import numpy as np

from milmer_cli.eeg.bad_channels import windows_to_segments
from milmer_cli.eeg.gaps import in_gap
from milmer_cli.eeg.preprocess import PreprocessedEeg
from milmer_cli.eeg.quality import EegQuality
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import EegSettings

END_TOLERANCE_S = 0.1
"""A stimulus that is this much shorter than a whole number of segments still gets its last segment:
event codes jitter by milliseconds, and one lost segment per trial would be 5 % of DEAP."""


def count_segments(duration_s: float, segment_s: float, overlap_s: float = 0.0) -> int:
    """Return the number of whole segments in a stimulus, with `END_TOLERANCE_S` at its end."""
    if duration_s + END_TOLERANCE_S < segment_s:
        return 0
    return 1 + math.floor((duration_s + END_TOLERANCE_S - segment_s) / (segment_s - overlap_s))


def segment_onsets(duration_s: float, settings: EegSettings) -> np.ndarray:
    """Return the start of each segment, (n_segments,) float64, in seconds after stimulus onset."""
    n_segments = count_segments(duration_s, settings.segment_s, settings.overlap_s)
    return np.arange(n_segments) * (settings.segment_s - settings.overlap_s)


def cut_segments(
    eeg: PreprocessedEeg, trial: int, duration_s: float, settings: EegSettings
) -> np.ndarray:
    """Cut one trial into segments.

    Segment ``s`` starts at sample ``round(onset_s * sfreq) + round(s * step_s * sfreq)``: each
    onset is rounded on its own, so rounding errors do not add up over a trial.

    Parameters
    ----------
    eeg
        Preprocessed recording.
    trial
        Trial number.
    duration_s
        Duration of the stimulus.
    settings
        ``segment_s``, ``overlap_s`` and ``layout``; layout ``published`` applies the published
        code's reshape and band-pass to the trial (see `published_reshape`).

    Returns
    -------
    ndarray, shape (n_segments, n_channels, n_samples), float32
        Microvolts. Segments that extend beyond the recording are omitted, never padded. Segments
        that contain a gap of the recording are NaN.

    Raises
    ------
    InputError
        The recording does not contain the trial.
    """
    if trial not in eeg.onset_s:
        raise InputError(
            f"The EEG recording has no trial {trial}.",
            f"It has: {', '.join(map(str, sorted(eeg.onset_s)))}.",
        )
    starts, n_samples = _segment_starts(eeg, trial, duration_s, settings)
    segments = np.empty((len(starts), len(eeg.channels), n_samples), np.float32)
    for segment, start in zip(segments, starts, strict=True):
        segment[:] = eeg.data[:, start : start + n_samples]
    segments[in_gap(eeg.gaps, starts, n_samples, eeg.sfreq)] = np.nan
    if settings.layout == "plain" or not len(segments):
        return segments
    whole_trial = np.concatenate(list(segments), axis=1)
    return published_segments(whole_trial, n_samples, eeg.sfreq, settings.band_hz)


def segment_quality(
    eeg: PreprocessedEeg,
    trial: int,
    duration_s: float,
    settings: EegSettings,
    segments: np.ndarray,
) -> EegQuality:
    """Return the quality of the segments of a trial.

    A channel is bad (interpolated) in a segment if it is bad (interpolated) in any window that
    overlaps the segment. In the layout ``published``, the rows of a segment are not channels: none
    is bad, and the amplitudes are NaN.

    Parameters
    ----------
    eeg, trial, duration_s, settings
        As for `cut_segments`.
    segments
        Its result.
    """
    quality = EegQuality.of(segments)
    if settings.layout == "published":
        quality.ptp_uv[:] = np.nan
        return quality
    starts_s = _segment_starts(eeg, trial, duration_s, settings)[0] / eeg.sfreq
    quality.bad[:] |= windows_to_segments(eeg.bad, starts_s, settings.segment_s)
    quality.interpolated[:] = windows_to_segments(
        eeg.interpolated_windows, starts_s, settings.segment_s
    )
    return quality


def _segment_starts(
    eeg: PreprocessedEeg, trial: int, duration_s: float, settings: EegSettings
) -> tuple[np.ndarray, int]:
    """Return the first sample of each segment within the recording, and the samples per segment."""
    n_samples = round(settings.segment_s * eeg.sfreq)
    offsets = np.rint(segment_onsets(duration_s, settings) * eeg.sfreq).astype(np.int64)
    starts = round(eeg.onset_s[trial] * eeg.sfreq) + offsets
    return starts[(starts >= 0) & (starts + n_samples <= eeg.data.shape[1])], n_samples


def published_reshape(trial: np.ndarray) -> np.ndarray:
    """Apply the published notebook's ``reshape(-1, n_channels).T`` to (n_channels, n_samples).

    This is not a transpose, although the notebook uses it as one: it mixes electrodes and time.
    Row ``k``, column ``j`` of the result is element ``n_channels * j + k`` of the flattened trial.
    After the cut into segments of 3 s, a "segment" therefore contains 2-3 electrodes over all 60 s,
    and its "electrodes" are every 32nd sample of them.
    """
    return np.ascontiguousarray(trial.reshape(-1, len(trial)).T)


def published_segments(
    trial: np.ndarray, segment_samples: int, sfreq: float, band_hz: tuple[float, float]
) -> np.ndarray:
    """Return the segments that the published code makes of a trial, errors included.

    The steps are those of the notebook: `published_reshape`, band-pass over the reshaped trial,
    cut into consecutive segments.

    Parameters
    ----------
    trial
        (n_channels, n_samples), microvolts.
    segment_samples
        Samples per segment.
    sfreq, band_hz
        Sampling rate and pass band, in Hz.

    Returns
    -------
    ndarray, shape (n_segments, n_channels, segment_samples), float32
    """
    reshaped = published_reshape(trial).astype(np.float64)
    mne.filter.filter_data(reshaped, sfreq, *band_hz, copy=False, verbose="error")
    n_segments = reshaped.shape[1] // segment_samples
    whole = reshaped[:, : n_segments * segment_samples]
    segments = whole.reshape(len(trial), n_segments, segment_samples).transpose(1, 0, 2)
    return segments.astype(np.float32)
