"""Write a face video that contains one or several trials, with marks and any frame rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from milmer_cli.datasets.synthetic.face_video import (
    FPS,
    draw_appearance,
    render_spans,
    write_frames,
)
from milmer_cli.datasets.synthetic.listed.trial_marks import draw_time_mark
from milmer_cli.datasets.synthetic.listed.truth import ListedConfig, ListedTrial

WIDTH, HEIGHT = 480, 384


@dataclass(frozen=True)
class FaceVideo:
    """What to film.

    Attributes
    ----------
    participant, number
        The participant, and the number of the video: the seed of the movements of the head.
    duration_s
        Duration in seconds.
    trials
        Trials of the video; ``video_onset_s`` is their position, which may be negative.
    fps
        Frames per second.
    people
        Number of faces, side by side.
    gray
        Whether the camera has no color.
    """

    participant: int
    number: int
    duration_s: float
    trials: Sequence[ListedTrial]
    fps: int
    people: int = 1
    gray: bool = False


def write_face_video(path: Path, config: ListedConfig, video: FaceVideo) -> None:
    """Write a video as H.264; the extension of ``path`` states the container."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_frames(path, video_frames(config, video), (WIDTH, HEIGHT), video.fps)


def video_frames(config: ListedConfig, video: FaceVideo) -> Iterator[np.ndarray]:
    """Yield the frames, (HEIGHT, WIDTH, 3) uint8 RGB."""
    simulation = config.simulation()
    seconds = np.arange(round(video.duration_s * video.fps)) / video.fps
    spans = [
        replace(
            span,
            start_s=span.start_s + trial.video_onset_s,
            stop_s=span.stop_s + trial.video_onset_s,
        )
        for trial in video.trials
        for span in trial.spans
    ]
    frames = render_spans(
        simulation,
        (video.participant, video.number),
        spans,
        [round(float(time_s) * FPS) for time_s in seconds],
        draw_appearance(simulation, video.participant).background,
    )
    for time_s, rendered in zip(seconds, frames, strict=True):
        frame = _resize(rendered, video)
        for trial in video.trials:
            since_s = float(time_s) - trial.video_onset_s
            if 0 <= since_s < trial.duration_s:
                draw_time_mark(frame, trial.code, since_s)
        yield frame


def _resize(rendered: np.ndarray, video: FaceVideo) -> np.ndarray:
    """Return a frame that may be changed: a new array, with several people if stated."""
    size = (WIDTH // video.people, HEIGHT)
    frame = cv2.resize(rendered, size, interpolation=cv2.INTER_LINEAR)
    if video.people > 1:
        frame = cv2.resize(np.concatenate([frame] * video.people, axis=1), (WIDTH, HEIGHT))
    if video.gray:
        frame = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return frame
