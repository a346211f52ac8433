from __future__ import annotations

import pytest

from milmer_cli.store.sources import TrialSource

TRIAL = TrialSource(60.0, ("e",), 100.0, "v", 20.0)


@pytest.mark.parametrize(
    ("other", "overlaps", "shares"),
    [
        (TrialSource(60.0, ("e",), 100.0), True, True),
        (TrialSource(60.0, ("x", "e"), 159.0), True, True),
        (TrialSource(60.0, ("e",), 160.0), False, True),  # the next trial
        (TrialSource(30.0, ("e",), 70.0), False, True),
        (TrialSource(500.0, ("e",)), True, True),
        (TrialSource(60.0, ("x",), 100.0), False, False),
        (TrialSource(5.0, ("x",), 100.0, "v", 22.0), True, True),
        (TrialSource(5.0, (), 0.0, "v", 90.0), False, True),
        (TrialSource(60.0), False, False),
    ],
)
def test_trial_source_overlaps_in_the_seconds_of_one_file(other, overlaps, shares):
    assert (TRIAL.overlaps(other), TRIAL.shares_files_with(other)) == (overlaps, shares)
    assert (other.overlaps(TRIAL), other.shares_files_with(TRIAL)) == (overlaps, shares)


def test_trial_source_without_files_is_part_of_nothing():
    assert not TrialSource(9.0).shares_files_with(TrialSource(9.0))


def test_trial_source_is_the_same_after_json():
    assert TrialSource.from_json(TRIAL.to_json()) == TRIAL
