"""Changed files of every format are accepted, or refused with one sentence (`fuzz/run.py`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_fuzz_has_no_findings(tmp_path):
    arguments = ("--mutants", "50", "--workers", "2", "--out", tmp_path)
    command = [sys.executable, ROOT / "fuzz" / "run.py", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_killed_commands_give_the_result_of_an_unbroken_run(tmp_path):
    arguments = ("--kills", "3", "--terminations", "2", "--out", tmp_path)
    command = [sys.executable, ROOT / "fuzz" / "kill.py", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]


def test_mutate_depends_on_the_seed_only(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "fuzz"))
    from mutate import mutate

    content = b"a,b\n1,2\n" * 20
    mutants = [mutate(content, np.random.default_rng([0, number])) for number in range(50)]
    again = [mutate(content, np.random.default_rng([0, number])) for number in range(50)]
    assert mutants == again
    assert sum(mutant != content for mutant in mutants) >= 45
