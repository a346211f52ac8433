"""Traces of eye blinks, from the video and from the EEG, on a common time axis.

In the video a blink changes the eyes, and not the rest of the face, for about a quarter of a
second. In the EEG it is the largest deflection of the EOG and of the frontal electrodes.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage, signal, stats

from milmer_cli.errors import InputError
from milmer_cli.faces.extract import extract_faces
from milmer_cli.prediction.recording import EegRecording
from milmer_cli.preprocessing import face_detector
from milmer_cli.progress import Progress
from milmer_cli.settings.schema import FacesSettings
from milmer_cli.video.frames import VideoReader, VideoSpan

TASK = "align check"
RATE_HZ = 25.0
"""Sampling rate of both traces."""

MAX_LAG_S = 5.0
"""The EEG trace extends the video trace by this much on each side."""

_FRONTAL = ("Fp1", "Fp2", "Fpz", "AF3", "AF4")
_BAND_HZ = (1.0, 10.0)
_FILTER_MARGIN_S = 2.0
_COMPARE_S = 0.32  # longer than half a blink, shorter than most head movements
_EYE_ROWS, _OTHER_ROWS = (0.12, 0.50), (0.55, 0.95)  # shares of the face box, from its top
_COLUMNS = (0.1, 0.9)
_PATCH = (24, 48)
_MIN_FACES = 3
_MIN_RANGE_SD = 8.0
"""A trace that stays below this many robust standard deviations is not scaled up to 1."""


def video_trace(
    video: VideoSpan, times: np.ndarray, faces: FacesSettings, device: str, progress: Progress
) -> np.ndarray:
    """Measure how much more the eyes change than the rest of the face.

    The face is detected once per second and its box interpolated in between.

    Parameters
    ----------
    video
        The video and the start of the stimulus in it.
    times
        (n,) seconds from the start of the stimulus, at `RATE_HZ`.
    faces
        Section ``faces`` of the settings.
    device
        torch device of the face detector.
    progress
        Advanced by frames.

    Returns
    -------
    ndarray
        (n,) 0 to 1; NaN without a face.

    Raises
    ------
    InputError
        The face is found in fewer than 3 of the frames searched.
    """
    seconds = np.arange(0.0, times[-1] + 1.0)
    bag = extract_faces(video, seconds[:, None], faces, face_detector(faces, device))
    found = bag.found[:, 0]
    if found.sum() < _MIN_FACES:
        raise InputError(
            f"A face is found in {found.sum()} of {len(found)} frames of {video.path}, so blinks "
            "cannot be compared.",
            "Remove --align-check.",
        )
    edges = ndimage.median_filter(bag.box[found, 0].astype(float), size=(3, 1), mode="nearest")
    boxes = np.stack([np.interp(times, seconds[found], edge) for edge in edges.T], axis=1)
    near_face = np.interp(times, seconds, found.astype(float)) > 0.5
    eyes = np.full((len(times), _PATCH[0] * _PATCH[1]), np.nan, np.float32)
    other = np.full_like(eyes, np.nan)
    for sample in VideoReader(video.path, video.options).frames_at(video.onset_s + times):
        progress.advance(TASK)
        if sample.image is not None and near_face[sample.index]:
            gray = cv2.cvtColor(sample.image, cv2.COLOR_RGB2GRAY)
            eyes[sample.index] = _patch(gray, boxes[sample.index], _EYE_ROWS)
            other[sample.index] = _patch(gray, boxes[sample.index], _OTHER_ROWS)
    return _normalize(np.log((_change(eyes) + 0.5) / (_change(other) + 0.5)))


def _patch(gray: np.ndarray, box: np.ndarray, rows: tuple[float, float]) -> np.ndarray:
    """Cut the given rows out of a face box and resize them to `_PATCH`, flattened."""
    left, top, right, bottom = box
    height, width = bottom - top, right - left
    y0, y1 = (int(np.clip(top + share * height, 0, len(gray) - 1)) for share in rows)
    x0, x1 = (int(np.clip(left + s * width, 0, gray.shape[1] - 1)) for s in _COLUMNS)
    patch = gray[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    resized = cv2.resize(patch, _PATCH[::-1], interpolation=cv2.INTER_AREA)
    return resized.ravel().astype(np.float32)


def _change(pixels: np.ndarray) -> np.ndarray:
    """(n,) difference of each frame from the frames `_COMPARE_S` before and after it.

    The smaller of the two is used: after a lasting change, such as a head movement, one of them is
    similar, whereas a blink differs from both.
    """
    step = round(_COMPARE_S * RATE_HZ)
    padded = np.pad(pixels, ((step, step), (0, 0)), mode="edge")
    before = np.abs(pixels - padded[: -2 * step]).mean(axis=1)
    after = np.abs(pixels - padded[2 * step :]).mean(axis=1)
    change: np.ndarray = np.minimum(before, after)
    return change


def eeg_trace(recording: EegRecording, onset_s: float, count: int) -> tuple[str, np.ndarray]:
    """Measure the deflection of the channel with the clearest blinks.

    The candidates are the EOG channels or, without any, the frontal electrodes. Blinks are rare and
    large, so the channel with the highest kurtosis is used.

    Parameters
    ----------
    recording
        The recording.
    onset_s
        Start of the stimulus in it, in seconds.
    count
        Samples of the video trace.

    Returns
    -------
    name
        Channel, or the two channels of a bipolar pair.
    trace
        (count + 2 * MAX_LAG_S * RATE_HZ,) 0 to 1, from `MAX_LAG_S` before the stimulus; NaN outside
        the recording.

    Raises
    ------
    InputError
        There is neither an EOG channel nor a frontal electrode.
    """
    raw = recording.block.raw
    sfreq = float(raw.info["sfreq"])
    margin = MAX_LAG_S + _FILTER_MARGIN_S
    first = max(0, int((onset_s - margin) * sfreq))
    last = min(raw.n_times, int((onset_s + count / RATE_HZ + margin) * sfreq))
    high = min(_BAND_HZ[1], 0.45 * sfreq)
    band = signal.butter(2, (_BAND_HZ[0], high), "bandpass", fs=sfreq, output="sos")
    candidates = []
    for channels in _blink_channels(recording):
        data = raw.get_data(picks=list(channels), start=first, stop=last, verbose="error")
        voltage = 1e6 * (data[0] - data[1] if len(data) > 1 else data[0])
        voltage = signal.sosfiltfilt(band, voltage - voltage.mean())
        candidates.append((float(stats.kurtosis(voltage)), "-".join(channels), np.abs(voltage)))
    _, name, deflection = max(candidates)
    smooth = ndimage.uniform_filter1d(deflection, max(1, round(sfreq / RATE_HZ)))
    times = onset_s - MAX_LAG_S + np.arange(count + 2 * round(MAX_LAG_S * RATE_HZ)) / RATE_HZ
    recorded_at = (first + np.arange(len(smooth))) / sfreq
    return name, _normalize(np.interp(times, recorded_at, smooth, np.nan, np.nan))


def _blink_channels(recording: EegRecording) -> list[tuple[str, ...]]:
    raw = recording.block.raw
    types = zip(raw.ch_names, raw.get_channel_types(), strict=True)
    channels = (
        list(recording.block.eog)
        or [(name,) for name, kind in types if kind == "eog"]
        or [(name,) for name in _FRONTAL if name in raw.ch_names]
    )
    if not channels:
        raise InputError(
            f"{recording.path} has neither EOG channels nor frontal electrodes, so blinks cannot "
            "be compared.",
            "Name the EOG channels with --eog, or remove --align-check.",
        )
    return channels


def _normalize(trace: np.ndarray) -> np.ndarray:
    """Scale the deviation above the median to 0 to 1; the 98th percentile becomes 1.

    The scale is at least `_MIN_RANGE_SD` robust standard deviations, so that noise stays small.
    """
    median = np.nanmedian(trace)
    spread = 1.4826 * np.nanmedian(np.abs(trace - median)) or 1.0
    deviation = np.clip((trace - median) / spread, 0.0, None)
    scale = max(_MIN_RANGE_SD, float(np.nanpercentile(deviation, 98)))
    normalized: np.ndarray = np.clip(deviation / scale, 0.0, 1.0)
    return normalized
