"""From a video to the face images of its segments: detect, track the participant, crop, encode."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from milmer_cli.faces.appearance import Appearance
from milmer_cli.faces.boxes import Box
from milmer_cli.faces.crop import face_image
from milmer_cli.faces.detector import FaceDetector
from milmer_cli.faces.gaps import Detection, GapFiller
from milmer_cli.faces.jpeg import encode_face
from milmer_cli.faces.regions import detect_in_frames
from milmer_cli.faces.segment_faces import NO_FACE, OTHER_FACE, TRACKED, SegmentFaces
from milmer_cli.faces.tracking import FaceTracker
from milmer_cli.settings.schema import FacesSettings
from milmer_cli.video.frames import RequestedFrame, VideoReader, VideoSpan

_CHUNK_S = 120.0
"""The participant is selected once per chunk of this duration. A DEAP trial lasts 60 s."""


@dataclass(frozen=True)
class _Candidate:
    """A face that may be the participant's, cut out; ``reason`` as in `SegmentFaces`."""

    track: int
    box: Box
    image: np.ndarray
    reason: str = ""


@dataclass(frozen=True)
class _FrameFaces:
    """All faces of one frame; ``reason`` applies if none of them is the participant's."""

    time_s: float
    candidates: list[_Candidate]
    reason: str


def extract_faces(
    video: VideoSpan, times: np.ndarray, settings: FacesSettings, detector: FaceDetector
) -> SegmentFaces:
    """Extract the participant's face at the given times of one trial.

    Parameters
    ----------
    video
        The video and the stimulus onset in it.
    times
        (n_segments, n_instances) seconds after stimulus onset, ascending in both directions;
        segments may overlap.
    settings
        ``margin``, ``align`` and ``image_size``.
    detector
        The detector.

    Raises
    ------
    InputError
        The video cannot be opened, or none of its frames is decodable.
    """
    parts = list(iter_faces(video, times, settings, detector))
    if not parts:
        return SegmentFaces.missing(len(times), times.shape[1], NO_FACE)
    return SegmentFaces.concatenate(parts)


def iter_faces(
    video: VideoSpan,
    times: np.ndarray,
    settings: FacesSettings,
    detector: FaceDetector,
    stop: threading.Event | None = None,
) -> Iterator[SegmentFaces]:
    """Do the work of `extract_faces` in chunks of two minutes, in constant memory.

    When ``stop`` is set, it ends before the next frames.

    Which face is the participant's can only be decided after a while. Until the end of a chunk, the
    crops of all faces are therefore kept. The decision uses all frames up to that point.

    Yields
    ------
    SegmentFaces
        Consecutive segments.
    """
    n_instances = times.shape[1]
    # Overlapping segments share instants. Each distinct instant is processed once, in order;
    # `instant_of[segment, instance]` is its index.
    instants, instant_of = np.unique(np.round(times, 6), return_inverse=True)
    instant_of = instant_of.reshape(times.shape)
    frames = VideoReader(video.path, video.options).frames_at(video.onset_s + instants)
    collector = _FaceCollector(settings, detector)
    faces_at = collector.faces_at
    n_yielded, chunk_start = 0, 0
    for first in range(0, len(instants), n_instances):
        if stop is not None and stop.is_set():
            return
        batch = list(islice(frames, n_instances))
        collector.add(batch)
        last = first + len(batch) - 1
        if instants[last] - instants[chunk_start] >= _CHUNK_S or last == len(instants) - 1:
            n_complete = int(np.count_nonzero(instant_of.max(axis=1) <= last))
            if n_complete > n_yielded:
                rows = instant_of[n_yielded:n_complete]
                yield _select(faces_at, rows, collector.tracker.main_track(), video.onset_s)
            # keep the faces that the next, overlapping segments still need
            first_needed = instant_of[n_complete:].min(initial=last + 1)
            for index in [index for index in faces_at if index < first_needed]:
                del faces_at[index]
            n_yielded, chunk_start = n_complete, last


class _FaceCollector:
    """Cuts out all faces of consecutive frames and links them to tracks.

    Attributes
    ----------
    faces_at
        Faces by the index of the frame; the caller deletes those that it no longer needs.
    tracker
        The tracks so far.
    """

    def __init__(self, settings: FacesSettings, detector: FaceDetector) -> None:
        self.faces_at: dict[int, _FrameFaces] = {}
        self.tracker = FaceTracker()
        self._settings, self._detector = settings, detector
        self._gaps = GapFiller()
        self._latest_boxes: list[Box] = []

    def add(self, frames: list[RequestedFrame]) -> None:
        """Detect the faces of consecutive frames; frames without an image have none."""
        images = [frame.image for frame in frames if frame.image is not None]
        boxes = iter(detect_in_frames(self._detector, images, self._latest_boxes))
        for frame in frames:
            if frame.image is None:
                self.faces_at[frame.index] = _FrameFaces(frame.time_s, [], frame.reason)
            else:
                self._add_faces(frame, frame.image, next(boxes))

    def _add_faces(self, frame: RequestedFrame, image: np.ndarray, boxes: list[Box]) -> None:
        appearances = [Appearance.of(image, box) for box in boxes]
        tracks = self.tracker.update(frame.time_s, boxes, appearances)
        candidates = [
            _Candidate(track, box, self._crop(image, box))
            for track, box in zip(tracks, boxes, strict=True)
        ]
        reason = OTHER_FACE if boxes else NO_FACE
        self.faces_at[frame.index] = _FrameFaces(frame.time_s, candidates, reason)
        detections = [Detection(*face) for face in zip(tracks, boxes, appearances, strict=True)]
        for face in self._gaps.update(frame.index, frame.time_s, image, detections):
            if face.frame_index in self.faces_at:
                candidate = _Candidate(
                    face.track, face.box, self._crop(face.image, face.box), TRACKED
                )
                self.faces_at[face.frame_index].candidates.append(candidate)
        self._latest_boxes = boxes or self._latest_boxes

    def _crop(self, image: np.ndarray, box: Box) -> np.ndarray:
        return face_image(image, box, self._settings)


def _select(
    faces_at: dict[int, _FrameFaces],
    instant_of: np.ndarray,
    main_track: int | None,
    onset_s: float,
) -> SegmentFaces:
    """Return the faces of the participant's track.

    Parameters
    ----------
    faces_at
        Faces by the index of the instant.
    instant_of
        (n_segments, n_instances) indices of the instants.
    main_track
        The participant's track; None if there is no face.
    onset_s
        Stimulus onset in the video.
    """
    images = [b""] * instant_of.size
    empty = SegmentFaces.missing(len(instant_of), instant_of.shape[1])
    found, time, box, score, reason = (
        empty.found, empty.time, empty.box, empty.score, empty.reason
    )  # fmt: skip
    encoded: dict[int, bytes] = {}  # overlapping segments share images
    for flat, (at, instant) in enumerate(np.ndenumerate(instant_of)):
        frame_faces = faces_at[instant]
        time[at], reason[at] = frame_faces.time_s - onset_s, frame_faces.reason
        for candidate in frame_faces.candidates:
            if candidate.track == main_track:
                if instant not in encoded:
                    encoded[instant] = encode_face(candidate.image)
                images[flat] = encoded[instant]
                edges = candidate.box
                found[at], reason[at] = True, candidate.reason
                box[at] = (edges.left, edges.top, edges.right, edges.bottom)
                score[at] = edges.score
    return SegmentFaces(images, found, time, box, score, reason)
