"""The page in a browser: it opens without complaint and shows what metrics.json holds."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import pytest

from milmer_cli.stages.evaluate import evaluate

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome")
     if (found := shutil.which(name))),
    None,
)  # fmt: skip


@pytest.fixture(scope="module")
def shown(tmp_path_factory, prepared, asked):
    """metrics.json, what a browser makes of the page, and what it said on the way."""
    out = tmp_path_factory.mktemp("page")
    settings = asked("evaluate.protocols=[segment,trial]", "evaluate.seeds=2")
    evaluate(prepared, out, settings)
    opened = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
            "--enable-logging=stderr",
            "--dump-dom",
            (out / "report.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    text = html.unescape(re.sub(r"<[^>]+>", " ", opened.stdout))
    metrics = json.loads((out / "metrics.json").read_text())
    return metrics, " ".join(text.split()), opened.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_opens_it_and_finds_the_numbers_of_the_metrics(shown):
    metrics, text, said = shown
    assert not re.search(r"CONSOLE|Refused to|ERR_", said)
    for protocol, found in metrics["protocols"].items():
        assert found["headline"] in text
        assert ("LEAKY" in found["headline"]) == (protocol == "segment")
        for level in ("segment", "trial"):
            accuracy = found["scores"][level]["accuracy"]
            shown_as = f"{100 * accuracy['value']:.1f} %"
            interval = f"{100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f}"
            assert f"{shown_as} {interval}" in text
        for fold in found["folds"]:
            assert f"{100 * fold['accuracy']:.1f} %" in text
        chance = found["scores"]["chance"]
        assert f"{100 * chance['low']:.1f} to {100 * chance['high']:.1f} %" in text
    main = metrics["protocols"]["trial"]
    for one in main["comparisons"]:
        assert one["sentence"] in text
        assert f"{100 * one['difference']:+.1f} points" in text
    for name, scores in [*main["models"].items(), *main["missing_modality"].items()]:
        accuracy = scores["segment"]["accuracy"]
        cell = f"{100 * accuracy['value']:.1f} % ({100 * accuracy['low']:.1f} to"
        assert f"{name} {cell}" in text
    for one in main["probes"]:
        assert f"the {one['target']} {one['features']} trial {100 * one['accuracy']:.1f} %" in text
    for seed, value in main["accuracy_by_seed"].items():
        assert f"{100 * value:.1f} % ({seed})" in text
    for lines in metrics["readings"].values():
        assert all(line in text for line in lines)
    assert metrics["store_fingerprint"] in text
    assert "How to read this" in text
