"""Cells of CSV files are no formulas, and reading them gives the original text."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from milmer_cli.csv_cells import csv_text, neutral_cell, original_cell
from milmer_cli.datasets.table import TableErrors, read_table

FORMULAS = [
    "=1+1", '=HYPERLINK("http://x","y")', "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", "\r=1",
    "-", "--1", "'=1", "''=1", "-1.5 x", "\n=1", "\uff1d1",
]  # fmt: skip
PLAIN = ["", "text", "-1.5", "+3", "-1e-3", "-inf", "'quoted'", "''", "a=b", "1-2", "s01"]


@pytest.mark.parametrize("text", FORMULAS)
def test_csv_text_neutralizes_formulas(text: str) -> None:
    (cells,) = csv.reader(io.StringIO(csv_text([[text, "other"]]), newline=""))
    assert cells[0][0] == "'"
    assert original_cell(cells[0]) == text


@pytest.mark.parametrize("text", PLAIN)
def test_csv_text_keeps_numbers_and_plain_text(text: str) -> None:
    assert neutral_cell(text) == text == original_cell(text)


def test_csv_text_keeps_other_types() -> None:
    assert csv_text([["name", "value"], ["-x", -1.5], ["b", -3], ["c", None]]) == (
        "name,value\n'-x,-1.5\nb,-3\nc,\n"
    )


def test_read_table_returns_the_original_text(tmp_path: Path) -> None:
    texts = [text for text in FORMULAS if text == text.strip()]
    rows = [(text, number) for number, text in enumerate(texts)]
    path = tmp_path / "a.csv"
    path.write_text(csv_text([("=name", "n"), *rows]), encoding="utf-8")
    table = read_table(TableErrors(path, ""), (("=name",),))
    assert [row.text("=name") for row in table] == texts
