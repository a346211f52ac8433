"""The mutations of `fuzz/run.py` can be repeated, and 50 of each format give no findings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers import run_python

ROOT = Path(__file__).parents[1]
FORMATS = (
    "edf,bdf,vhdr,edf+d,fif,vmrk,eeg,deap bdf,deap dat,ratings csv,mp4,avi,mkv,mov,ts,webm,"
    "png,jpg,tif,gif,bmp,webp,ppm,png 16 bit,expression folder,expression csv,manifest,"
    "mahnob session,mahnob gaze,bids participants,bids scans,bids events.tsv,bids events.json,"
    "bids channels.tsv,bids eeg.json,predict manifest,audit csv,audit splits,settings,store index,"
    "store,published checkpoint"
)
"""The formats that are only read; the content of the others depends on paths and times."""


def test_mutate_depends_on_the_seed_only(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "fuzz"))
    from mutate import mutate

    content = b"a,b\n1,2\n" * 20
    mutants = [mutate(content, np.random.default_rng([0, number])) for number in range(50)]
    again = [mutate(content, np.random.default_rng([0, number])) for number in range(50)]
    assert mutants == again
    assert sum(mutant != content for mutant in mutants) >= 45


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of the workers in /proc")
def test_fuzz_has_no_findings(tmp_path):
    command = [sys.executable, ROOT / "fuzz" / "run.py", "--mutants", "50", "--out", tmp_path]
    command += ["--formats", FORMATS]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="sets capabilities")
def test_read_only_output_is_read_only_for_root_and_its_children(tmp_path):
    (tmp_path / "out").mkdir()
    code = """
import subprocess, sys
from pathlib import Path
import disturb, kill
out = Path(sys.argv[1])
modes = disturb.remove_permissions(out)
kill.obey_permissions()
write = "import sys; open(sys.argv[1], 'w')"
child = subprocess.run([sys.executable, "-c", write, str(out / "b")], capture_output=True)
try:
    (out / "a").touch()
except PermissionError:
    print("denied", child.returncode, len(modes))
"""
    folders = os.pathsep.join((str(ROOT), str(ROOT / "fuzz")))
    done = run_python("-c", code, tmp_path / "out", environment={"PYTHONPATH": folders})
    assert done.stdout == "denied 1 1\n", done.stderr
