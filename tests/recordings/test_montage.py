"""The channels of any cap: found by whatever name, and made where they are missing."""

from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.recordings.channels import GENEVA, TWENTE
from milmer_cli.recordings.eeg import CleanEeg
from milmer_cli.recordings.montage import canonical, fill_missing, head_places, match_channels


@pytest.mark.parametrize(
    ("file", "model"),
    [
        ("FP1", "Fp1"),
        ("T3", "T7"),
        ("T8", "T4"),
        ("EEG T5-LE", "P7"),
        ("EEG C3-(A1+A2)/2", "C3"),
        ("EEG:Oz-Ref", "Oz"),
        ("Fc5.", "FC5"),
        (" cz ", "Cz"),
        ("POL Fp1", "Fp1"),
        ("Fp1-Ref(A1+A2)", "Fp1"),
        ("EEG AF3-Ref(A1+A", "AF3"),  # EDF cuts a label after 16 letters
    ],
)
def test_one_electrode_has_many_names(file, model):
    assert match_channels([model], [file], "x").found == {model: file}


@pytest.mark.parametrize(("file", "model"), [("C3-C4", "C3"), ("Fp1-F7", "Fp1"), ("A1", "Fp1")])
def test_another_signal_is_not_taken_for_an_electrode(file, model):
    match = match_channels([model], [file], "x")
    assert (match.missing, match.extra) == ((model,), (file,))


def test_a_reference_that_all_channels_share_is_left_out():
    names = ("Fp1", "Fp2", "C3", "C4")
    match = match_channels(names, [f"{name}-CPz" for name in names], "x")
    assert match.found == {name: f"{name}-CPz" for name in names}
    bipolar = ["Fp1-F7", "F7-T7", "T7-P7", "P7-O1", "Fp2-F7"]
    assert match_channels(["Fp1", "T7"], bipolar, "x").found == {}


def test_a_channel_that_is_there_twice_is_told():
    with pytest.raises(InputError, match=r"Fp1 is there 2 times in x \(read as Fp1-0, Fp1-1\)"):
        match_channels(["Fp1", "Fp2"], ["Fp1-0", "Fp1-1", "Fp2"], "x")


def test_numbered_caps_of_biosemi_are_known_by_their_places():
    match = match_channels(GENEVA, [f"A{number}" for number in range(1, 33)], "x")
    assert match.found["Cz"] == "A32"
    assert {wanted: TWENTE[int(name[1:]) - 1] for wanted, name in match.found.items()} == {
        name: name for name in GENEVA
    }


def test_only_other_names_are_told_and_an_exact_name_wins():
    match = match_channels(["T7", "Fp1"], ["T3", "T7", "EEG FP1"], "x")
    assert match.found == {"T7": "T7", "Fp1": "EEG FP1"}
    assert match.renamed == {}
    assert match_channels(["T7"], ["T3"], "x").renamed == {"T7": "T3"}
    with pytest.raises(InputError, match="more than one channel that could be Oz: Oz-A1, Oz-A2"):
        match_channels(["Oz"], ["Oz-A1", "Oz-A2"], "file.edf")


def test_a_missing_channel_is_made_from_its_neighbours():
    """A smooth field over the head: what is interpolated is close to what was there."""
    places = head_places(GENEVA)
    time = np.arange(256) / 128
    field = places[:, :1] * np.sin(2 * np.pi * 3 * time) + places[:, 1:] * np.cos(9 * time)
    field = 20 * (field - field.mean(axis=0))
    kept = [name for name in GENEVA if name not in ("FC1", "PO4")]
    rows = [GENEVA.index(name) for name in kept]
    part = field[rows] - field[rows].mean(axis=0)
    eeg = fill_missing(CleanEeg(part, 128.0, tuple(kept), {0: 0.0}), GENEVA)
    assert eeg.channels == GENEVA
    assert eeg.interpolated == ("FC1", "PO4")
    assert np.abs(eeg.data.mean(axis=0)).max() < 1e-9
    for name in ("FC1", "PO4", "Cz"):
        row = GENEVA.index(name)
        assert np.std(eeg.data[row] - field[row]) < 0.15 * field.std()


def test_nothing_missing_only_the_order_changes():
    data = np.arange(6.0).reshape(3, 2)
    eeg = fill_missing(CleanEeg(data, 128.0, ("a", "b", "c"), {}), ("c", "a", "b"))
    assert eeg.data[:, 0].tolist() == [4.0, 0.0, 2.0]


def test_a_channel_of_unknown_place_cannot_be_made():
    eeg = CleanEeg(np.ones((2, 4)), 128.0, ("Fz", "Cz"), {})
    with pytest.raises(InputError, match="lacks E17, and where these electrodes lie is not known"):
        fill_missing(eeg, ("Fz", "Cz", "E17"))


def test_electrodes_lie_where_a_clinician_expects_them():
    places = dict(zip(GENEVA, head_places(GENEVA), strict=True))
    assert np.hypot(*places["Cz"]) < 0.1
    assert places["Fz"][1] > 0.3
    assert places["Oz"][1] < -0.8
    assert places["T7"][0] < -0.9
    assert places["T8"][0] > 0.9
    assert np.isnan(head_places(["E17"])).all()


def test_old_and_new_names_are_one():
    assert canonical("EEG T6-REF") == canonical("p8")
