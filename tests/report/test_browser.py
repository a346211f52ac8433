from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from milmer_cli.report.html import evaluation_page, prediction_page, write_page

CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("kind", ["evaluation", "prediction"])
def test_a_browser_opens_the_page_without_complaint(kind, report, prediction_of, tmp_path):
    page = evaluation_page(report) if kind == "evaluation" else prediction_page(prediction_of())
    write_page(tmp_path / "report.html", page)
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
    opened = subprocess.run(
        [CHROMIUM, *flags, (tmp_path / "report.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert not re.search(r"CONSOLE|Refused to", opened.stderr)
    text = re.sub(r"<[^>]+>", "", opened.stdout)
    assert "How to read this" in text
    if kind == "evaluation":
        for result in report.results:
            assert f"{100 * result.scores.segment['accuracy'].value:.1f} %" in text
    else:
        assert opened.stdout.count("<img") == 10
