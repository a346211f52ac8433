"""inspect writes a page with the counts, faces and EEG of a prepared store."""

from __future__ import annotations

import re
import shutil
import subprocess

import h5py
import pytest

from milmer_cli.datasets.synthetic import TRUTH_NAME, read_truth
from milmer_cli.errors import InputError
from milmer_cli.settings import load_settings
from milmer_cli.stages.inspect import inspect
from milmer_cli.store import PreparedParticipant, PreparedStore, write_index

pytestmark = pytest.mark.slow


def page_of(result):
    return result.page.read_text(encoding="utf-8")


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_inspect_counts_are_those_of_the_data_set(deap, prepared, tmp_path):
    result = inspect(str(prepared), str(tmp_path / "page.html"))
    truth = read_truth(deap / TRUTH_NAME)
    expected = dict.fromkeys(("HAHV", "LAHV", "LALV", "HALV"), 0)
    for participant in truth.participants:
        for trial in participant.trials:
            valence, arousal = (rating > 5 for rating in trial.ratings[:2])
            expected["H" * arousal + "L" * (not arousal) + "A" + "LH"[valence] + "V"] += 1
    assert result.trials_per_class == expected
    assert (len(result.participants), result.n_trials, result.n_segments) == (2, 6, 12)
    text = text_of(page_of(result))
    assert "s01 3 6" in text
    assert "32 channels at 128 Hz" in text


def test_inspect_shows_the_share_of_the_eye_artifacts(prepared, tmp_path):
    result = inspect(prepared, tmp_path / "page.html", load_settings())
    text = text_of(page_of(result))
    for name in ("s01", "s29"):
        with PreparedParticipant.open(prepared / f"{name}.h5") as participant:
            (variance,) = participant.notes["eog_variance"]
        assert result.to_json()["eog_variance"][name] == variance
        assert re.search(rf"{name} 3 6 [\d ]+ 100 % {100 * variance:.0f} % \d+ %", text)
        assert f"{100 * variance:.0f} % of the variance at Fp1" in text


def test_inspect_shows_one_segment_of_each_participant(prepared, tmp_path):
    page = page_of(inspect(prepared, tmp_path / "page.html", load_settings()))
    assert page.count('class="sample long"') == 2
    assert page.count('aria-label="EEG of s') == 2
    assert page.count('aria-label="Spectrum of s') == 2
    assert page.count("<img") + page.count('<div class="nothing">') == 2 * 2
    assert not re.search(r'(src|href)="(?!data:|#)', page), "the page must not need a network"


def test_inspect_trial_shows_all_its_segments_and_why_faces_are_missing(prepared, tmp_path):
    result = inspect(prepared, tmp_path / "page.html", load_settings(), participant="s29", trial=3)
    page = page_of(result)
    assert page.count('class="sample long"') == 2
    assert page.count('<div class="nothing">no video</div>') == 4
    assert page.count("<img") == 0


def test_inspect_rejects_an_unknown_participant_or_trial(prepared, tmp_path):
    for asked, match in (
        ({"participant": "s05"}, "no participant s05"),
        ({"trial": 9}, "no trial 9 of any participant"),
    ):
        with pytest.raises(InputError, match=match):
            inspect(prepared, tmp_path / "page.html", load_settings(), **asked)
    assert not (tmp_path / "page.html").exists()


def test_inspect_store_without_eeg(prepared, tmp_path):
    store = shutil.copytree(prepared, tmp_path / "store")
    for path in store.glob("*.h5"):
        with h5py.File(path, "r+") as file:
            file["eeg_found"][:] = False
    write_index(store, PreparedStore.open(prepared).settings, ["s01", "s29"])
    page = page_of(inspect(store, tmp_path / "page.html", load_settings()))
    assert page.count("no EEG") == 2
    assert 'aria-label="EEG' not in page


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
def test_inspect_page_opens_in_a_browser_without_errors(prepared, tmp_path):
    result = inspect(prepared, tmp_path / "page.html", load_settings())
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
    assert "How to read this page" in opened.stdout
