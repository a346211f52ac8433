"""The mutations of `fuzz/run.py` can be repeated."""

from __future__ import annotations

from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]


def test_mutate_depends_on_the_seed_only(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "fuzz"))
    from mutate import mutate

    content = b"a,b\n1,2\n" * 20
    mutants = [mutate(content, np.random.default_rng([0, number])) for number in range(50)]
    again = [mutate(content, np.random.default_rng([0, number])) for number in range(50)]
    assert mutants == again
    assert sum(mutant != content for mutant in mutants) >= 45
