"""A valid store has no errors; every kind of damage has its own finding."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from milmer_cli.store import validate_store, write_index, write_participant


def test_validate_store_valid(store):
    assert [finding for finding in validate_store(store) if finding.severity == "error"] == []


@pytest.fixture
def damage(store):
    def apply(how):
        with h5py.File(store / "s01.h5", "r+") as file:
            how(file)
        write_index(store, {}, ["s01", "s02"])
        return [f for f in validate_store(store) if f.severity == "error" and "s01" in f.where]

    return apply


@pytest.mark.parametrize(
    ("how", "where", "message"),
    [
        (lambda f: f["eeg"].__setitem__((0, 0, 5), np.inf), "segment 0", "NaN or infinity"),
        (lambda f: f["eeg"].__setitem__((5, 0, 5), 1.0), "segment 5", "marked as missing"),
        (lambda f: f["stimulus"].__setitem__(1, 7), "trial 1", "one stimulus"),
        (lambda f: f["trial"].__setitem__(1, 3), "trial 1", "consecutive segments"),
        (lambda f: f["faces/encoded"].__setitem__(slice(0, 60), 0), "s01", "cannot be decoded"),
    ],
)
def test_validate_store_finds_damage(damage, how, where, message):
    findings = damage(how)

    assert any(where in f.where and message in f.message for f in findings), findings
    assert all(f.hint for f in findings)


def test_validate_store_changed_file(store):
    with h5py.File(store / "s01.h5", "r+") as file:
        file["eeg"][0, 0, 0] += 1

    assert any(
        "has changed since it was prepared" in finding.message for finding in validate_store(store)
    )
    assert validate_store(store, deep=False) == [
        f for f in validate_store(store, deep=False) if f.severity == "warning"
    ]


def test_validate_store_with_an_index_without_digests(store):
    index = json.loads((store / "index.json").read_text())
    for entry in index["participants"].values():
        del entry["sha256"]
    (store / "index.json").write_text(json.dumps(index))
    assert any("has changed since" in finding.message for finding in validate_store(store))


def test_validate_store_implausible_channels(tmp_path, header, trials):
    eeg = trials[0].eeg.copy()
    eeg[:, 0] = 0
    eeg[:, 1] *= 1e6  # a wrong unit
    trial = type(trials[0])(1, 1, (5, 5, 5, 5), trials[0].onset, eeg, trials[0].faces)
    write_participant(tmp_path / "s01.h5", header("s01"), [trial])
    write_index(tmp_path, {}, ["s01"])

    wheres = [finding.where for finding in validate_store(tmp_path)]

    assert wheres == ["s01, channel Fp1", "s01, channel Cz"]


def test_validate_store_missing_store(tmp_path):
    [finding] = validate_store(tmp_path / "missing")
    assert finding.severity == "error"


def test_validate_store_finds_a_trial_of_two_sessions(store, header, trials):
    write_participant(store / "s02.h5", header("s02"), [replace(trials[0], session="a"), trials[1]])
    with h5py.File(store / "s02.h5", "r+") as file:
        file["session"][2] = "b"
    write_index(store, {"eeg": {"sfreq_hz": 128.0}}, ["s01", "s02"])
    (finding,) = [f for f in validate_store(store, deep=False) if f.severity == "error"]
    assert finding.where == "s02, trial 1"
    assert finding.message == "Its rows have different sessions: a, b."
