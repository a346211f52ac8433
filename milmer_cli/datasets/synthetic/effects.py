"""How a quadrant, participant, trial or stimulus changes the EEG and the facial expression."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from milmer_cli.datasets.synthetic.config import (
    NEUTRAL_PATTERN,
    RandomStream,
    SyntheticConfig,
    random_generator,
)
from milmer_cli.datasets.synthetic.schedule import quadrant_signs

_TWENTE = (
    "Fp1 AF3 F7 F3 FC1 FC5 T7 C3 CP1 CP5 P7 P3 Pz PO3 O1 Oz "
    "O2 PO4 P4 P8 CP6 CP2 C4 T8 FC6 FC2 F4 F8 AF4 Fp2 Fz Cz"
)
_GENEVA = (
    "Fp1 AF3 F3 F7 FC5 FC1 C3 T7 CP5 CP1 P3 P7 PO3 O1 Oz Pz "
    "Fp2 AF4 Fz F4 F8 FC6 FC2 Cz C4 T8 CP6 CP2 P4 P8 PO4 O2"
)
TWENTE = tuple(_TWENTE.split())
"""Channel order of the BDF files of site A."""
GENEVA = tuple(_GENEVA.split())
"""Channel order of the BDF files of site B, of all preprocessed files, and of all arrays here."""

_ROWS = {"Fp": 0.95, "AF": 0.75, "F": 0.5, "FC": 0.25, "T": 0.0, "C": 0.0, "CP": -0.25, "P": -0.5}
_ROWS |= {"PO": -0.75, "O": -0.95}
_COLUMNS = {"z": 0.0, "1": -0.25, "2": 0.25, "3": -0.5, "4": 0.5, "5": -0.7, "6": 0.7}
_COLUMNS |= {"7": -0.9, "8": 0.9}
POSITIONS = np.array([(_COLUMNS[name[-1]], _ROWS[name[:-1]]) for name in GENEVA])
"""(32, 2) approximate 10-20 positions on a head of radius 1: x to the right, y to the front."""

EVOKED_RMS_UV = 5.5
"""Root mean square of an evoked wave over the electrodes, in microvolts, at signal 1."""
EARLY_ONSETS_S = (0.1, 0.4)
"""Onset of the early wave with high and with low arousal, in seconds."""
LATE_ONSETS_S = (0.75, 1.1)
"""Onset of the late wave with high and with low arousal, in seconds."""


@dataclass(frozen=True)
class Expression:
    """Movements of the face, each about -1 to 1; all 0 is the neutral face.

    Attributes
    ----------
    smile
        Corners of the mouth up and out; negative: down and in.
    mouth
        Mouth open; negative: pressed shut.
    eyes
        Eyelids apart; negative: closing.
    inner_brow, outer_brow
        Ends of the brows up; negative: down, the inner ends also towards each other.
    """

    smile: float = 0.0
    mouth: float = 0.0
    eyes: float = 0.0
    inner_brow: float = 0.0
    outer_brow: float = 0.0

    def scaled(self, factor: float) -> Expression:
        """Multiply all movements by ``factor``."""
        return Expression(*(movement * factor for movement in astuple(self)))


NEUTRAL = Expression()
QUADRANT_EXPRESSIONS = (
    Expression(smile=1.0, mouth=1.0, eyes=0.8, inner_brow=0.8, outer_brow=0.9),
    Expression(smile=0.8, mouth=-0.4, eyes=-0.8, inner_brow=0.1, outer_brow=0.0),
    Expression(smile=-1.0, mouth=-0.5, eyes=-0.6, inner_brow=1.0, outer_brow=-0.6),
    Expression(smile=-0.8, mouth=0.9, eyes=0.9, inner_brow=-1.0, outer_brow=0.6),
)
"""Happy, calm, sad and angry: one expression for each of `QUADRANTS`."""
EXPRESSION_CLASSES = {
    "neutral": NEUTRAL,
    "happy": QUADRANT_EXPRESSIONS[0],
    "calm": QUADRANT_EXPRESSIONS[1],
    "sad": QUADRANT_EXPRESSIONS[2],
    "angry": QUADRANT_EXPRESSIONS[3],
}
"""Classes of the images for fine-tuning a Swin."""


@dataclass(frozen=True)
class Pattern:
    """Effects of one class; arrays have one value per electrode, in the order of `GENEVA`.

    Attributes
    ----------
    alpha, beta
        (32,) relative change of the alpha and beta amplitude at signal 1.
    early, late
        (32,) topographies of the two evoked waves in microvolts at signal 1, average reference.
    early_onset_s, late_onset_s
        Onsets of these waves in seconds.
    expression
        Facial expression.
    """

    alpha: np.ndarray
    beta: np.ndarray
    early: np.ndarray
    late: np.ndarray
    early_onset_s: float
    late_onset_s: float
    expression: Expression


def make_pattern(config: SyntheticConfig, index: int) -> Pattern:
    """Return the pattern with the index that `TrialTruth` and `ExpressionSpan` store.

    In the pattern of a quadrant, the EEG depends on arousal (alpha and beta amplitude, onsets of
    both waves) and the expression shows valence. `NEUTRAL_PATTERN` is between them. The pattern of
    a participant, a trial or a stimulus is random.
    """
    if config.signal_kind == "emotion":
        return _quadrant_pattern(index)
    rng = random_generator(config, RandomStream.PATTERN, index)
    return Pattern(
        alpha=rng.uniform(-0.8, 0.8, 32),
        beta=rng.uniform(-0.8, 0.8, 32),
        early=_normalize_topography(rng.normal(size=32)),
        late=_normalize_topography(rng.normal(size=32)),
        early_onset_s=float(rng.uniform(*EARLY_ONSETS_S)),
        late_onset_s=float(rng.uniform(*LATE_ONSETS_S)),
        expression=Expression(*(float(movement) for movement in rng.uniform(-1.0, 1.0, 5))),
    )


def _quadrant_pattern(index: int) -> Pattern:
    is_neutral = index == NEUTRAL_PATTERN
    arousal = 0 if is_neutral else quadrant_signs(index)[1]
    right, front = POSITIONS.T
    frontal, posterior = np.clip(front, 0.0, None), np.clip(-front, 0.0, None)
    return Pattern(
        alpha=-0.2 * arousal * posterior,
        beta=0.2 * arousal * np.clip(np.abs(right) + frontal, 0.0, 1.0),
        early=_normalize_topography(front),
        late=_normalize_topography(np.exp(-4.0 * (right**2 + front**2))),
        early_onset_s=float(np.interp(-arousal, (-1, 1), EARLY_ONSETS_S)),
        late_onset_s=float(np.interp(-arousal, (-1, 1), LATE_ONSETS_S)),
        expression=NEUTRAL if is_neutral else QUADRANT_EXPRESSIONS[index],
    )


def _normalize_topography(values: np.ndarray) -> np.ndarray:
    """Remove the mean over the electrodes and scale to `EVOKED_RMS_UV`."""
    centered = values - values.mean()
    return EVOKED_RMS_UV * centered / centered.std()
