from __future__ import annotations

from milmer_cli.bundle.sources import UsedTrial
from milmer_cli.prediction.training_overlap import overlap_warnings, sets_of
from milmer_cli.store.sources import TrialSource

SETS = {1: ("training",), 2: ("training",), 3: ("validation",), 4: ("test",)}
USED = [
    UsedTrial(number, sets, TrialSource(10.0, ("e",), 10.0 * number))
    for number, sets in SETS.items()
]


def warning_of(onset_s, duration_s, digest="e"):
    source = TrialSource(duration_s, (digest,), onset_s)
    return sets_of(source, USED), overlap_warnings(source, USED)


def test_overlap_warnings_name_the_set():
    sets, [text] = warning_of(20.0, 10.0)
    assert sets == ("training",)
    assert text.startswith("This recording is in the training set (trial 2) of the model: ")
    sets, [text] = warning_of(40.0, 10.0)
    assert sets == ("test",)
    assert text == (
        "This recording is in the test set (trial 4) of the model: it is part of the test score "
        "of the model."
    )
    sets, [text] = warning_of(0.0, 100.0)
    assert sets == ("training", "validation", "test")
    assert "the training set (trials 1, 2), the validation set (trial 3) and the" in text


def test_overlap_warnings_of_another_part_of_a_training_recording():
    sets, [text] = warning_of(60.0, 10.0)
    assert sets == ()
    assert "in the training or validation set of the model (trials 1, 2, 3)" in text
    assert "the participant is not new" in text


def test_overlap_warnings_of_a_new_recording():
    assert warning_of(20.0, 10.0, "other") == ((), [])
