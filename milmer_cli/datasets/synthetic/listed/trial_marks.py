"""Marks in EEG and video that state the trial and the time since the start of its stimulus.

Both start and end with the stimulus, so that a reader that is wrong by a baseline, by a trial or by
a fraction of a second finds another mark or none.
"""

from __future__ import annotations

import numpy as np

from milmer_cli.datasets.synthetic.face_video import draw_mark, read_mark

MARK_UV = 15.0
TONE_S = 0.5
"""Duration of each tone of the mark in the EEG."""
TONES_HZ = (7.0, 32.0)
"""Range of their frequencies."""
SLOT_S = 0.25
"""Time during which the mark in the video stays the same."""
CODE_BITS, SLOT_BITS = 8, 8


def mark_wave(code: int, seconds: np.ndarray) -> np.ndarray:
    """Return the mark in the EEG: every half second a tone of another frequency.

    Parameters
    ----------
    code
        Number of the trial.
    seconds
        (n,) times since the start of the stimulus.

    Returns
    -------
    (n,) float64
        Microvolts; 0 before the stimulus.
    """
    tone = np.floor(seconds / TONE_S).astype(int)
    n_tones = max(int(tone.max(initial=0)), 0) + 1
    hertz = np.random.default_rng([code, 7]).uniform(*TONES_HZ, n_tones)[np.clip(tone, 0, None)]
    wave: np.ndarray = MARK_UV * np.sin(2 * np.pi * hertz * (seconds - tone * TONE_S))
    return np.where(tone < 0, 0.0, wave)


def draw_time_mark(frame: np.ndarray, code: int, seconds: float) -> None:
    """Draw the number of the trial and the time since the start of its stimulus into a frame."""
    draw_mark(frame, (code << SLOT_BITS) + int(seconds / SLOT_S), CODE_BITS + SLOT_BITS)


def read_time_mark(frame: np.ndarray) -> tuple[int, float] | None:
    """Return the number of the trial and the time in seconds, rounded down to `SLOT_S`, or None."""
    number = read_mark(frame, CODE_BITS + SLOT_BITS)
    if number is None:
        return None
    return number >> SLOT_BITS, (number % (1 << SLOT_BITS)) * SLOT_S
