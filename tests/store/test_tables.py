"""coverage.csv."""

from helpers import read_csv
from milmer_cli.store import PreparedStore
from milmer_cli.store.tables import COVERAGE_COLUMNS, write_coverage


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
    assert (rows[0]["median_score"], rows[2]["median_score"]) == ("0.5", "")
