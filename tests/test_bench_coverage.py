"""A seeded part of bench/coverage.py: coverage of intervals and rates of false positives."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"
REPEATS = 200


def load(script, name):
    spec = importlib.util.spec_from_file_location(name, BENCH / script)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # data classes look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def coverage():
    return load("coverage.py", "bench_coverage")


@pytest.fixture(scope="module")
def session_coverage(coverage):
    # the script imports the other one by the name of its file, which is also that of a package
    installed = sys.modules.get("coverage")
    sys.modules["coverage"] = coverage
    try:
        return load("session_coverage.py", "bench_session_coverage")
    finally:
        del sys.modules["coverage"]
        if installed is not None:
            sys.modules["coverage"] = installed


@pytest.mark.slow
@pytest.mark.parametrize("design", [(5, 16, 0.0), (8, 40, 0.5), (32, 40, 0.12)])
@pytest.mark.parametrize("protocol", ["trial", "participant", "participant-stimulus"])
def test_intervals_and_p_values_hold_under_simulation(coverage, design, protocol):
    simulated = coverage.Design(*design)
    expected, rates = coverage.expected_scores(100_000), coverage.trial_rates(100_000)
    hits = [
        coverage.covered(simulated, protocol, seed, expected, rates, n_bootstraps=200)
        for seed in range(REPEATS)
    ]
    for name in hits[0]:
        n_covered = sum(hit[name] for hit in hits)
        assert n_covered >= 180, name  # expected 190 of 200; 99.9 % binomial interval
    for is_small in (
        lambda seed: coverage.permutation_is_small(simulated, seed, 199),
        lambda seed: coverage.comparison_errors(simulated, protocol, seed)[0],
        lambda seed: coverage.comparison_errors(simulated, protocol, seed)[1],
    ):
        assert sum(is_small(seed) for seed in range(REPEATS)) <= 21  # expected 10 of 200


@pytest.mark.slow
@pytest.mark.parametrize("design", [(5, 3, 16, False), (8, 2, 16, False), (8, 3, 16, True)])
def test_intervals_and_p_values_over_sessions_hold_under_simulation(session_coverage, design):
    module = session_coverage
    simulated = module.SessionDesign(*design)
    expected, rates = module.expected_scores(100_000), module.trial_rates(100_000)
    hits = [
        module.covered(simulated, seed, expected, rates, n_bootstraps=200)
        for seed in range(REPEATS)
    ]
    for name in hits[0]:
        assert sum(hit[name] for hit in hits) >= 180, name
    for is_small in (
        lambda seed: module.permutation_is_small(simulated, seed, 199),
        lambda seed: module.comparison_errors(simulated, seed)[0],
        lambda seed: module.comparison_errors(simulated, seed)[1],
    ):
        assert sum(is_small(seed) for seed in range(REPEATS)) <= 21
