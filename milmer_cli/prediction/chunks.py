"""Chunks of consecutive segments, read in a background thread while the model runs."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from milmer_cli.data.quality import good_channels, usable_eeg, usable_faces
from milmer_cli.faces.jpeg import decode_face
from milmer_cli.faces.segment_faces import SegmentFaces
from milmer_cli.prediction.eeg_segments import EegSegmentReader, EegSegments
from milmer_cli.preprocessing import iter_face_segments
from milmer_cli.settings import Settings
from milmer_cli.settings.schema import QualitySettings
from milmer_cli.video.frames import VideoSpan

T = TypeVar("T")

CHUNK_SEGMENTS = 20
"""Segments per chunk without a video; with a video, face tracking determines the number."""

_POLL_S = 0.1


@dataclass(frozen=True, eq=False)
class SegmentChunk:
    """Consecutive segments as the model receives them.

    Attributes
    ----------
    onset
        (n_segments,) seconds from the start of the stimulus.
    eeg
        Their EEG; None without EEG.
    faces
        Their faces; None without video.
    rule
        The quality rule.
    mask_bad_channels
        Whether the model does not read bad channels (``model.bad_channels``).
    """

    onset: np.ndarray
    eeg: EegSegments | None
    faces: SegmentFaces | None
    rule: QualitySettings
    mask_bad_channels: bool = False

    @cached_property
    def channels_found(self) -> np.ndarray | None:
        """(n_segments, n_channels) bool, the channels that the model reads; None for all."""
        if self.eeg is None or not self.mask_bad_channels:
            return None
        return good_channels(self.eeg.quality, self.rule)

    @cached_property
    def eeg_usable(self) -> np.ndarray:
        """(n_segments,) bool: whether the model receives the EEG of a segment."""
        if self.eeg is None:
            return np.zeros(len(self), bool)
        usable = usable_eeg(self.eeg.quality, self.rule)
        return usable if self.channels_found is None else usable & self.channels_found.any(axis=1)

    @cached_property
    def faces_usable(self) -> np.ndarray:
        """(n_segments,) bool: whether the model receives the faces of a segment."""
        if self.faces is None:
            return np.zeros(len(self), bool)
        return usable_faces(self.faces.found, self.rule)

    def __len__(self) -> int:
        return len(self.onset)

    def images(self, row: int) -> list[np.ndarray | None]:
        """Decode the face images of a segment: (size, size, 3) uint8, None without a face."""
        if self.faces is None:
            return []
        return [decode_face(image) if image else None for image in self.faces.segment_images(row)]


def iter_chunks(
    onsets: np.ndarray,
    eeg: EegSegmentReader | None,
    video: VideoSpan | None,
    settings: Settings,
    device: str,
    stop: threading.Event | None = None,
) -> Iterator[SegmentChunk]:
    """Read the segments of a recording.

    Parameters
    ----------
    onsets
        (n_segments,) start of each segment, in seconds from the start of the stimulus.
    eeg
        None without EEG.
    video
        None without video.
    settings
        Settings of the model's run: ``eeg.segment_s``, ``faces``, ``quality``
        and ``model.bad_channels``.
    device
        torch device of the face detector.
    stop
        When it is set, reading ends before the end of the recording.

    Yields
    ------
    SegmentChunk
        In order. The last segments are missing if the EEG ends before them.

    Raises
    ------
    InputError
        A file cannot be read to its end.
    """
    begin = 0
    for faces in _iter_faces(onsets, video, settings, device, stop):
        count = min(CHUNK_SEGMENTS, len(onsets) - begin) if faces is None else len(faces.found)
        segments = None if eeg is None else eeg.read(count)
        available = count if segments is None else len(segments)
        if available:
            first = None if faces is None else faces[:available]
            onset = onsets[begin : begin + available]
            mask = settings.model.bad_channels == "mask"
            yield SegmentChunk(onset, segments, first, settings.quality, mask)
        if available < count:
            return
        begin += count


def _iter_faces(
    onsets: np.ndarray,
    video: VideoSpan | None,
    settings: Settings,
    device: str,
    stop: threading.Event | None,
) -> Iterator[SegmentFaces | None]:
    if video is None:
        yield from (None for _ in range(0, len(onsets), CHUNK_SEGMENTS))
    else:
        segment_s = settings.eeg.segment_s
        yield from iter_face_segments(video, onsets, segment_s, settings.faces, device, stop)


def prefetch(items: Iterator[T], stop: threading.Event | None = None) -> Generator[T]:
    """Run an iterator in a thread, one item ahead of the consumer.

    An exception of the iterator is raised in the consumer. When the generator is closed, ``stop``
    is set, and the thread ends after the item in progress.
    """
    ready: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(maxsize=1)
    closed = stop or threading.Event()

    def put(last: bool, item: T | BaseException | None) -> None:
        while not closed.is_set():
            try:
                ready.put((last, item), timeout=_POLL_S)
                return
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for item in items:
                put(False, item)
                if closed.is_set():
                    return
            put(True, None)
        except BaseException as error:  # raised again in the thread of the consumer
            put(True, error)

    thread = threading.Thread(target=produce, name="milmer-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            last, item = ready.get()
            if isinstance(item, BaseException):
                raise item
            if last:
                return
            yield item  # type: ignore[misc]
    finally:
        closed.set()
        thread.join()
