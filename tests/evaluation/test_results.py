from __future__ import annotations

import numpy as np
import pytest

from helpers import run_python
from milmer_cli.evaluation.results import DeletionCurve, ProbeResult


def make_curve(selected: list[float], random: list[float]) -> DeletionCurve:
    mean = np.array(random)
    return DeletionCurve(
        np.linspace(0, 1, len(mean)), np.array(selected), mean, mean - 0.05, mean + 0.05
    )


def test_deletion_curve_area_known_answer():
    curve = make_curve([0.6, 0.2, 0.2], [0.6, 0.6, 0.2])
    assert curve.area == pytest.approx(0.2)
    assert curve.below_random
    equal = make_curve([0.6, 0.4, 0.2], [0.6, 0.4, 0.2])
    assert equal.area == 0
    assert not equal.below_random


def test_probe_result_chance_level_is_at_least_a_uniform_guess():
    def probe(majority_rate: float) -> ProbeResult:
        return ProbeResult("x", "stimulus", 0.5, 0.5, majority_rate, 4, 10, 5)

    assert probe(0.1).chance_level == 0.25
    assert probe(0.4).chance_level == 0.4


def test_results_do_not_import_torch():
    code = "import sys, milmer_cli.evaluation.results; sys.exit('torch' in sys.modules)"
    assert run_python("-c", code).returncode == 0
