"""Tables of predictions as other programs write them."""

from pathlib import Path

import pytest

from milmer_cli.audit.predictions import read_predictions
from milmer_cli.audit.splits import read_splits
from milmer_cli.errors import InputError


@pytest.fixture
def read(tmp_path: Path):
    def read(*lines: str):
        path = tmp_path / "predictions.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
        return read_predictions(path)

    return read


def test_whole_numbers_with_decimals_or_leading_zeros_are_the_same_name(read):
    table = read(
        "participant,trial,stimulus,truth,predicted,fold,seed",
        "1,1,07,1,1.0,0,1",
        "1.0,1.0,7,1.0,2.0,0.0,1.0",
        "01,01,7.0,2,2,00,01",
    )
    assert table.participant.tolist() == ["1", "1", "01"], "01 is reported as a leak"
    for column, name in (("trial", "1"), ("stimulus", "7"), ("fold", "0"), ("seed", "1")):
        assert getattr(table, column).tolist() == [name] * 3
    assert table.class_names == ("1", "2")
    assert table.truth.tolist() == [0, 0, 1]
    assert table.predicted.tolist() == [0, 1, 1]


@pytest.mark.parametrize("classes", [("1", "2"), ("1", "0"), ("-1", "1"), ("1.0", "0.0")])
def test_numbered_probability_columns_are_found_by_their_number(read, classes):
    first, second = classes
    table = read(f"participant,truth,p_{first},p_{second}", f"1,{int(float(first))}.0,0.8,0.2")
    assert (table.truth.tolist(), table.predicted.tolist()) == ([0], [0])
    with pytest.raises(InputError, match="truth: expected a class"):
        read(f"participant,truth,p_{first},p_{second}", "1,7,0.8,0.2")


@pytest.mark.parametrize("missing", ["", "nan", "NaN"])
@pytest.mark.parametrize(
    "column", ["participant", "trial", "stimulus", "truth", "predicted", "fold", "seed"]
)
def test_missing_cells_are_errors(read, column, missing):
    columns = ("participant", "trial", "stimulus", "truth", "predicted", "fold", "seed")
    cells = [missing if name == column else "1" for name in columns]
    with pytest.raises(InputError, match=rf"row 3: {column}.*"):
        read(",".join(columns), "1,1,1,1,1,1,1", ",".join(cells))


def test_columns_without_a_name_are_not_those_that_are_missing(read):
    table = read("participant,truth,predicted,", "a,0,0,9", "b,1,0,")
    assert table.seed.tolist() == table.trial.tolist() == ["", ""]


def test_columns_that_are_empty_throughout_are_missing_columns(read):
    table = read("participant,trial,truth,predicted,fold", "1,,a,b,", "1,,b,b,")
    assert not table.has("trial")
    assert not table.has("fold")


@pytest.mark.parametrize("column", ["participant", "trial", "fold"])
def test_missing_cells_of_a_split_table_are_errors(tmp_path, column):
    columns = ("fold", "set", "participant", "trial", "stimulus")
    cells = ["" if name == column else "1" for name in ("fold", "set", *columns[2:])]
    path = tmp_path / "splits.csv"
    cells[1] = "train"
    path.write_text("\n".join([",".join(columns), "1,test,1,1,", ",".join(cells)]))
    with pytest.raises(InputError, match=f"row 3: {column} is empty"):
        read_splits(path)
