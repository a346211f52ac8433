"""Face tracking: which of the faces in a video belongs to the participant.

The boxes of consecutive frames are linked to tracks by greedy nearest-neighbor association with
gates on displacement, change of size and appearance. After an absence, a face is the same one only
if its appearance matches, at its old place or, with a closer match, at another one. The participant
is the track with the largest sum of box areas, which favors a face that is close to the camera in
most frames. A bystander who appears first, or takes the participant's place for a while, gets a
track of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from milmer_cli.faces.appearance import Appearance
from milmer_cli.faces.boxes import Box

# Gate on the displacement between two frames, in face sizes. It widens with the time since the
# track was last seen, because a head moves on while it is occluded, up to a maximum.
_MAX_SHIFT = 1.0
_MAX_SHIFT_PER_S = 0.5
_MAX_SHIFT_LIMIT = 2.0
# Gate on the change of the face size, in octaves.
_MAX_SIZE_CHANGE = 0.8
# A face in the place of one that was seen more recently than this is the same one, unless it
# clearly shows another person: the light of a screen and the pose may have changed.
_SAME_WITHIN_S = 1.0
_ELSEWHERE_COST = 10.0
"""Cost of a face at another place: larger than that of any face within the gates."""


@dataclass
class _Track:
    """Last box of a track, its time, its appearance, and the sum of the areas of all its boxes."""

    box: Box
    time_s: float
    area_sum: float
    appearance: Appearance | None


class FaceTracker:
    """Tracks of faces. Frames must be added in order of time.

    Memory grows with the number of tracks, not with the duration: each track holds one box.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []

    def update(
        self, time_s: float, boxes: Sequence[Box], appearances: Sequence[Appearance] = ()
    ) -> list[int]:
        """Link the faces of a frame to tracks.

        All pairs of a track and a face within the gates are linked in order of increasing cost,
        each track and each face at most once. A face that is not linked starts a new track.

        Parameters
        ----------
        time_s
            Timestamp of the frame.
        boxes
            Faces of the frame.
        appearances
            Their appearances; empty to use only the boxes.

        Returns
        -------
        list of int
            Track of each face; all are different.
        """
        looks: list[Appearance | None] = list(appearances) or [None] * len(boxes)
        pairs = sorted(
            (_association_cost(track, time_s, box, look), track_index, box_index)
            for track_index, track in enumerate(self._tracks)
            for box_index, (box, look) in enumerate(zip(boxes, looks, strict=True))
        )
        track_of_box: dict[int, int] = {}
        for cost, track_index, box_index in pairs:
            free = box_index not in track_of_box and track_index not in track_of_box.values()
            if cost < inf and free:
                track_of_box[box_index] = track_index
        for box_index, (box, look) in enumerate(zip(boxes, looks, strict=True)):
            if box_index in track_of_box:
                track = self._tracks[track_of_box[box_index]]
                track.box, track.time_s = box, time_s
                track.area_sum += box.area
                track.appearance = look
            else:
                track_of_box[box_index] = len(self._tracks)
                self._tracks.append(_Track(box, time_s, box.area, look))
        return [track_of_box[box_index] for box_index in range(len(boxes))]

    def main_track(self) -> int | None:
        """Return the track of the participant so far; None before the first face."""
        if not self._tracks:
            return None
        return max(range(len(self._tracks)), key=lambda index: self._tracks[index].area_sum)


def _association_cost(
    track: _Track, time_s: float, box: Box, appearance: Appearance | None
) -> float:
    """Sum of displacement, size change and difference in appearance; infinite beyond a gate."""
    shift, size_change = track.box.displacement(box)
    absence_s = max(0.0, time_s - track.time_s)
    max_shift = min(_MAX_SHIFT_LIMIT, _MAX_SHIFT + _MAX_SHIFT_PER_S * absence_s)
    if size_change > _MAX_SIZE_CHANGE:
        return inf
    is_near, was_absent = shift <= max_shift, absence_s > _SAME_WITHIN_S
    cost = shift / max_shift + size_change / _MAX_SIZE_CHANGE
    if track.appearance is None or appearance is None:
        return cost if is_near else inf
    cost += track.appearance.color_distance(appearance)
    if not is_near:
        moved = was_absent and track.appearance.closely_matches(appearance)
        return cost + _ELSEWHERE_COST if moved else inf
    if was_absent:
        is_same = track.appearance.matches(appearance)
    else:
        is_same = not track.appearance.differs(appearance)
    return cost if is_same else inf
