from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import QUADRANTS
from milmer_cli.store import Segments


class StubStore:
    """A store without files, whose participants state the length of a segment."""

    def __init__(self, segment_s: float) -> None:
        self.segment_s = segment_s

    def participant(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(participant=name, segment_s=self.segment_s)


def label_segments(
    participants: int,
    trials: int,
    per_trial: int,
    seed: int = 0,
    *,
    step_s: float = 3.0,
    segment_s: float = 3.0,
) -> LabeledSegments:
    """Label segments as in DEAP: permuted presentation orders, one class a trial."""
    random = np.random.default_rng(seed)
    n = participants * trials * per_trial
    stimuli = [random.permutation(trials) + 1 for _ in range(participants)]
    trial = np.tile(np.repeat(np.arange(1, trials + 1), per_trial), participants)
    segments = Segments(
        participant=np.repeat([f"s{p + 1:02d}" for p in range(participants)], trials * per_trial),
        row=np.tile(np.arange(trials * per_trial), participants),
        trial=trial,
        stimulus=np.repeat(np.concatenate(stimuli), per_trial),
        onset=np.tile(np.arange(per_trial) * step_s, participants * trials).astype(np.float32),
        ratings=np.full((n, 4), 5.0, dtype=np.float32),
        eeg_found=np.ones(n, dtype=bool),
        faces_found=np.ones(n, dtype=np.float32),
        label=np.full(n, ""),
    )
    labels = np.repeat(random.integers(4, size=participants * trials), per_trial)
    return LabeledSegments(StubStore(segment_s), segments, labels, QUADRANTS)


@pytest.fixture(scope="session")
def make_labeled():
    return label_segments
