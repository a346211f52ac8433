"""Check of the synchronization of video and EEG by the eye blinks that are visible in both.

The lag at which the two blink traces correlate best is the error of the onsets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.prediction.blinks import MAX_LAG_S, RATE_HZ, TASK, eeg_trace, video_trace
from milmer_cli.prediction.recording import EegRecording
from milmer_cli.prediction.timing import StimulusTiming
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings.schema import FacesSettings
from milmer_cli.video.frames import VideoSpan

MAX_DURATION_S = 120.0

_MIN_DURATION_S = 20.0
_MIN_PEAK_SD, _MIN_CORRELATION = 6.0, 0.2
_PEAK_WIDTH_S = 0.5
_RIVAL_SHARE = 0.75
"""A second peak of at least this share of the first makes the result ambiguous."""
_SYNCHRONOUS_S = 0.2

_UNCLEAR = (
    "No lag up to "
    f"{MAX_LAG_S:g} s clearly aligns the blinks in the video with those in the EEG: the onsets are "
    "not verified (possible causes: a short recording, few blinks, glasses, or a larger error)."
)


@dataclass(frozen=True, eq=False)
class SyncCheck:
    """Blink traces and their cross-correlation.

    Attributes
    ----------
    time
        (n,) seconds from the start of the stimulus, evenly spaced.
    video, eeg
        (n,) deviation of the eyes in the video, and of the voltage, above their median, 0 to 1; NaN
        where unknown.
    eeg_name
        EEG channel of the trace.
    lag
        (m,) lags in seconds; positive if blinks are later in the EEG.
    correlation
        (m,) correlation at each lag.
    best_lag_s
        Lag of the highest correlation.
    clear
        Whether that peak is distinct and unique.
    sentence
        The result in words.
    """

    time: np.ndarray
    video: np.ndarray
    eeg: np.ndarray
    eeg_name: str
    lag: np.ndarray
    correlation: np.ndarray
    best_lag_s: float
    clear: bool
    sentence: str

    @property
    def synchronous(self) -> bool:
        """Whether the check proves that the onsets are right."""
        return self.clear and abs(self.best_lag_s) <= _SYNCHRONOUS_S


def check_sync(
    video: VideoSpan,
    recording: EegRecording,
    timing: StimulusTiming,
    faces: FacesSettings,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> SyncCheck:
    """Compare the blinks in the first `MAX_DURATION_S` of the stimulus.

    Parameters
    ----------
    video
        The video and the start of the stimulus in it.
    recording
        The EEG.
    timing
        Onset in the EEG, and duration.
    faces
        Section ``faces`` of the settings.
    device
        torch device of the face detector.
    progress
        Advanced by frames.

    Raises
    ------
    InputError
        A file cannot be read, no face or no suitable channel is found, or the files share too
        little.
    """
    times = np.arange(0.0, min(timing.duration_s, MAX_DURATION_S), 1 / RATE_HZ)
    progress.start(TASK, total=len(times), unit="frames")
    in_video = video_trace(video, times, faces, device, progress)
    progress.done(TASK)
    name, in_eeg = eeg_trace(recording, timing.eeg_onset_s, len(times))
    lags, correlation = _cross_correlate(in_video, in_eeg)
    best, rival, distinct = _find_peak(lags, correlation)
    distinct &= bool(times[-1] >= _MIN_DURATION_S)
    if not distinct:
        sentence = _UNCLEAR
    elif rival is None:
        sentence = _describe_lag(best, video.onset_s, timing.eeg_onset_s)
    else:
        sentence = (
            f"The blinks in the video and in the EEG align about equally well at a lag of "
            f"{best:+.2f} s and at {rival:+.2f} s: the onsets are not verified."
        )
    margin = round(MAX_LAG_S * RATE_HZ)
    unshifted = in_eeg[margin : margin + len(times)]
    clear = distinct and rival is None
    return SyncCheck(times, in_video, unshifted, name, lags, correlation, best, clear, sentence)


def _cross_correlate(video: np.ndarray, eeg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lags in seconds, and the correlation of the traces at each (NaN: too few samples)."""
    shifts = np.arange(len(eeg) - len(video) + 1)
    correlation = np.full(len(shifts), np.nan)
    for shift in shifts:
        shifted = eeg[shift : shift + len(video)]
        known = np.isfinite(shifted) & np.isfinite(video)
        if known.sum() > len(video) / 2 and shifted[known].std() and video[known].std():
            correlation[shift] = np.corrcoef(shifted[known], video[known])[0, 1]
    if not np.isfinite(correlation).any():
        raise InputError(
            "The video and the EEG overlap too little for a comparison of blinks.",
            "Remove --align-check.",
        )
    return (shifts - round(MAX_LAG_S * RATE_HZ)) / RATE_HZ, correlation


def _find_peak(lags: np.ndarray, correlation: np.ndarray) -> tuple[float, float | None, bool]:
    """Return the best lag, a rival that is nearly as good, and whether the peak is distinct.

    The height of the peak is compared with the median and the robust standard deviation of the
    correlations that are more than `_PEAK_WIDTH_S` away from it.
    """
    peak = int(np.nanargmax(correlation))
    outside = np.abs(lags - lags[peak]) > _PEAK_WIDTH_S
    others = correlation[outside]
    median = float(np.nanmedian(others))
    spread = 1.4826 * float(np.nanmedian(np.abs(others - median))) or 1.0
    height = correlation[peak]
    distinct = bool((height - median) / spread > _MIN_PEAK_SD and height > _MIN_CORRELATION)
    second = int(np.nanargmax(others))
    rival = float(lags[outside][second]) if others[second] > _RIVAL_SHARE * height else None
    return float(lags[peak]), rival, distinct


def _describe_lag(lag_s: float, video_onset_s: float, eeg_onset_s: float) -> str:
    if abs(lag_s) <= _SYNCHRONOUS_S:
        return f"The blinks in the video and in the EEG coincide within {abs(lag_s):.2f} s."
    # The video onset is corrected, because that of the EEG may be marked. A correction that would
    # put it before the start of the video moves the EEG onset instead.
    corrected = video_onset_s - lag_s
    video_onset_s, eeg_onset_s = max(0.0, corrected), eeg_onset_s - min(0.0, corrected)
    return (
        f"Blinks are {abs(lag_s):.2f} s {'later' if lag_s > 0 else 'earlier'} in the EEG than in "
        f"the video: the onsets are probably wrong. Use --video-onset {video_onset_s:.2f} "
        f"--eeg-onset {eeg_onset_s:.2f} to align them."
    )
