from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers import preprocessed_eeg
from milmer_cli.eeg.channels import GENEVA, TWENTE
from milmer_cli.eeg.montage import (
    canonical_name,
    head_positions,
    interpolate_missing_channels,
    interpolation_matrix,
    match_channels,
)
from milmer_cli.errors import InputError


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
def test_match_channels_ignores_spelling_and_reference(file, model):
    assert match_channels([model], [file], "x").found == {model: file}


@pytest.mark.parametrize(("file", "model"), [("C3-C4", "C3"), ("Fp1-F7", "Fp1"), ("A1", "Fp1")])
def test_match_channels_rejects_bipolar_and_reference_channels(file, model):
    match = match_channels([model], [file], "x")
    assert (match.missing, match.extra) == ((model,), (file,))


def test_match_channels_removes_a_common_reference():
    names = ("Fp1", "Fp2", "C3", "C4")
    match = match_channels(names, [f"{name}-CPz" for name in names], "x")
    assert match.found == {name: f"{name}-CPz" for name in names}
    bipolar = ["Fp1-F7", "F7-T7", "T7-P7", "P7-O1", "Fp2-F7"]
    assert match_channels(["Fp1", "T7"], bipolar, "x").found == {}


def test_match_channels_duplicate_is_an_error():
    with pytest.raises(
        InputError, match=r"x has 2 channels named Fp1 \(MNE lists them as Fp1-0, Fp1-1\)"
    ):
        match_channels(["Fp1", "Fp2"], ["Fp1-0", "Fp1-1", "Fp2"], "x")


def test_match_channels_biosemi_labels():
    match = match_channels(GENEVA, [f"A{number}" for number in range(1, 33)], "x")
    assert match.found["Cz"] == "A32"
    assert {wanted: TWENTE[int(name[1:]) - 1] for wanted, name in match.found.items()} == {
        name: name for name in GENEVA
    }


def test_match_channels_prefers_the_exact_name_and_lists_synonyms():
    match = match_channels(["T7", "Fp1"], ["T3", "T7", "EEG FP1"], "x")
    assert match.found == {"T7": "T7", "Fp1": "EEG FP1"}
    assert match.renamed == {}
    assert match_channels(["T7"], ["T3"], "x").renamed == {"T7": "T3"}
    with pytest.raises(InputError, match="more than one channel that could be Oz: Oz-A1, Oz-A2"):
        match_channels(["Oz"], ["Oz-A1", "Oz-A2"], "file.edf")


def test_interpolate_missing_channels_recovers_a_smooth_field():
    """A smooth field over the head: the interpolated channels are close to the true ones."""
    positions = head_positions(GENEVA)
    time = np.arange(256) / 128
    field = positions[:, :1] * np.sin(2 * np.pi * 3 * time) + positions[:, 1:] * np.cos(9 * time)
    field = 20 * (field - field.mean(axis=0))
    kept = [name for name in GENEVA if name not in ("FC1", "PO4")]
    rows = [GENEVA.index(name) for name in kept]
    part = field[rows] - field[rows].mean(axis=0)
    eeg = interpolate_missing_channels(preprocessed_eeg(part, 128.0, tuple(kept), {0: 0.0}), GENEVA)
    assert eeg.channels == GENEVA
    assert eeg.interpolated == ("FC1", "PO4")
    assert np.abs(eeg.data.mean(axis=0)).max() < 1e-9
    for name in ("FC1", "PO4", "Cz"):
        row = GENEVA.index(name)
        assert np.std(eeg.data[row] - field[row]) < 0.15 * field.std()


def test_interpolation_matrix_equals_interpolation_of_the_missing_channels():
    missing = ("Fp1", "Cz", "O2")
    data = np.random.default_rng(0).normal(size=(32, 50))
    data -= data.mean(axis=0)
    present = [name for name in GENEVA if name not in missing]
    rows = [GENEVA.index(name) for name in present]
    expected = interpolate_missing_channels(
        preprocessed_eeg(data[rows], 128.0, tuple(present), {}), GENEVA
    ).data
    matrix = interpolation_matrix(GENEVA, missing)
    np.testing.assert_allclose(matrix @ data, expected, atol=1e-9)
    columns = [GENEVA.index(name) for name in missing]
    np.testing.assert_allclose(matrix[:, columns], 0, atol=1e-12)
    np.testing.assert_allclose(interpolation_matrix(GENEVA, ()) @ data, data, atol=1e-9)
    assert interpolation_matrix(("Fz", "X1", "X2"), ("X2",)) is None


def test_interpolate_missing_channels_only_sorts_if_none_is_missing():
    data = np.arange(6.0).reshape(3, 2)
    eeg = interpolate_missing_channels(
        preprocessed_eeg(data, 128.0, ("a", "b", "c"), {}), ("c", "a", "b")
    )
    assert eeg.data[:, 0].tolist() == [4.0, 0.0, 2.0]


def test_interpolate_missing_channels_unknown_position_is_an_error():
    eeg = preprocessed_eeg(np.ones((2, 4)), 128.0, ("Fz", "Cz"), {})
    with pytest.raises(
        InputError, match="lacks E17, and the positions of these electrodes are not"
    ):
        interpolate_missing_channels(eeg, ("Fz", "Cz", "E17"))


def test_head_positions_of_known_electrodes():
    positions = dict(zip(GENEVA, head_positions(GENEVA), strict=True))
    assert np.hypot(*positions["Cz"]) < 0.1
    assert positions["Fz"][1] > 0.3
    assert positions["Oz"][1] < -0.8
    assert positions["T7"][0] < -0.9
    assert positions["T8"][0] > 0.9
    assert np.isnan(head_positions(["E17"])).all()


def test_canonical_name_of_synonyms_is_equal():
    assert canonical_name("EEG T6-REF") == canonical_name("p8")


def test_interpolate_missing_channels_marks_and_sorts_the_bad_windows():
    """A bad channel that was kept is not a source of the missing one."""
    kept = [name for name in GENEVA[::-1] if name != "Cz"]
    field = np.ones((31, 512)) * np.sin(np.arange(512) / 9)
    bad = np.zeros((31, 4), bool)
    bad[kept.index("C3"), 1] = True
    data = field.copy()
    data[kept.index("C3"), 128:256] = 1e6
    eeg = replace(preprocessed_eeg(data, 128.0, tuple(kept), {}), bad=bad)
    result = interpolate_missing_channels(eeg, GENEVA)
    assert result.bad[GENEVA.index("Cz")].all()
    assert result.interpolated_windows[GENEVA.index("Cz")].all()
    assert result.bad[GENEVA.index("C3")].tolist() == [False, True, False, False]
    assert (result.bad.sum(), result.interpolated_windows.sum()) == (5, 4)
    assert np.abs(np.delete(result.data, GENEVA.index("C3"), axis=0)).max() < 1e-3
