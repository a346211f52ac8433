"""coverage.csv."""

from dataclasses import replace

from helpers import read_csv
from milmer_cli.store import PreparedStore, write_index, write_participant
from milmer_cli.store.tables import COVERAGE_COLUMNS, write_coverage

SETTINGS = {"eeg": {"sfreq_hz": 128.0}}


def test_write_coverage_has_a_row_per_trial(store):
    rows = read_csv(write_coverage(PreparedStore.open(store)))

    assert tuple(rows[0]) == COVERAGE_COLUMNS
    assert [(row["participant"], row["trial"]) for row in rows] == [
        (participant, trial) for participant in ("s01", "s02") for trial in ("1", "2", "3")
    ]
    assert [row["face_coverage"] for row in rows[:3]] == ["0.7500", "0.7500", "0.0000"]
    assert rows[0]["reason"] == "another face: 1; no face: 2"
    assert rows[2]["reason"] == "no video: 12"
    assert rows[1]["eeg_segments"] == "0"
    assert (rows[0]["session"], rows[0]["condition"]) == ("", "")
    assert (rows[0]["median_score"], rows[2]["median_score"]) == ("0.5", "")


def test_write_coverage_states_session_and_condition(store, header, trials):
    named = [replace(trials[0], session="ses2", condition="Speaking"), *trials[1:]]
    write_participant(store / "s02.h5", header("s02"), named)
    write_index(store, SETTINGS, ["s01", "s02"])
    rows = read_csv(write_coverage(PreparedStore.open(store)))
    stated = [(row["session"], row["condition"]) for row in rows]
    assert stated == [("", "")] * 3 + [("ses2", "Speaking")] + [("", "")] * 2
