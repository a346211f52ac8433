"""Segments with their EEG and their faces, a stretch at a time, read ahead of the model."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from milmer_cli.recordings.faces import FaceBag, iter_faces
from milmer_cli.recordings.trial import VideoSpan
from milmer_cli.recordings.video import instance_times
from milmer_cli.settings import Settings
from milmer_cli.stages.predicting.signals import SignalReader, Signals
from milmer_cli.stages.segments import face_finder
from milmer_cli.store.images import decode_face, encode_face

T = TypeVar("T")

STRETCH = 20
"""Segments given at once where there is no video to decide it."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Consecutive segments as the model takes them.

    Attributes
    ----------
    onset
        (n,) seconds from the start of the stimulus.
    eeg
        Their EEG; None without.
    faces
        Their faces; None without video. Images went through the encoding of the store.
    """

    onset: np.ndarray
    eeg: Signals | None
    faces: FaceBag | None

    def __len__(self) -> int:
        return len(self.onset)

    def images(self, row: int) -> list[np.ndarray | None]:
        """(size, size, 3) uint8 of each instance of a segment; None where no face was found."""
        if self.faces is None:
            return []
        instances = self.faces.found.shape[1]
        return self.faces.images[row * instances : (row + 1) * instances]


def stretches(
    onsets: np.ndarray, reader: SignalReader | None, video: VideoSpan | None, settings: Settings
) -> Iterator[Stretch]:
    """Give the segments of a recording.

    Parameters
    ----------
    onsets
        (n,) seconds from the start of the stimulus.
    reader
        Of the EEG; None without.
    video
        None without.
    settings
        Of the run: ``eeg.segment_s`` and ``faces``.

    Raises
    ------
    InputError
        A file cannot be read to its end.
    """
    begin = 0
    for bag in _bags(onsets, video, settings):
        count = len(bag.found) if bag is not None else min(STRETCH, len(onsets) - begin)
        eeg = None if reader is None else reader.take(count)
        have = count if eeg is None else len(eeg)
        if have:
            yield Stretch(onsets[begin : begin + have], eeg, bag and _first(bag, have))
        if have < count:
            return
        begin += count


def _bags(
    onsets: np.ndarray, video: VideoSpan | None, settings: Settings
) -> Iterator[FaceBag | None]:
    if video is None:
        yield from (None for _ in range(0, len(onsets), STRETCH))
        return
    times = onsets[:, None] + instance_times(1, settings.eeg.segment_s, settings.faces.instances)
    for bag in iter_faces(video, times, settings.faces, face_finder(settings.faces)):
        # through the store's encoding, so that the model sees what it sees of a prepared segment
        images = [
            image if image is None else decode_face(encode_face(image)) for image in bag.images
        ]
        yield FaceBag(images, bag.found, bag.time, bag.box, bag.score, bag.reason)


def _first(bag: FaceBag, count: int) -> FaceBag:
    instances = bag.found.shape[1]
    return FaceBag(
        bag.images[: count * instances],
        *(getattr(bag, x)[:count] for x in ("found", "time", "box", "score", "reason")),
    )


def read_ahead(items: Iterator[T]) -> Generator[T]:
    """Run an iterator in a thread of its own, one item ahead of who takes them."""
    ready: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def put(last: bool, item: T | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                ready.put((last, item), timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put(False, item)
                if stopped.is_set():
                    return
            put(True, None)
        except BaseException as error:  # raised again in the thread that takes the items
            put(True, error)

    thread = threading.Thread(target=work, name="milmer-read", daemon=True)
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
        stopped.set()
        thread.join()
