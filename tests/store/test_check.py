"""A sound store has no findings; each kind of damage has its own. The ledger tells every face."""

import csv

import h5py
import numpy as np
import pytest

from milmer_cli.store import PreparedStore, check_store, write_index, write_participant
from milmer_cli.store.ledger import write_ledger


def test_a_sound_store_has_no_errors(store):
    assert [finding for finding in check_store(store) if finding.severity == "error"] == []


@pytest.fixture
def damage(store):
    def apply(how):
        with h5py.File(store / "s01.h5", "r+") as file:
            how(file)
        write_index(store, {}, ["s01", "s02"])
        return [f for f in check_store(store) if f.severity == "error" and "s01" in f.where]

    return apply


@pytest.mark.parametrize(
    ("how", "where", "what"),
    [
        (lambda f: f["eeg"].__setitem__((0, 0, 5), np.inf), "segment 0", "not numbers"),
        (lambda f: f["eeg"].__setitem__((5, 0, 5), 1.0), "segment 5", "marked missing"),
        (lambda f: f["stimulus"].__setitem__(1, 7), "trial 1", "one stimulus"),
        (lambda f: f["trial"].__setitem__(1, 3), "trial 1", "one run"),
        (lambda f: f["faces/encoded"].__setitem__(slice(0, 60), 0), "s01", "cannot be decoded"),
    ],
)
def test_each_damage_is_found_where_it_is(damage, how, where, what):
    findings = damage(how)

    assert any(where in f.where and what in f.what for f in findings), findings
    assert all(f.fix for f in findings)


def test_a_file_changed_behind_the_index_is_found(store):
    with h5py.File(store / "s01.h5", "r+") as file:
        file["eeg"][0, 0, 0] += 1

    assert any("not as it was made" in finding.what for finding in check_store(store))
    assert check_store(store, deep=False) == [
        f for f in check_store(store, deep=False) if f.severity == "warning"
    ]


def test_flat_and_wild_channels_are_warned_of(tmp_path, header, trials):
    eeg = trials[0].eeg.copy()
    eeg[:, 0] = 0
    eeg[:, 1] *= 1e6  # volts taken for microvolts
    trial = type(trials[0])(1, 1, (5, 5, 5, 5), trials[0].onset, eeg, trials[0].faces)
    write_participant(tmp_path / "s01.h5", header("s01"), [trial])
    write_index(tmp_path, {}, ["s01"])

    wheres = [finding.where for finding in check_store(tmp_path)]

    assert wheres == ["s01, channel Fp1", "s01, channel Cz"]


def test_a_missing_store_is_a_finding_and_no_crash(tmp_path):
    [finding] = check_store(tmp_path / "nothing")
    assert finding.severity == "error"


def test_the_ledger_has_a_row_a_face_and_a_row_a_trial(store, trials):
    faces_csv, trials_csv = write_ledger(PreparedStore.open(store))
    with faces_csv.open(newline="") as file:
        faces = list(csv.DictReader(file))
    with trials_csv.open(newline="") as file:
        coverage = list(csv.DictReader(file))

    assert len(faces) == 2 * 3 * 4 * 3
    second = faces[13]  # trial 2, segment 0, instance 1
    assert (second["participant"], second["trial"], second["segment"]) == ("s01", "2", "0")
    assert second["found"] == str(int(trials[1].faces.found[0, 1]))
    assert second["reason"] == trials[1].faces.reason[0, 1]
    assert float(second["time_s"]) == pytest.approx(trials[1].faces.time[0, 1])
    first = faces[0]
    assert [float(first[edge]) for edge in ("left", "top", "right", "bottom")] == list(
        trials[0].faces.box[0, 0]
    )
    assert [row["face_coverage"] for row in coverage[:3]] == ["0.7500", "0.7500", "0.0000"]
    assert coverage[0]["reasons"] == "another face: 1; no face: 2"
    assert coverage[2]["reasons"] == "no video: 12"
    assert coverage[1]["eeg_segments"] == "0"
