from __future__ import annotations

import re

import numpy as np
import pytest

from milmer_cli.data.labels import (
    class_names,
    count_per_class,
    describe_label_rule,
    make_labels,
    published_quadrants,
)
from milmer_cli.errors import SettingsError
from milmer_cli.settings.schema import DataSettings

NAN = np.nan
HAHV, LAHV, LALV, HALV = range(4)


def label_of(valence: float, arousal: float, **settings: object) -> int:
    rows = np.array([[valence, arousal, 1.0, 9.0]])
    return int(make_labels(rows, DataSettings(**settings))[0])


@pytest.mark.parametrize(
    ("valence", "arousal", "low", "high", "drop", "published"),
    [
        (6.0, 6.0, HAHV, HAHV, HAHV, HAHV),
        (6.0, 4.0, LAHV, LAHV, LAHV, LAHV),
        (4.0, 4.0, LALV, LALV, LALV, LALV),
        (4.0, 6.0, HALV, HALV, HALV, HALV),
        (5.0, 6.0, HALV, HAHV, -1, HALV),
        (5.0, 4.0, LALV, LAHV, -1, LAHV),
        (6.0, 5.0, LAHV, HAHV, -1, HALV),  # published: high valence in HALV
        (4.0, 5.0, LALV, HALV, -1, HALV),
        (5.0, 5.0, LALV, HAHV, -1, HALV),
        (NAN, 6.0, -1, -1, -1, -1),
        (6.0, NAN, -1, -1, -1, -1),
        (NAN, 5.0, -1, -1, -1, -1),
    ],
)
def test_make_labels_of_quadrants_with_each_tie_rule(valence, arousal, low, high, drop, published):
    got = [label_of(valence, arousal, ties=ties) for ties in ("low", "high", "drop", "published")]
    assert got == [low, high, drop, published]


@pytest.mark.parametrize(("target", "column"), [("valence", 0), ("arousal", 1)])
def test_make_labels_of_one_axis_ignores_the_other_ratings(target, column):
    values = np.array([4.0, 5.0, 6.0, NAN])
    ratings = np.full((4, 4), NAN)
    ratings[:, column] = values
    expected = {"low": [0, 0, 1, -1], "high": [0, 1, 1, -1], "drop": [0, -1, 1, -1]}
    for ties, wanted in expected.items():
        assert make_labels(ratings, DataSettings(target=target, ties=ties)).tolist() == wanted
    assert class_names(target) == (f"low {target}", f"high {target}")


def test_make_labels_compares_as_float32():
    ratings = np.array([[4.9, 9.0, 5.0, 5.0]], dtype=np.float32)
    assert make_labels(ratings, DataSettings(threshold=4.9, ties="drop")).tolist() == [-1]


def test_make_labels_refuses_the_published_ties_of_one_axis():
    with pytest.raises(SettingsError, match=r"expected data\.target=quadrant"):
        make_labels(np.ones((1, 4)), DataSettings(target="valence", ties="published"))


def test_class_names_of_quadrants_are_in_the_published_order():
    assert class_names("quadrant") == ("HAHV", "LAHV", "LALV", "HALV")
    ratings = np.array([[7, 7], [7, 2], [2, 2], [2, 7]])
    assert published_quadrants(ratings).tolist() == [0, 1, 2, 3]


def test_make_labels_of_given_classes_ignores_ratings():
    given = np.array(["joy", "fear", "", "joy"])
    ratings = np.full((4, 4), 9.0)
    assert class_names("label", given) == ("fear", "joy")
    assert make_labels(ratings, DataSettings(target="label"), given).tolist() == [1, 0, -1, 1]
    assert make_labels(ratings, DataSettings(), given).tolist() == [HAHV] * 4


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({}, "A rating above 5 is high; a rating of exactly 5 is low (data.ties=low)."),
        ({"ties": "drop", "threshold": 4.5}, "above 4.5 is high; a trial whose .* 4.5 is excluded"),
        ({"ties": "published"}, "every trial with an arousal of exactly 5 is labeled HALV"),
        ({"target": "label"}, "The data set states the class of each trial"),
    ],
)
def test_describe_label_rule_states_the_ties(settings, rule):
    assert re.search(
        rule.replace("(", r"\(").replace(")", r"\)"), describe_label_rule(DataSettings(**settings))
    )


def test_count_per_class_ignores_excluded_labels():
    assert count_per_class(np.array([0, 2, 2, -1]), ("a", "b", "c")) == {"a": 1, "b": 0, "c": 2}
