from __future__ import annotations

import numpy as np

from helpers import write_eeg_store
from milmer_cli.inspection.coverage import summarize_participant
from milmer_cli.inspection.inspect_store import _grouped
from milmer_cli.settings import load_settings
from milmer_cli.stages.inspect import inspect
from milmer_cli.store import Finding, PreparedStore, PreparedTrial

NOISE = np.random.default_rng(0).normal(0, 10, (1, 1, 128)).astype(np.float32)


def test_inspect_store_states_each_finding_once():
    findings = [
        Finding("warning", where, message, "")
        for where, message in (("s01", "No faces."), ("s02", "No EEG."), ("s03", "No faces."))
    ]
    assert list(_grouped(findings)) == ["s01, s03: No faces.", "s02: No EEG."]


def test_summarize_participant_counts_sessions_and_conditions(tmp_path):
    trials = [
        PreparedTrial(
            number, 1, (5.0,) * 4, np.zeros(1), NOISE, None,
            session=session, condition=condition,
        )
        for number, session, condition in ((1, "a", "x"), (2, "a", ""), (3, "b", "x"))
    ]  # fmt: skip
    store = PreparedStore.open(write_eeg_store(tmp_path, ["Cz"], {"s01": trials}))
    summary = summarize_participant(store.participant("s01"), np.zeros(3, int), ["low"])
    assert summary.sessions == {"a": 2, "b": 1}
    assert summary.conditions == {"x": 2, "": 1}


def test_inspect_page_names_sessions_and_conditions(tmp_path):
    trials = [
        PreparedTrial(
            number, 1, (6.0,) * 4, np.zeros(1), NOISE, None,
            session=f"day {number}", condition="Speaking",
        )
        for number in (1, 2)
    ]  # fmt: skip
    folder = write_eeg_store(tmp_path / "store", ["Cz"], {"s01": trials})
    result = inspect(folder, tmp_path / "page.html", load_settings())
    assert result.to_json()["sessions"] == {"s01": {"day 1": 1, "day 2": 1}}
    assert ("sessions", "2, several of 1 participants") in result.summary()
    assert ("conditions", "Speaking 2") in result.summary()
    page = (tmp_path / "page.html").read_text()
    assert "day 1 (1), day 2 (1)" in page
    assert "s01, session day 2, trial 2" in page or "s01, session day 1, trial 1" in page
