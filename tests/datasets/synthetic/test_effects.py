from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.datasets.synthetic import SyntheticConfig
from milmer_cli.datasets.synthetic.config import QUADRANTS
from milmer_cli.datasets.synthetic.effects import QUADRANT_EXPRESSIONS, Pattern, make_pattern


def _eeg_effects(pattern: Pattern) -> np.ndarray:
    onsets = [pattern.early_onset_s, pattern.late_onset_s]
    return np.concatenate([pattern.alpha, pattern.beta, pattern.early, pattern.late, onsets])


def test_make_pattern_emotion_has_arousal_in_the_eeg_only():
    patterns = [make_pattern(SyntheticConfig(), index) for index in range(4)]
    effects = {name: _eeg_effects(p) for name, p in zip(QUADRANTS, patterns, strict=True)}
    np.testing.assert_array_equal(effects["HAHV"], effects["HALV"])
    np.testing.assert_array_equal(effects["LAHV"], effects["LALV"])
    assert (effects["HAHV"] != effects["LAHV"]).any()
    assert tuple(pattern.expression for pattern in patterns) == QUADRANT_EXPRESSIONS


@pytest.mark.parametrize("kind", ["participant", "trial", "stimulus"])
def test_make_pattern_other_kinds_differ_between_indices(kind):
    config = SyntheticConfig(signal_kind=kind)
    first, second, repeated = (make_pattern(config, index) for index in (100, 200, 100))
    np.testing.assert_array_equal(_eeg_effects(first), _eeg_effects(repeated))
    assert not np.allclose(_eeg_effects(first), _eeg_effects(second))
    assert first.expression == repeated.expression != second.expression
