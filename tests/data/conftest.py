from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest


@dataclass(frozen=True)
class Table:
    """Stands in for store.Segments: the same columns, without a file."""

    participant: np.ndarray
    row: np.ndarray
    trial: np.ndarray
    stimulus: np.ndarray
    onset: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    @property
    def trial_id(self) -> np.ndarray:
        return np.array([f"{p}/{t:02d}" for p, t in zip(self.participant, self.trial, strict=True)])


def make_table(participants: int, trials: int, per_trial: int, seed: int = 0, step_s: float = 3.0):
    """(table, labels): presentation orders permuted, one class a trial, as in DEAP."""
    random = np.random.default_rng(seed)
    columns: dict[str, list] = {
        "participant": [],
        "row": [],
        "trial": [],
        "stimulus": [],
        "onset": [],
    }
    labels = []
    for number in range(participants):
        clips = random.permutation(trials) + 1
        for trial, clip in enumerate(clips, start=1):
            label = random.integers(4)
            for segment in range(per_trial):
                columns["participant"].append(f"s{number + 1:02d}")
                columns["row"].append((trial - 1) * per_trial + segment)
                columns["trial"].append(trial)
                columns["stimulus"].append(clip)
                columns["onset"].append(segment * step_s)
                labels.append(label)
    return Table(**{name: np.array(values) for name, values in columns.items()}), np.array(labels)


@pytest.fixture(scope="session")
def table_of():
    return make_table
