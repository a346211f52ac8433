from __future__ import annotations

import math

import pytest

from milmer_cli.datasets.deap.ratings import read_ratings
from milmer_cli.errors import InputError

HEADER = (
    "Participant_id,Trial,Experiment_id,Start_time,Valence,Arousal,Dominance,Liking,Familiarity"
)


def test_read_ratings_by_participant_and_order_of_presentation(tmp_path, write_ratings):
    rows = {2: [(2, 1, (1, 2, 3, 4)), (1, 2, (5, 6, 7, 9))], 1: [(1, 40, (1.5, 2.25, "", 4))]}
    read = read_ratings(write_ratings(tmp_path / "r.csv", rows))
    assert list(read) == [1, 2]
    assert list(read[2]) == [1, 2]
    assert (read[2][1].stimulus, read[2][1].ratings) == (2, (5, 6, 7, 9))
    assert read[1][1].stimulus == 40
    assert math.isnan(read[1][1].ratings[2])


def test_read_ratings_with_semicolons(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(HEADER.replace(",", ";") + "\n3;1;7;0;1;2;3;4;\n\n")
    assert read_ratings(path)[3][1].stimulus == 7


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1,1,1,0,7.7,x,6,7,4"], "row 2: arousal: expected a number from 1 to 9, got 'x'"),
        (["1,1,1,0,7.7,3,6,7,4", "1,2,1,0,3,3,3,3,3"], "row 3: participant 1 already has"),
        (["1,1,1,0,7.7,3,6,7,4", "1,1,2,0,3,3,3,3,3"], "row 3: participant 1 already has"),
        (["1,1,1,0,77,3,6,7,4"], "row 2: valence: expected a number from 1 to 9, got '77'"),
        (
            ["1,0,1,0,7,3,6,7,4"],
            r"row 2: trial: expected 1, 2, 3, \.\.\. \(at most 2147483647\), got '0'",
        ),
        ([], "the table has no rows"),
    ],
)
def test_read_ratings_names_the_wrong_row(tmp_path, rows, message):
    path = tmp_path / "r.csv"
    path.write_text("\n".join([HEADER, *rows]))
    with pytest.raises(InputError, match=message):
        read_ratings(path)


def test_read_ratings_names_missing_columns(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("Participant_id,Trial,Valence\n1,1,3\n")
    with pytest.raises(InputError) as error:
        read_ratings(path)
    for name in ("experiment_id", "arousal", "dominance", "liking"):
        assert f"column {name} is missing" in error.value.message
