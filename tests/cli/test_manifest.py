"""`milmer manifest NAME` and `milmer prepare --NAME-root` of data sets in arrays."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.io

from helpers import read_mat_in_this_process
from milmer_cli.eeg.channels import GENEVA


@pytest.fixture
def eav(tmp_path, monkeypatch):
    """One participant with two trials of EEG, of which the second has no class."""
    read_mat_in_this_process(monkeypatch)
    folder = tmp_path / "EAV" / "subject1" / "EEG"
    folder.mkdir(parents=True)
    array = 15 * np.random.default_rng(0).standard_normal((2000, 30, 2))
    scipy.io.savemat(folder / "subject1_eeg.mat", {"seg": array})
    labels = np.zeros((10, 2))
    labels[5, 0] = 1
    scipy.io.savemat(folder / "subject1_eeg_label.mat", {"label": labels})
    return tmp_path / "EAV"


def test_manifest_check_prints_findings_as_json(milmer, eav):
    outcome = milmer("manifest", "eav", eav, "--check", "--json")
    document = json.loads(outcome.out)
    assert document["data_set"] == "EAV"
    assert not document["usable"]
    [participant] = document["participants"]
    assert participant == {
        "participant": "subject01", "trials": 2, "EEG": 2, "videos": 0, "Anger": 1
    }  # fmt: skip
    findings = "\n".join(document["findings"])
    assert "subject01 trial 2: The column of the label array is not one-hot" in findings
    assert "The names of the EEG channels are not documented" in findings
    [missing] = document["missing"]
    assert "numbers instead of names" in missing["why"]


def test_manifest_of_a_data_set_is_one_that_prepare_reads(milmer, eav):
    names = ";".join(GENEVA[:30])
    outcome = milmer("manifest", "eav", eav, "--eeg-channels", names, "--out", "trials.csv")
    assert outcome.code == 0, outcome.err
    outcome = milmer("prepare", "--manifest", "trials.csv", "--check", "--json")
    document = json.loads(outcome.out)
    assert document["usable"]
    assert document["channels"] == list(GENEVA[:30])
    assert document["participants"][0]["seconds"] == [4.0, 4.0]


def test_prepare_refuses_arrays_whose_channels_have_no_names(milmer, eav):
    outcome = milmer("prepare", "--eav-root", eav)
    assert outcome.code == 2
    assert "numbers instead of names" in outcome.err
    assert "Traceback" not in outcome.err
