from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.store import Segments


def make_table(
    participants: int, trials: int, per_trial: int, seed: int = 0, step_s: float = 3.0
) -> tuple[Segments, np.ndarray]:
    """(segments, labels): presentation orders permuted, one class a trial, as in DEAP."""
    random = np.random.default_rng(seed)
    n = participants * trials * per_trial
    clips = [random.permutation(trials) + 1 for _ in range(participants)]
    trial = np.tile(np.repeat(np.arange(1, trials + 1), per_trial), participants)
    table = Segments(
        participant=np.repeat([f"s{p + 1:02d}" for p in range(participants)], trials * per_trial),
        row=np.tile(np.arange(trials * per_trial), participants),
        trial=trial,
        stimulus=np.repeat(np.concatenate(clips), per_trial),
        onset=np.tile(np.arange(per_trial) * step_s, participants * trials).astype(np.float32),
        ratings=np.full((n, 4), 5.0, dtype=np.float32),
        eeg_found=np.ones(n, dtype=bool),
        faces_found=np.ones(n, dtype=np.float32),
        label=np.full(n, ""),
    )
    return table, np.repeat(random.integers(4, size=participants * trials), per_trial)


@pytest.fixture(scope="session")
def table_of():
    return make_table
