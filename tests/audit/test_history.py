"""Training histories that do and do not show that the test set selected the epoch."""

import csv
from pathlib import Path

import pytest

from milmer_cli.audit.history import epoch_leak

LEAKY = [[1, 0.4, 0.4, 0], [2, 0.6, 0.5, 0], [3, 0.5, 0.7, 1]]
CLEAN = [[1, 0.4, 0.4, 0], [2, 0.6, 0.5, 1], [3, 0.5, 0.7, 0]]


@pytest.fixture
def count(tmp_path: Path):
    def count(header: str, rows: list[list]) -> int:
        path = tmp_path / "history.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([header.split(","), *rows])
        leak = epoch_leak(path)
        return leak.count if leak else 0

    return count


@pytest.mark.parametrize(
    "header", ["epoch,val_acc,test_acc,kept", "Epoch,Val Acc,Test/Acc,Is Best"]
)
def test_epoch_leak_finds_columns_in_any_spelling(count, header):
    assert count(header, LEAKY) == 1
    assert count(header, CLEAN) == 0


def test_epoch_leak_skips_missing_scores(count):
    rows = [[1, 0.5, 0.9, ""], [2, 0.4, "", ""], [3, 0.45, 0.4, "x"], [4, 0.5, "", ""]]
    assert count("epoch,val_loss,test_loss,kept", rows) == 1


@pytest.mark.parametrize("column", ["seed", "fold"])
def test_epoch_leak_tells_runs_apart(count, column):
    header = f"epoch,val_acc,test_acc,kept,{column}"
    assert count(header, [[*row, run] for run in (1, 2) for row in LEAKY]) == 2
    mixed = [[*row, run] for run, rows in ((1, LEAKY), (2, CLEAN)) for row in rows]
    assert count(header, mixed) == 0


def test_epoch_leak_of_marks_of_the_best_epoch_so_far_takes_the_last(count):
    header = "epoch,val_acc,test_acc,is_best"
    assert count(header, [[*row[:3], 1] for row in LEAKY]) == 1
    assert count(header, [[*row[:3], int(row[0] < 3)] for row in CLEAN]) == 0


def test_epoch_leak_without_validation_requires_that_the_kept_epoch_is_the_best(count):
    rows = [[1, 0.4, 0], [2, 0.6, 0], [3, 0.5, 1]]
    assert count("epoch,test_acc,kept", rows) == 0
    assert count("epoch,test_acc,kept", [[e, acc, int(e == 2)] for e, acc, _ in rows]) == 1
    assert count("epoch,test_acc", [row[:2] for row in rows]) == 1


def test_epoch_leak_ignores_the_size_of_the_test_set(count):
    assert count("epoch,n_test,train_acc", [[1, 20, 0.4], [2, 20, 0.6]]) == 0
