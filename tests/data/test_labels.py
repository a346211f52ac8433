from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.data.labels import class_names, classes, published_classes
from milmer_cli.errors import SettingsError
from milmer_cli.settings.schema import DataSettings

NAN = np.nan
HAHV, LAHV, LALV, HALV = range(4)


def of(valence: float, arousal: float, **settings: object) -> int:
    rows = np.array([[valence, arousal, 1.0, 9.0]])
    return int(classes(rows, DataSettings(**settings))[0])


@pytest.mark.parametrize(
    ("valence", "arousal", "low", "high", "drop", "published"),
    [
        (6.0, 6.0, HAHV, HAHV, HAHV, HAHV),
        (6.0, 4.0, LAHV, LAHV, LAHV, LAHV),
        (4.0, 4.0, LALV, LALV, LALV, LALV),
        (4.0, 6.0, HALV, HALV, HALV, HALV),
        (5.0, 6.0, HALV, HAHV, -1, HALV),
        (5.0, 4.0, LALV, LAHV, -1, LAHV),
        (6.0, 5.0, LAHV, HAHV, -1, HALV),  # the published fault: high valence in HALV
        (4.0, 5.0, LALV, HALV, -1, HALV),
        (5.0, 5.0, LALV, HAHV, -1, HALV),
        (NAN, 6.0, -1, -1, -1, -1),
        (6.0, NAN, -1, -1, -1, -1),
        (NAN, 5.0, -1, -1, -1, -1),
    ],
)
def test_quadrants_under_every_tie_rule(valence, arousal, low, high, drop, published):
    got = [of(valence, arousal, ties=ties) for ties in ("low", "high", "drop", "published")]
    assert got == [low, high, drop, published]


@pytest.mark.parametrize(("target", "column"), [("valence", 0), ("arousal", 1)])
def test_one_axis_looks_at_its_own_rating_only(target, column):
    values = np.array([4.0, 5.0, 6.0, NAN])
    ratings = np.full((4, 4), NAN)
    ratings[:, column] = values
    expected = {"low": [0, 0, 1, -1], "high": [0, 1, 1, -1], "drop": [0, -1, 1, -1]}
    for ties, wanted in expected.items():
        assert classes(ratings, DataSettings(target=target, ties=ties)).tolist() == wanted
    assert class_names(target) == (f"low {target}", f"high {target}")


def test_a_rating_stored_as_float32_still_ties_with_its_threshold():
    ratings = np.array([[4.9, 9.0, 5.0, 5.0]], dtype=np.float32)
    assert classes(ratings, DataSettings(threshold=4.9, ties="drop")).tolist() == [-1]


def test_published_rule_is_for_quadrants():
    with pytest.raises(SettingsError, match="quadrants; data"):
        classes(np.ones((1, 4)), DataSettings(target="valence", ties="published"))


def test_quadrant_names_are_in_the_published_order():
    assert class_names("quadrant") == ("HAHV", "LAHV", "LALV", "HALV")
    ratings = np.array([[7, 7], [7, 2], [2, 2], [2, 7]])
    assert published_classes(ratings).tolist() == [0, 1, 2, 3]


def test_named_classes_are_taken_by_name_and_nothing_else_is_looked_at():
    named = np.array(["joy", "fear", "", "joy"])
    ratings = np.full((4, 4), 9.0)
    assert class_names("label", named) == ("fear", "joy")
    assert classes(ratings, DataSettings(target="label"), named).tolist() == [1, 0, -1, 1]
    assert classes(ratings, DataSettings(), named).tolist() == [HAHV] * 4
