from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.inspection.examples import MAX_EXAMPLES, choose_examples


class Store:
    folder = "prepared"

    def __init__(self, n_participants):
        self.participants = tuple(f"s{number:02d}" for number in range(1, n_participants + 1))


class Segments:
    """Two trials of three segments for each participant."""

    def __init__(self, store):
        self.participant = np.repeat(store.participants, 6)
        self.trial = np.tile([1, 1, 1, 2, 2, 2], len(store.participants))

    def __len__(self):
        return len(self.trial)


def choose(n_participants, participant=None, trial=None):
    store = Store(n_participants)
    return choose_examples(store, Segments(store), participant, trial)


def test_choose_examples_middle_segment_of_another_trial_of_each_participant():
    rows, description = choose(3)
    assert rows == [1, 10, 13]
    assert "per participant" in description


def test_choose_examples_middle_segment_of_each_trial():
    assert choose(2, participant="s02")[0] == [7, 10]


def test_choose_examples_all_segments_of_a_trial_of_the_first_participant():
    assert choose(2, trial=2)[0] == [3, 4, 5]
    assert choose(2, participant="s02", trial=2)[0] == [9, 10, 11]


def test_choose_examples_limits_the_number_of_participants():
    rows, description = choose(30)
    assert len(rows) == MAX_EXAMPLES
    assert rows[0] == 1
    assert rows[-1] == 29 * 6 + 4
    assert "12 of 30" in description


def test_choose_examples_rejects_several_participants():
    with pytest.raises(InputError, match="expected one participant"):
        choose(3, participant="s01-s02")
