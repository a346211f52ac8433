"""From the files of a trial to its segments: the one path of `prepare` and `predict`.

Both commands call `segment_eeg` for EEG and `iter_face_segments` for faces, so a change of the
preprocessing always affects both, and a model gets the segments that it was trained on.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from milmer_cli.eeg.io import EegBlock
from milmer_cli.eeg.montage import interpolate_missing_channels
from milmer_cli.eeg.preprocess import PreprocessedEeg, preprocess_eeg
from milmer_cli.eeg.quality import EegQuality
from milmer_cli.eeg.segment import cut_segments, segment_quality
from milmer_cli.faces.detector import FaceDetector
from milmer_cli.faces.extract import iter_faces
from milmer_cli.faces.segment_faces import SegmentFaces
from milmer_cli.faces.video_stream import select_video_stream
from milmer_cli.settings.schema import EegSettings, FacesSettings
from milmer_cli.video.frames import VideoSpan
from milmer_cli.video.probe import video_notes


@dataclass(frozen=True, eq=False)
class SegmentedEeg:
    """EEG segments of the trials of one continuous recording.

    Attributes
    ----------
    trials
        Trial number -> (n_segments, n_channels, n_samples) float32, microvolts; NaN where a segment
        contains a gap of the recording.
    quality
        Trial number -> quality of its segments.
    channels
        Channels of the segments.
    interpolated
        Channels that were interpolated because they are bad or missing.
    recording
        The preprocessed recording with the channels that it contains.
    """

    trials: dict[int, np.ndarray]
    quality: dict[int, EegQuality]
    channels: tuple[str, ...]
    interpolated: tuple[str, ...]
    recording: PreprocessedEeg


class LastRecording:
    """The last preprocessed recording, for other trials of the same files."""

    def __init__(self) -> None:
        self._key: object = None
        self._recording: PreprocessedEeg | None = None

    def preprocess(
        self, block: EegBlock, settings: EegSettings, channels: Sequence[str] | None
    ) -> PreprocessedEeg:
        """Preprocess a block as `preprocess_eeg`, or return the last one with its onsets."""
        key = _block_key(block, settings, channels)
        if key is None or key != self._key or self._recording is None:
            self._recording = None  # frees the memory first
            self._recording, self._key = preprocess_eeg(block, settings, channels), key
        return replace(self._recording, onset_s=dict(block.onset_s))


def _block_key(
    block: EegBlock, settings: EegSettings, channels: Sequence[str] | None
) -> tuple[object, ...] | None:
    """Return what a preprocessed block depends on; None if it was not read from files."""
    raw = block.raw
    paths = [path for path in raw.filenames if path is not None]
    if not paths:
        return None
    files = [
        (str(path), Path(path).stat().st_size, Path(path).stat().st_mtime_ns) for path in paths
    ]
    types = tuple(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    marked = tuple(raw.info["bads"]), raw.info["line_freq"], raw.info["description"]
    wanted = None if channels is None else tuple(channels)
    return (
        *(tuple(files), raw.first_samp, raw.n_times, types, marked),
        *(block.eog, block.pass_band_hz, settings, wanted),
    )


def segment_eeg(
    block: EegBlock,
    durations_s: Mapping[int, float],
    settings: EegSettings,
    channels: Sequence[str] | None = None,
    model_channels: Sequence[str] | None = None,
    last: LastRecording | None = None,
) -> SegmentedEeg:
    """Preprocess a continuous recording and cut its trials into segments.

    Parameters
    ----------
    block
        The recording, with the onsets of its trials.
    durations_s
        Trial number -> duration of the stimulus. Other trials of the block are ignored.
    settings
        Section ``eeg``.
    channels
        EEG channels of the recording to use, in order; None for all.
    model_channels
        Channels of the result, in order. Those that are not in ``channels`` are interpolated. None
        for ``channels``.
    last
        Keeps the preprocessed recording for the next call; None to keep nothing.

    Raises
    ------
    InputError
        A channel is missing, the file is damaged, or the amplitudes cannot be microvolts of EEG.
    """
    if last is None:
        recording = preprocess_eeg(block, settings, channels)
    else:
        recording = last.preprocess(block, settings, channels)
    eeg = recording
    if model_channels is not None:
        eeg = interpolate_missing_channels(recording, model_channels)
    trials = {
        trial: cut_segments(eeg, trial, durations_s[trial], settings)
        for trial in block.onset_s
        if trial in durations_s
    }
    quality = {
        trial: segment_quality(eeg, trial, durations_s[trial], settings, segments)
        for trial, segments in trials.items()
    }
    n_in_gaps = sum(int(np.isnan(segments).all(axis=(1, 2)).sum()) for segments in trials.values())
    if n_in_gaps:
        note = f"Segments without EEG because they contain a gap of the recording: {n_in_gaps}."
        recording = replace(recording, notes=(*recording.notes, note))
    return SegmentedEeg(trials, quality, eeg.channels, eeg.interpolated, recording)


@functools.cache
def face_detector(settings: FacesSettings, device: str) -> FaceDetector:
    """Return the face detector; it is loaded once per process and device.

    Parameters
    ----------
    settings
        Section ``faces``.
    device
        torch device, for example ``cuda:1``; see `device.Device`.
    """
    return FaceDetector(settings, device)


def select_face_video(
    video: VideoSpan, settings: FacesSettings, device: str
) -> tuple[VideoSpan, list[str]]:
    """Select the video stream with a face; see `faces.video_stream.select_video_stream`.

    Parameters
    ----------
    video
        The video and the stimulus onset in it.
    settings
        Section ``faces``.
    device
        torch device of the face detector.

    Returns
    -------
    video, notes
        The video with the number of its stream; what the user should know of it.

    Raises
    ------
    InputError
        The video cannot be opened, or none of its frames is decodable.
    """
    selected, note = select_video_stream(video, face_detector(settings, device))
    return selected, [*filter(None, [note]), *video_notes(selected.path, selected.options)]


def iter_face_segments(
    video: VideoSpan,
    onsets_s: np.ndarray,
    segment_s: float,
    settings: FacesSettings,
    device: str,
    stop: threading.Event | None = None,
) -> Iterator[SegmentFaces]:
    """Extract the faces of a trial's segments, in chunks that need constant memory.

    Parameters
    ----------
    video
        The video and the stimulus onset in it.
    onsets_s
        (n_segments,) seconds after stimulus onset.
    segment_s
        Duration of a segment.
    settings
        Section ``faces``.
    device
        torch device of the face detector.
    stop
        When it is set, the work ends before the end of the video.

    Yields
    ------
    SegmentFaces
        Consecutive segments.

    Raises
    ------
    InputError
        The video cannot be opened, or none of its frames is decodable.
    """
    times = instance_times(onsets_s, segment_s, settings.instances)
    return iter_faces(video, times, settings, face_detector(settings, device), stop)


def instance_times(onsets_s: np.ndarray, segment_s: float, n_instances: int) -> np.ndarray:
    """Return the times of the face images: the middles of equal slices of each segment.

    Parameters
    ----------
    onsets_s
        (n_segments,) starts of the segments, in seconds.
    segment_s
        Duration of a segment.
    n_instances
        Images per segment.

    Returns
    -------
    ndarray
        (n_segments, n_instances) seconds.
    """
    slice_s = segment_s / n_instances
    return onsets_s[:, None] + (np.arange(n_instances) + 0.5) * slice_s
