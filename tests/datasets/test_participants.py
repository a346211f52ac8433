from __future__ import annotations

import pytest

from milmer_cli.datasets.participants import select_participants
from milmer_cli.errors import InputError

DEAP = [f"s{number:02d}" for number in range(1, 33)]
NAMES = ["1-3", "anna", "ben", "carl", "P-7", "sub-01", "sub-02", "sub-10", "12"]


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("1,3-5", ["s01", "s03", "s04", "s05"]),
        ("s01,s03-s05", ["s01", "s03", "s04", "s05"]),
        (" 1 , s03 - s05 ", ["s01", "s03", "s04", "s05"]),
        ("1 - 3", ["s01", "s02", "s03"]),
        ("S30-s31,S05", ["s05", "s30", "s31"]),
        ("32,1,1", ["s01", "s32"]),
        ("31-99", ["s31", "s32"]),
        ("s2, S003", ["s02", "s03"]),
        ("s2-s3", ["s02", "s03"]),
        ("4-4", ["s04"]),
        (",4,,", ["s04"]),
    ],
)
def test_select_participants_numbers_names_and_ranges(text, selected):
    assert select_participants(DEAP, text, "DEAP") == selected


@pytest.mark.parametrize("text", ["", "  ", " , "])
def test_select_participants_empty_list_selects_all(text):
    assert select_participants(DEAP, text, "DEAP") == DEAP


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("anna, ben", ["anna", "ben"]),
        ("anna-carl", ["anna", "ben", "carl"]),
        ("1-3", ["1-3"]),  # an exact name has priority over a range
        ("1-2", ["sub-01", "sub-02"]),
        ("12", ["12"]),
        ("sub-01", ["sub-01"]),
        ("sub-01-sub-02", ["sub-01", "sub-02"]),
        ("sub-02 - sub-99", ["sub-02", "sub-10"]),
        ("7", ["P-7"]),
        ("p-7", ["P-7"]),
        ("sub-1", ["sub-01"]),
        ("p-07", ["P-7"]),
    ],
)
def test_select_participants_names_with_dashes_and_digits(text, selected):
    assert select_participants(NAMES, text, "the store") == selected


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("33", "33"),
        ("1,s99,dora", "s99, dora"),
        ("5-3", "5-3"),
        ("p01-p03", "p01-p03"),
        ("1;2", "1;2"),
        ("-1", "-1"),
        ("40-50", "40-50"),
    ],
)
def test_select_participants_unknown_items_are_named(text, unknown):
    with pytest.raises(InputError) as error:
        select_participants(DEAP, text, "DEAP below /data")
    assert f"DEAP below /data has no participant {unknown}." in error.value.message
    assert "s01, s02, s03" in error.value.hint
