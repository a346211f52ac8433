from __future__ import annotations

import mne
import numpy as np
import pytest

from milmer_cli.eeg.channels import (
    BIOSEMI_128,
    GENEVA,
    average_reference,
    find_electrodes,
)
from milmer_cli.eeg.io import EegBlock, ReadOptions, open_eeg, raw_from_microvolts
from milmer_cli.eeg.montage import match_channels, select_electrodes
from milmer_cli.eeg.preprocess import preprocess_eeg
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import EegSettings

SETTINGS = EegSettings(eog_correction="none", bad_channels="keep", notch_hz=0.0)


@pytest.mark.parametrize(
    ("name", "electrode"),
    [
        ("EEG Fp1-Ref", "Fp1"),
        ("1-Fp1", "Fp1"),
        ("EEG 12-O2 (µV)", "O2"),
        ("Fp1 [uV]", "Fp1"),
        ("EEGFp1", "Fp1"),
        ("EEG.AF3", "AF3"),
        ("Fp1.", "Fp1"),
        ("FP1", "FP1"),
        ("T3", "T3"),
    ],
)
def test_find_electrodes_accepts_usual_spellings(name, electrode):
    assert find_electrodes([name]).electrodes == {name: electrode}


@pytest.mark.parametrize(
    "name",
    ["CQ_AF3", "COUNTER", "GYROX", "BATTERY", "TRIGGER", "ECG", "Resp", "EEG1", "EXG Channel 0"],
)
def test_find_electrodes_leaves_out_other_channels(name):
    found = find_electrodes([name, "Fp1"])
    assert (found.electrodes, found.other) == ({"Fp1": "Fp1"}, (name,))


def test_find_electrodes_separates_bipolar_channels_from_a_common_reference():
    chain = ["Fp1-F7", "EEG F7-T7", "T7-P7", "A1-A2"]
    assert find_electrodes(chain).bipolar == tuple(chain)
    common = [f"{name}-Cz" for name in GENEVA[:8]]
    assert list(find_electrodes(common).electrodes.values()) == list(GENEVA[:8])


def test_find_electrodes_a1_is_an_ear_unless_the_file_has_a3():
    assert set(find_electrodes(["A1", "A2", "Cz"]).electrodes) == {"A1", "A2", "Cz"}
    assert find_electrodes(["A1", "A2", "A3", "Cz"]).electrodes == {"Cz": "Cz"}


@pytest.mark.parametrize("names", [["T3", "T7"], ["Fp1-0", "Fp1-1"], ["EEG Fp1", "1-Fp1"]])
def test_require_unique_rejects_two_channels_of_one_electrode(names):
    with pytest.raises(InputError, match=f"x has 2 channels of one electrode: {names[0]}"):
        find_electrodes([*names, "Cz"]).require_unique("x")


@pytest.mark.parametrize(
    ("names", "applied", "note"),
    [
        (GENEVA[:8], True, ""),
        ([f"{name}-CPz" for name in GENEVA[:8]], True, ""),
        (GENEVA[:7], False, "7 electrodes, fewer than 8"),
        (
            [f"{one}-Fz" for one in GENEVA[:4]] + ["F7-T7", "T7-P7", "C3-Cz", "P7-O1"],
            False,
            "bipol",
        ),
    ],
)
def test_preprocess_eeg_average_reference_needs_enough_unipolar_channels(names, applied, note):
    assert average_reference(names)[0] is applied
    data = np.random.default_rng(0).normal(0, 20, (len(names), 2560))
    result = preprocess_eeg(EegBlock(raw_from_microvolts(data, 256.0, names), {}), SETTINGS)
    assert bool(np.abs(result.data.mean(axis=0)).max() < 1e-9) is applied
    assert any(note in text for text in result.notes) is bool(note)


def test_match_channels_biosemi_64_by_position_in_the_cap():
    cap = mne.channels.make_standard_montage("biosemi64").ch_names
    labels = [f"{letter}{number}" for letter in "AB" for number in range(1, 33)]
    match = match_channels(cap, labels, "x")
    assert match.found == dict(zip(cap, labels, strict=True))
    assert list(find_electrodes(labels).electrodes.values()) == cap


def test_match_channels_biosemi_128_by_the_nearest_electrode():
    match = match_channels(GENEVA, [*BIOSEMI_128, "EXG1"], "x")
    # BioSemi's documentation of the cap: A1 is Cz, A19 Pz, A23 Oz, C21 Fz, D19 C3, B22 C4
    expected = {"Cz": "A1", "Pz": "A19", "Oz": "A23", "Fz": "C21", "C3": "D19", "C4": "B22"}
    assert {name: match.found[name] for name in expected} == expected
    assert match.missing == ()
    assert len(set(match.found.values())) == 32
    assert len(find_electrodes([*BIOSEMI_128, "EXG1"]).electrodes) == 128


def test_select_electrodes_biosemi_128_interpolates_at_the_positions_of_the_cap():
    """A flat A2 (a parietal electrode, not an ear) is interpolated from its neighbors."""
    positions = mne.channels.make_standard_montage("biosemi128").get_positions()["ch_pos"]
    sources = np.random.default_rng(1).normal(0, 20, (3, 2560))
    data = np.array([positions[name] for name in BIOSEMI_128]) * 10 @ sources
    clean = data.copy()
    data[1] = 0.0
    settings = SETTINGS.model_copy(update={"bad_channels": "interpolate"})
    results = []
    for signals, own in ((clean, SETTINGS), (data, settings)):
        raw = raw_from_microvolts(signals, 256.0, BIOSEMI_128)
        select_electrodes(raw, match_channels(BIOSEMI_128, BIOSEMI_128, "x"))
        results.append(preprocess_eeg(EegBlock(raw, {}), own, BIOSEMI_128))
    assert results[1].interpolated == ("A2",)
    error = np.std(results[1].data[1] - results[0].data[1]) / np.std(results[0].data[1])
    assert error < 0.1


def test_open_eeg_uses_listed_channels_whatever_their_names(tmp_path):
    names = [f"EXG Channel {index}" for index in range(8)]
    data = np.random.default_rng(0).normal(0, 1e-5, (8, 512))
    raw = mne.io.RawArray(data, mne.create_info(names, 256.0, "eeg"), verbose="error")
    raw.save(tmp_path / "openbci_raw.fif", verbose="error")
    with pytest.raises(InputError, match="has no EEG channel") as caught:
        open_eeg(tmp_path / "openbci_raw.fif")
    assert "eeg_channels" in caught.value.hint
    opened = open_eeg(tmp_path / "openbci_raw.fif", ReadOptions(eeg_channels=tuple(names)))
    assert opened.get_channel_types() == ["eeg"] * 8
