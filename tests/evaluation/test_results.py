from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from helpers import run_python
from milmer_cli.evaluation.results import DeletionCurve, ProbeResult
from milmer_cli.evaluation.robustness_curves import average_over_shares
from milmer_cli.metrics.significance import Comparison


def make_curve(selected: list[float], random: list[float]) -> DeletionCurve:
    mean = np.array(random)
    return DeletionCurve(
        np.linspace(0, 1, len(mean)),
        np.array(selected),
        mean,
        mean - 0.05,
        mean + 0.05,
        compared(0.2, 0.012),
    )


def compared(difference: float, p_value: float, undefined: str = "") -> Comparison:
    return Comparison(
        "random", "selected", 20, difference, 0.1, 0.3, p_value, p_value, 1.0, 0.02, undefined
    )


def test_deletion_curve_area_known_answer():
    curve = make_curve([0.6, 0.2, 0.2], [0.6, 0.6, 0.2])
    assert curve.area == pytest.approx(0.2)
    equal = make_curve([0.6, 0.4, 0.2], [0.6, 0.4, 0.2])
    assert equal.area == 0


def test_average_over_shares_of_correctness():
    correct = np.array([[True, True, False], [True, False, False]])
    assert average_over_shares(correct, np.array([0.0, 0.5, 1.0])).tolist() == [0.75, 0.25]


@pytest.mark.parametrize(
    ("comparison", "sentence"),
    [
        (compared(0.2, 0.012), "by 20.0 points more than removing random faces (p = 0.012)."),
        (compared(-0.1, 0.03), "by 10.0 points less than removing random faces (p = 0.030)."),
        (compared(0.2, 0.08), "No difference between removing the selected faces and removing"),
        (compared(0.2, math.nan, "4 stimuli"), "cannot be compared: 4 stimuli."),
    ],
)
def test_deletion_curve_sentence_depends_on_the_p_value(comparison, sentence):
    curve = replace(make_curve([0.6, 0.2], [0.6, 0.6]), comparison=comparison)
    assert sentence in curve.sentence


def test_probe_result_chance_level_is_at_least_a_uniform_guess():
    def probe(majority_rate: float) -> ProbeResult:
        return ProbeResult("x", "stimulus", 0.5, 0.5, majority_rate, 4, 10, 5)

    assert probe(0.1).chance_level == 0.25
    assert probe(0.4).chance_level == 0.4


def test_results_do_not_import_torch():
    code = "import sys, milmer_cli.evaluation.results; sys.exit('torch' in sys.modules)"
    assert run_python("-c", code).returncode == 0
