"""inspect: the page says what is in the store, and shows it."""

from __future__ import annotations

import re
import shutil
import subprocess

import h5py
import pytest

from milmer_cli.demo import DemoTruth
from milmer_cli.errors import InputError
from milmer_cli.settings import load_settings
from milmer_cli.stages.inspect import inspect


def page_of(result):
    return result.page.read_text(encoding="utf-8")


def words(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_counts_are_those_of_the_data_set(deap, whole, tmp_path):
    result = inspect(whole, tmp_path / "page.html", load_settings())
    truth = DemoTruth.load(deap)
    planned = dict.fromkeys(("HAHV", "LAHV", "LALV", "HALV"), 0)
    for who in truth.participants:
        for trial in who.trials:
            valence, arousal = (rating > 5 for rating in trial.ratings[:2])
            planned["H" * arousal + "L" * (not arousal) + "A" + "LH"[valence] + "V"] += 1
    assert result.classes == planned
    assert (result.participants, result.trials, result.segments) == (2, 6, 12)
    told = words(page_of(result))
    assert "s01 3 6" in told
    assert "32 channels at 128 Hz" in told


def test_one_segment_of_each_participant_with_faces_eeg_and_spectrum(whole, tmp_path):
    page = page_of(inspect(whole, tmp_path / "page.html", load_settings()))
    assert page.count('class="sample long"') == 2
    assert page.count('aria-label="EEG of s') == 2
    assert page.count('aria-label="Spectrum of s') == 2
    assert page.count("<img") + page.count('<div class="nothing">') == 2 * 2
    assert not re.search(r'(src|href)="(?!data:|#)', page), "it needs no network"


def test_a_trial_is_shown_whole_and_what_is_missing_is_said(whole, tmp_path):
    result = inspect(whole, tmp_path / "page.html", load_settings(), participant="s29", trial=3)
    page = page_of(result)
    assert page.count('class="sample long"') == 2
    assert page.count('<div class="nothing">no video</div>') == 4
    assert page.count("<img") == 0


def test_who_or_what_is_not_there_is_an_error(whole, tmp_path):
    for asked, match in (
        ({"participant": "s05"}, "no participant s05"),
        ({"trial": 9}, "no trial 9 of any participant"),
    ):
        with pytest.raises(InputError, match=match):
            inspect(whole, tmp_path / "page.html", load_settings(), **asked)
    assert not (tmp_path / "page.html").exists()


def test_a_store_without_eeg_can_be_looked_at(whole, tmp_path):
    store = shutil.copytree(whole, tmp_path / "store")
    for path in store.glob("*.h5"):
        with h5py.File(path, "r+") as file:
            file["eeg_found"][:] = False
    page = page_of(inspect(store, tmp_path / "page.html", load_settings()))
    assert page.count("no EEG") == 2
    assert 'aria-label="EEG' not in page


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium here")
def test_a_browser_opens_the_page_without_complaint(whole, tmp_path):
    result = inspect(whole, tmp_path / "page.html", load_settings())
    flags = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
        *(f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--dump-dom"),
    ]
    opened = subprocess.run(
        [shutil.which("chromium"), *flags, result.page.as_uri()],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert not re.search(r"CONSOLE|Refused to", opened.stderr)
    assert "How to read this" in opened.stdout
