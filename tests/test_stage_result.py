"""How results look in a Python session and in a notebook."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from milmer_cli.prediction.batch import BatchResult, SummaryRow
from milmer_cli.prediction.result import ModelSummary
from milmer_cli.stage_result import StageResult

PACKAGE = Path(__file__).parents[1] / "milmer_cli"


@pytest.fixture
def result():
    row = SummaryRow(video="", eeg="", error="a <b> & c")
    model = ModelSummary(name="run", test_score="")
    return BatchResult(Path("out/<i>"), {"<script>": row}, (), ("LV", "HV"), model)


def test_repr_is_one_short_line(result):
    assert repr(result) == "<BatchResult | recordings: 0 predicted>"


def test_html_has_all_rows_and_escapes_their_text(result):
    html = result._repr_html_()
    assert html.startswith("<table><caption>BatchResult</caption><tr>")
    assert html.count("<tr>") == len(result.summary()) == 5
    assert "&lt;script&gt;; the same command" in html
    assert str(Path("out/&lt;i&gt;/summary.csv")) in html
    assert "<script>" not in html
    assert "<i>" not in html


def results() -> dict[str, ast.ClassDef]:
    """Classes that have both methods of a result."""
    classes = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                methods = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
                rows = methods.get("summary")
                if "to_json" in methods and rows and not rows.decorator_list:
                    classes[node.name] = node
    return {name: node for name, node in classes.items() if name != StageResult.__name__}


@pytest.mark.slow
def test_every_result_keeps_the_repr_of_stage_result():
    assert {"PrepareResult", "TrainResult", "EvaluateResult", "PredictResult"} <= set(results())
    for name, node in results().items():
        if name != "StimulusTiming":  # rows of a page, not a result
            assert "StageResult" in map(ast.unparse, node.bases), name
            assert "repr=False" in ast.unparse(node.decorator_list[0]), name
