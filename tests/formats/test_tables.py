"""docs/formats.md lists the columns of every CSV table that Milmer writes."""

import re
from pathlib import Path

import pytest

from milmer_cli.prediction.batch import summary_columns
from milmer_cli.prediction.output import timeline_columns
from milmer_cli.reports.evaluation_output import prediction_columns
from milmer_cli.reports.finetune_output import SKIPPED_COLUMNS
from milmer_cli.store.tables import COVERAGE_COLUMNS
from milmer_cli.training.history import COLUMNS as HISTORY_COLUMNS

DOCS = Path(__file__).parents[2] / "docs"
TABLES = {
    "coverage.csv of a store": COVERAGE_COLUMNS,
    "history.csv of a run and of a fine-tuning": HISTORY_COLUMNS,
    "skipped.csv of a fine-tuning": SKIPPED_COLUMNS,
    "predictions.csv and predictions-others.csv of an evaluation": prediction_columns(
        ["CLASS"], ["session", "condition"]
    ),
    "summary.csv of predictions of a manifest": summary_columns(["CLASS"]),
    "Columns of timeline.csv": timeline_columns(["CLASS"]),
}


def documented_columns(heading: str) -> set[str]:
    page = "predict" if heading.startswith("Columns") else "formats"
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    section = re.split(rf"^##+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
    section = re.split(r"^##", section, flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([\w.]+)`", cell)}


@pytest.mark.parametrize("heading", TABLES)
def test_page_lists_the_columns_of(heading):
    documented = {name.replace("p_...", "p_CLASS") for name in documented_columns(heading)}
    assert documented == set(TABLES[heading])
