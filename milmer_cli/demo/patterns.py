"""What a quadrant, a trial or a clip looks like in the EEG and in the face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from milmer_cli.demo.plan import signs, stream
from milmer_cli.demo.spec import DemoSpec

_TWENTE = (
    "Fp1 AF3 F7 F3 FC1 FC5 T7 C3 CP1 CP5 P7 P3 Pz PO3 O1 Oz "
    "O2 PO4 P4 P8 CP6 CP2 C4 T8 FC6 FC2 F4 F8 AF4 Fp2 Fz Cz"
)
_GENEVA = (
    "Fp1 AF3 F3 F7 FC5 FC1 C3 T7 CP5 CP1 P3 P7 PO3 O1 Oz Pz "
    "Fp2 AF4 Fz F4 F8 FC6 FC2 Cz C4 T8 CP6 CP2 P4 P8 PO4 O2"
)
TWENTE = tuple(_TWENTE.split())
"""Channel order on the disks of site A."""
GENEVA = tuple(_GENEVA.split())
"""Channel order on the disks of site B and of all preprocessed files; the order inside the demo."""

_LINES = {"Fp": 0.95, "AF": 0.75, "F": 0.5, "FC": 0.25, "T": 0.0, "C": 0.0, "CP": -0.25, "P": -0.5}
_LINES |= {"PO": -0.75, "O": -0.95}
_COLUMNS = {"z": 0.0, "1": -0.25, "2": 0.25, "3": -0.5, "4": 0.5, "5": -0.7, "6": 0.7}
_COLUMNS |= {"7": -0.9, "8": 0.9}
POSITIONS = np.array([(_COLUMNS[name[-1]], _LINES[name[:-1]]) for name in GENEVA])
"""(32, 2): right and front on a head of radius 1, a sketch of the 10-20 system."""

EVOKED_RMS_UV = 5.5
"""Size of an evoked wave over the electrodes, at signal 1."""
EARLY_AT_S = (0.1, 0.4)
LATE_AT_S = (0.75, 1.1)
"""When the waves come after each start: with high and with low valence, and likewise arousal."""


@dataclass(frozen=True)
class Expression:
    """Movements of the face, each about -1 to 1; all 0 is the neutral face.

    Attributes
    ----------
    smile
        Corners of the mouth up and out (or down and in).
    mouth
        Mouth open (or pressed shut).
    eyes
        Lids apart (or closing).
    inner_brow, outer_brow
        Ends of the brows up (or down; the inner ones then also draw together).
    """

    smile: float = 0.0
    mouth: float = 0.0
    eyes: float = 0.0
    inner_brow: float = 0.0
    outer_brow: float = 0.0

    def scaled(self, by: float) -> Expression:
        """Return the same movements, ``by`` times as far."""
        return Expression(
            self.smile * by,
            self.mouth * by,
            self.eyes * by,
            self.inner_brow * by,
            self.outer_brow * by,
        )


NEUTRAL = Expression()
QUADRANT_EXPRESSIONS = (
    Expression(smile=1.0, mouth=1.0, eyes=0.8, inner_brow=0.8, outer_brow=0.9),
    Expression(smile=0.8, mouth=-0.4, eyes=-0.8, inner_brow=0.1, outer_brow=0.0),
    Expression(smile=-1.0, mouth=-0.5, eyes=-0.6, inner_brow=1.0, outer_brow=-0.6),
    Expression(smile=-0.8, mouth=0.9, eyes=0.9, inner_brow=-1.0, outer_brow=0.6),
)
"""Happy, calm, sad and angry: one for each of `QUADRANTS`."""
EXPRESSION_CLASSES = {
    "neutral": NEUTRAL,
    "happy": QUADRANT_EXPRESSIONS[0],
    "calm": QUADRANT_EXPRESSIONS[1],
    "sad": QUADRANT_EXPRESSIONS[2],
    "angry": QUADRANT_EXPRESSIONS[3],
}
"""Classes of the images to fine-tune a Swin on."""


@dataclass(frozen=True)
class Pattern:
    """One pattern, for electrodes in the order of `GENEVA`.

    Attributes
    ----------
    alpha, beta
        (32,) Change of the amplitude of alpha and beta, as a share, at signal 1.
    early, late
        (32,) Evoked topographies in microvolts at signal 1, without a mean over the electrodes.
    early_at_s, late_at_s
        When these waves come, in seconds.
    expression
        What the face does.
    """

    alpha: np.ndarray
    beta: np.ndarray
    early: np.ndarray
    late: np.ndarray
    early_at_s: float
    late_at_s: float
    expression: Expression


def pattern(spec: DemoSpec, index: int) -> Pattern:
    """Return the pattern that `TrialTruth.pattern` and `Span.pattern` name.

    A quadrant's has a part for valence (frontal alpha asymmetry, when the early wave comes) and one
    for arousal (beta, when the late wave comes). A trial's or a clip's is drawn at random.
    """
    if spec.signal_kind == "quadrant":
        return _quadrant(index)
    rng = stream(spec, 2, index)
    return Pattern(
        alpha=rng.uniform(-0.8, 0.8, 32),
        beta=rng.uniform(-0.8, 0.8, 32),
        early=_topography(rng.normal(size=32)),
        late=_topography(rng.normal(size=32)),
        early_at_s=float(rng.uniform(*EARLY_AT_S)),
        late_at_s=float(rng.uniform(*LATE_AT_S)),
        expression=Expression(*(float(move) for move in rng.uniform(-1.0, 1.0, 5))),
    )


def _quadrant(index: int) -> Pattern:
    valence, arousal = signs(index)
    right, front = POSITIONS.T
    frontal = np.clip(front, 0.0, None)
    return Pattern(
        alpha=0.25 * valence * np.sign(right) * np.clip(2.0 * frontal, 0.0, 1.0),
        beta=0.2 * arousal * np.clip(np.abs(right) + frontal, 0.0, 1.0),
        early=_topography(front),
        late=_topography(np.exp(-4.0 * (right**2 + front**2))),
        early_at_s=EARLY_AT_S[valence < 0],
        late_at_s=LATE_AT_S[arousal < 0],
        expression=QUADRANT_EXPRESSIONS[index],
    )


def _topography(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    return EVOKED_RMS_UV * centred / centred.std()
