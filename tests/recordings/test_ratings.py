from __future__ import annotations

import math

import pytest

from milmer_cli.errors import InputError
from milmer_cli.recordings.ratings import read_ratings

HEADER = (
    "Participant_id,Trial,Experiment_id,Start_time,Valence,Arousal,Dominance,Liking,Familiarity"
)


def test_rows_are_keyed_by_participant_and_presentation_order(tmp_path, write_ratings):
    rows = {2: [(2, 1, (1, 2, 3, 4)), (1, 2, (5, 6, 7, 9))], 1: [(1, 40, (1.5, 2.25, "", 4))]}
    read = read_ratings(write_ratings(tmp_path / "r.csv", rows))
    assert list(read) == [1, 2]
    assert list(read[2]) == [1, 2]
    assert (read[2][1].stimulus, read[2][1].ratings) == (2, (5, 6, 7, 9))
    assert read[1][1].stimulus == 40
    assert math.isnan(read[1][1].ratings[2])


def test_semicolons_and_a_file_without_a_mark_are_read(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(HEADER.replace(",", ";") + "\n3;1;7;0;1;2;3;4;\n\n")
    assert read_ratings(path)[3][1].stimulus == 7


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1,1,1,0,7.7,x,6,7,4"], "row 2: a cell is not a number"),
        (["1,1,1,0,7.7,3,6,7,4", "1,2,1,0,3,3,3,3,3"], "row 3: participant 1 already has"),
        (["1,1,1,0,7.7,3,6,7,4", "1,1,2,0,3,3,3,3,3"], "row 3: participant 1 already has"),
        (["1,1,1,0,77,3,6,7,4"], "row 2: a rating lies outside 1 to 9"),
        (["1,0,1,0,7,3,6,7,4"], "count from 1"),
        ([], "holds no ratings"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, rows, message):
    path = tmp_path / "r.csv"
    path.write_text("\n".join([HEADER, *rows]))
    with pytest.raises(InputError, match=message):
        read_ratings(path)


def test_missing_columns_are_named(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("Participant_id,Trial,Valence\n1,1,3\n")
    with pytest.raises(
        InputError, match="lacks the columns experiment_id, arousal, dominance, liking"
    ):
        read_ratings(path)
