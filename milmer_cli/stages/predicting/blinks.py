"""Do the clocks of video and EEG agree? Blinks show in both.

In the video a blink changes the eyes and not the rest of the face, for a quarter of a second. In
the EEG it is the largest thing there is, on the electrodes at the eyes or above them. Where the two
traces fit best when one is shifted, there the clocks are off by that much.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage, signal, stats

from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.recordings.faces import find_faces
from milmer_cli.recordings.trial import VideoSpan
from milmer_cli.recordings.video import Video
from milmer_cli.report.clock_figures import ClockTraces, clocks
from milmer_cli.report.theme import save
from milmer_cli.settings.schema import FacesSettings
from milmer_cli.stages.predicting.signals import Recording
from milmer_cli.stages.segments import face_finder

PICTURE = "align-check.png"
TASK = "align check"
RATE_HZ = 25.0
LONGEST_S, REACH_S = 120.0, 5.0

_FRONTAL = ("Fp1", "Fp2", "Fpz", "AF3", "AF4")
_AROUND_S = 0.32  # longer than half a blink, shorter than most movements of the head
_EYES, _REST = (0.12, 0.50), (0.55, 0.95)  # parts of the face box, from its top
_CLEAR, _ALIKE, _SHORTEST_S = 6.0, 0.2, 20.0
_APART_S, _RIVAL = 0.5, 0.75  # so high a share of the best, further away, leaves it open
_CLOSE_S = 0.2
_UNCLEAR = (
    "Blinks in the video and in the EEG do not clearly fall together at any shift up to "
    f"{REACH_S:g} s: the offset is unproven (a short recording, few blinks, glasses, or a larger "
    "error)."
)


@dataclass(frozen=True, eq=False)
class ClockCheck:
    """How well the blinks in the video and in the EEG fall together.

    Attributes
    ----------
    traces
        Both traces, and how alike they are at each shift.
    lag_s
        Where they are most alike: how much later things happen in the EEG.
    clear
        Whether that stands out from all other shifts, and none comes near it.
    agrees
        Whether it is clear, and close to zero.
    sentence
        The finding in words.
    """

    traces: ClockTraces
    lag_s: float
    clear: bool
    agrees: bool
    sentence: str

    def drawn(self) -> tuple[ClockTraces, str]:
        """Give what the page shows."""
        return self.traces, self.sentence

    def save(self, out: Path) -> None:
        """Write the picture into a folder."""
        out.mkdir(parents=True, exist_ok=True)
        save(clocks(self.traces, 9.0), out / PICTURE)


def check_clocks(
    video: VideoSpan,
    recording: Recording,
    eeg_onset_s: float,
    duration_s: float,
    faces: FacesSettings,
    progress: Progress = SILENT,
) -> ClockCheck:
    """Compare blinks over the first `LONGEST_S` of the stimulus.

    Parameters
    ----------
    video
        With the start of the stimulus in it.
    recording, eeg_onset_s
        The EEG, and the start of the stimulus in it.
    duration_s
        Of the stimulus.
    faces
        How faces are found.

    Raises
    ------
    InputError
        The files cannot be read, or the face is not there for long enough.
    """
    times = np.arange(0.0, min(duration_s, LONGEST_S), 1 / RATE_HZ)
    progress.start(TASK, total=len(times), unit="frames")
    seen = _eye_trace(video, times, faces, progress)
    progress.done(TASK)
    name, felt = _eeg_trace(recording, eeg_onset_s, len(times))
    lags, alike = _at_each_shift(seen, felt)
    lag, rival, stands_out = _best(lags, alike)
    stands_out &= bool(times[-1] >= _SHORTEST_S)
    clear = stands_out and rival is None
    reach = round(REACH_S * RATE_HZ)
    traces = ClockTraces(times, seen, felt[reach : reach + len(times)], name, lags, alike, lag)
    if clear:
        sentence = _finding(lag, video.onset_s, eeg_onset_s)
    elif stands_out:
        sentence = (
            "Blinks in the video and in the EEG fall together about as well at a shift of "
            f"{lag:+.2f} s as at {rival:+.2f} s: the offset is unproven."
        )
    else:
        sentence = _UNCLEAR
    return ClockCheck(traces, lag, clear, clear and abs(lag) <= _CLOSE_S, sentence)


def _best(lags: np.ndarray, alike: np.ndarray) -> tuple[float, float | None, bool]:
    """Best shift, the next one if it is nearly as good, and whether they stand out of the rest."""
    best = int(np.nanargmax(alike))
    far = np.abs(lags - lags[best]) > _APART_S
    away = alike[far]
    usual = float(np.nanmedian(away))
    spread = 1.4826 * float(np.nanmedian(np.abs(away - usual))) or 1.0
    stands_out = bool((alike[best] - usual) / spread > _CLEAR and alike[best] > _ALIKE)
    second = int(np.nanargmax(away))
    rival = float(lags[far][second]) if away[second] > _RIVAL * alike[best] else None
    return float(lags[best]), rival, stands_out


def _finding(lag: float, video_onset_s: float, eeg_onset_s: float) -> str:
    if abs(lag) <= _CLOSE_S:
        return f"Blinks in the video and in the EEG fall together within {abs(lag):.2f} s."
    # the video moves against the EEG, whose onset may be marked; neither before its start
    moved = video_onset_s - lag
    video_onset_s, eeg_onset_s = max(0.0, moved), eeg_onset_s - min(0.0, moved)
    return (
        f"Blinks come {abs(lag):.2f} s {'later' if lag > 0 else 'earlier'} in the EEG than in the "
        f"video: the offset looks wrong. --video-onset {video_onset_s:.2f} --eeg-onset "
        f"{eeg_onset_s:.2f} would bring them together."
    )


def _eye_trace(
    video: VideoSpan, times: np.ndarray, faces: FacesSettings, progress: Progress
) -> np.ndarray:
    """(n,) how much more the eyes change than the rest of the face; NaN where no face was found."""
    seconds = np.arange(0.0, times[-1] + 1.0)
    bag = find_faces(video, seconds[:, None], faces, face_finder(faces))
    there = bag.found[:, 0]
    if there.sum() < 3:
        raise InputError(
            f"The face is hardly ever found in {video.path}, so blinks cannot be compared.",
            "Leave out --align-check.",
        )
    edges = bag.box[there, 0].astype(float)
    edges = ndimage.median_filter(edges, size=(3, 1), mode="nearest")
    boxes = np.stack([np.interp(times, seconds[there], edge) for edge in edges.T], axis=1)
    near = np.interp(times, seconds, there.astype(float)) > 0.5
    eyes = np.full((len(times), 24 * 48), np.nan, np.float32)
    rest = np.full((len(times), 24 * 48), np.nan, np.float32)
    for sample in Video(video.path).samples_at(video.onset_s + times):
        progress.advance(TASK)
        if sample.image is not None and near[sample.index]:
            grey = cv2.cvtColor(sample.image, cv2.COLOR_RGB2GRAY)
            eyes[sample.index] = _part(grey, boxes[sample.index], _EYES)
            rest[sample.index] = _part(grey, boxes[sample.index], _REST)
    return _standing_out(np.log((_change(eyes) + 0.5) / (_change(rest) + 0.5)))


def _part(grey: np.ndarray, box: np.ndarray, rows: tuple[float, float]) -> np.ndarray:
    left, top, right, bottom = box
    height, width = bottom - top, right - left
    y0, y1 = (int(np.clip(top + share * height, 0, len(grey) - 1)) for share in rows)
    x0, x1 = (int(np.clip(left + s * width, 0, grey.shape[1] - 1)) for s in (0.1, 0.9))
    part = grey[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    return cv2.resize(part, (48, 24), interpolation=cv2.INTER_AREA).ravel().astype(np.float32)


def _change(pixels: np.ndarray) -> np.ndarray:
    """(n,) how far each frame is from those before and after it: from the one it is more like."""
    step = round(_AROUND_S * RATE_HZ)
    padded = np.pad(pixels, ((step, step), (0, 0)), mode="edge")
    before = np.abs(pixels - padded[: -2 * step]).mean(axis=1)
    after = np.abs(pixels - padded[2 * step :]).mean(axis=1)
    change: np.ndarray = np.minimum(before, after)
    return change


def _eeg_trace(recording: Recording, onset_s: float, count: int) -> tuple[str, np.ndarray]:
    """Give what shows blinks best, and its size at `RATE_HZ` from `REACH_S` before the onset on."""
    raw = recording.block.raw
    sfreq = float(raw.info["sfreq"])
    margin = REACH_S + 2.0
    begin, end = onset_s - margin, onset_s + count / RATE_HZ + margin
    first, last = max(0, int(begin * sfreq)), min(raw.n_times, int(end * sfreq))
    eyes = [(kind,) for kind in _of_kind(recording, "eog")]
    pairs = list(recording.block.eog) or eyes
    pairs = pairs or [(name,) for name in _FRONTAL if name in raw.ch_names]
    if not pairs:
        raise InputError(
            f"{recording.path} has no channel at the eyes or the forehead, so blinks cannot be "
            "compared.",
            "Name the eye channels with --eog, or leave out --align-check.",
        )
    band = signal.butter(2, (1.0, min(10.0, 0.45 * sfreq)), "bandpass", fs=sfreq, output="sos")
    candidates = []
    for pair in pairs:
        data = raw.get_data(picks=list(pair), start=first, stop=last, verbose="error")
        moved = 1e6 * (data[0] - data[1] if len(data) > 1 else data[0])
        moved = signal.sosfiltfilt(band, moved - moved.mean())
        candidates.append((float(stats.kurtosis(moved)), "-".join(pair), np.abs(moved)))
    _, name, size = max(candidates)
    at = onset_s - REACH_S + np.arange(count + 2 * round(REACH_S * RATE_HZ)) / RATE_HZ
    smooth = ndimage.uniform_filter1d(size, max(1, round(sfreq / RATE_HZ)))
    inside = np.interp(at, (first + np.arange(len(size))) / sfreq, smooth, np.nan, np.nan)
    return name, _standing_out(inside)


def _of_kind(recording: Recording, kind: str) -> list[str]:
    raw = recording.block.raw
    kinds = zip(raw.ch_names, raw.get_channel_types(), strict=True)
    return [name for name, found in kinds if found == kind]


def _standing_out(trace: np.ndarray) -> np.ndarray:
    """How far above its usual level a trace is: 0 to 1, which the highest fiftieth of it reaches.

    Less than eight robust standard deviations are never stretched to 1: noise stays small.
    """
    usual = np.nanmedian(trace)
    spread = 1.4826 * np.nanmedian(np.abs(trace - usual)) or 1.0
    risen = np.clip((trace - usual) / spread, 0.0, None)
    highest = max(8.0, float(np.nanpercentile(risen, 98)))
    shown: np.ndarray = np.clip(risen / highest, 0.0, 1.0)
    return shown


def _at_each_shift(seen: np.ndarray, felt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shifts in seconds, and the correlation of the traces at each."""
    shifts = np.arange(len(felt) - len(seen) + 1)
    alike = np.full(len(shifts), np.nan)
    for shift in shifts:
        part = felt[shift : shift + len(seen)]
        both = np.isfinite(part) & np.isfinite(seen)
        if both.sum() > len(seen) / 2 and part[both].std() and seen[both].std():
            alike[shift] = np.corrcoef(part[both], seen[both])[0, 1]
    if not np.isfinite(alike).any():
        raise InputError(
            "The video and the EEG share too little for blinks to be compared.",
            "Leave out --align-check.",
        )
    return (shifts - round(REACH_S * RATE_HZ)) / RATE_HZ, alike
