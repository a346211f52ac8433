from __future__ import annotations

import re
import subprocess

import pytest

from helpers import CHROMIUM
from milmer_cli.io import atomic_write
from milmer_cli.reports.evaluation import evaluation_page
from milmer_cli.reports.prediction import prediction_page


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("kind", ["evaluation", "prediction"])
def test_page_opens_in_a_browser_without_errors(kind, evaluation, prediction_of, tmp_path):
    page = evaluation_page(evaluation) if kind == "evaluation" else prediction_page(prediction_of())
    atomic_write(tmp_path / "report.html", page)
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--enable-logging=stderr",
        "--window-size=390,900",
        "--dump-dom",
    ]
    process = subprocess.run(
        [CHROMIUM, *flags, (tmp_path / "report.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert not re.search(r"CONSOLE|Refused to", process.stderr)
    text = re.sub(r"<[^>]+>", "", process.stdout)
    assert "How to read" in text
    if kind == "evaluation":
        for result in evaluation.protocols:
            assert f"{100 * result.scores.accuracy.value:.1f} %" in text
    else:
        assert process.stdout.count("<img") == 10
