"""Which of the faces in a video is the participant: geometry only, no pixels.

Boxes of successive frames are linked into tracks by distance and size. The participant is the
track with the largest sum of box areas: near the camera, and there most of the time. A bystander
who shows up first, or is alone in the frame for a while, is another track and never taken instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, inf, log2

from milmer_cli.recordings.boxes import Box

_REACH = 1.0  # face sizes a face may move from one frame to the next ...
_REACH_PER_S = 0.5  # ... and per second of absence
_REACH_MOST = 2.0
_SCALE = 0.8  # octaves by which its size may change


@dataclass
class _Track:
    box: Box
    time_s: float
    weight: float


class FaceTracks:
    """Tracks of faces, fed in the order of time; holds one box a track, however long the video."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []

    def add(self, time_s: float, boxes: list[Box]) -> list[int]:
        """Link the faces of one frame to the tracks.

        Parameters
        ----------
        time_s
            Time stamp of the frame, in seconds.
        boxes
            Its faces.

        Returns
        -------
        list of int
            The track of each face; two faces of a frame are never in one track.
        """
        pairs = sorted(
            (_strangeness(track, time_s, box), number, which)
            for number, track in enumerate(self._tracks)
            for which, box in enumerate(boxes)
        )
        linked: dict[int, int] = {}
        for strangeness, number, which in pairs:
            if strangeness < inf and which not in linked and number not in linked.values():
                linked[which] = number
        for which, box in enumerate(boxes):
            if which in linked:
                track = self._tracks[linked[which]]
                track.box, track.time_s = box, time_s
                track.weight += box.area
            else:
                linked[which] = len(self._tracks)
                self._tracks.append(_Track(box, time_s, box.area))
        return [linked[which] for which in range(len(boxes))]

    def main(self) -> int | None:
        """Give the participant's track so far; None when no face was seen."""
        if not self._tracks:
            return None
        return max(range(len(self._tracks)), key=lambda number: self._tracks[number].weight)


def _strangeness(track: _Track, time_s: float, box: Box) -> float:
    """How unlike the track's last box this one is; infinite when it cannot be the same face."""
    size = (track.box.area * box.area) ** 0.25
    (x0, y0), (x1, y1) = track.box.centre, box.centre
    moved = hypot(x1 - x0, y1 - y0) / size
    grown = abs(log2(box.area / track.box.area)) / 2
    reach = min(_REACH_MOST, _REACH + _REACH_PER_S * max(0.0, time_s - track.time_s))
    return moved / reach + grown / _SCALE if moved <= reach and grown <= _SCALE else inf
