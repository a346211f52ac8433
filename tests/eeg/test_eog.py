"""Eye artifacts with damaged and with single EOG channels."""

from __future__ import annotations

import sys

import mne
import numpy as np
import pytest

from helpers import EEG_HZ, blink_signal, blink_topography, scalp_eeg
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.eog import loose_windows
from milmer_cli.eeg.io import EegBlock, raw_from_microvolts
from milmer_cli.eeg.preprocess import preprocess_eeg
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import EegSettings

SFREQ, SECONDS = 128, 90
N = SFREQ * SECONDS
SETTINGS = EegSettings(notch_hz=0.0, bad_channels="keep")
FRONT = np.exp(-np.arange(32) / 4)
IN_BLINK = slice(20 * SFREQ, 60 * SFREQ)


def brain(seed: int = 0) -> np.ndarray:
    """32 channels that share six sources, (n_channels, n_samples) microvolts."""
    rng = np.random.default_rng(seed)
    sources = mne.filter.filter_data(rng.normal(0, 6, (6, N)), SFREQ, 2, 40, verbose="error")
    return rng.normal(0, 1, (32, 6)) @ sources + rng.normal(0, 1, (32, N))


def blinks() -> np.ndarray:
    """A blink of 180 microvolts every four seconds, except where the electrode will be loose."""
    signal = np.zeros(N)
    for start in range(2 * SFREQ, 70 * SFREQ, 4 * SFREQ):
        signal[start : start + SFREQ // 2] = 180 * np.hanning(SFREQ // 2)
    return signal


def loose_noise(first_s: int = 70, last_s: int = 80) -> np.ndarray:
    noise = np.zeros(N)
    samples = slice(first_s * SFREQ, last_s * SFREQ)
    noise[samples] = np.random.default_rng(5).normal(0, 800, N)[samples]
    return noise


def cleaned(eeg: np.ndarray, eog: np.ndarray) -> np.ndarray:
    raw = raw_from_microvolts(np.vstack([eeg, eog]), SFREQ, GENEVA, ["EOG"])
    return preprocess_eeg(EegBlock(raw, {}), SETTINGS).data


def truth(eeg: np.ndarray) -> np.ndarray:
    settings = SETTINGS.model_copy(update={"eog_correction": "none"})
    return preprocess_eeg(EegBlock(raw_from_microvolts(eeg, SFREQ, GENEVA), {}), settings).data


def residue(data: np.ndarray, expected: np.ndarray, samples: slice = IN_BLINK) -> float:
    """Share of the blinks in the first channel that is left, from 0 to 1."""
    difference = (data - expected)[0, samples]
    added = truth(brain() + np.outer(FRONT, blinks()))[0, samples] - expected[0, samples]
    return float(np.abs(difference @ added) / (added @ added))


@pytest.mark.parametrize("noise", [np.zeros(N), loose_noise()], ids=["connected", "loose"])
def test_remove_eog_removes_blinks_also_if_an_electrode_is_loose_for_a_while(noise):
    eeg = brain()
    data = cleaned(eeg + np.outer(FRONT, blinks()), blinks() + noise)
    assert residue(data, truth(eeg)) < 0.05


def test_remove_eog_adds_nothing_while_an_electrode_is_loose():
    eeg = brain()
    data = cleaned(eeg + np.outer(FRONT, blinks()), blinks() + loose_noise())
    expected, loose = truth(eeg), slice(72 * SFREQ, 78 * SFREQ)
    np.testing.assert_allclose(data[:, loose], expected[:, loose], atol=1.0)


def test_loose_windows_are_the_seconds_of_the_loose_electrode():
    eeg = brain() + np.outer(FRONT, blinks())
    found = loose_windows(eeg, (blinks() + loose_noise())[None], SFREQ)
    assert np.flatnonzero(found).tolist() == list(range(70, 80))
    assert not loose_windows(eeg, blinks()[None] + brain(1)[:1], SFREQ).any()
    assert len(loose_windows(eeg[:, :50], eeg[:1, :50], SFREQ)) == 0


def test_remove_eog_converts_a_single_electrode_to_the_average_reference():
    """All electrodes, also that at the eye, share the activity of the reference electrode."""
    reference = np.random.default_rng(3).normal(0, 40, N)
    eeg = brain()
    data = cleaned(eeg + np.outer(FRONT, blinks()) + reference, blinks() + reference)
    expected = truth(eeg)
    assert residue(data, expected) < 0.05
    between = slice(81 * SFREQ, 88 * SFREQ)
    rms = np.sqrt(np.mean((data - expected)[:, between] ** 2))
    # the average contains some brain activity, which the regression subtracts
    assert rms < 0.1 * np.sqrt(np.mean(expected[:, between] ** 2))


def test_remove_eog_keeps_a_single_bipolar_channel():
    reference = np.random.default_rng(3).normal(0, 40, N)
    eeg = brain()
    data = cleaned(eeg + np.outer(FRONT, blinks()) + reference, blinks())
    expected = truth(eeg)
    assert residue(data, expected) < 0.05
    assert np.sqrt(np.mean((data - expected) ** 2)) < 0.05 * np.sqrt(np.mean(expected**2))


def mixed_brain(seconds: int = 160, seed: int = 0) -> np.ndarray:
    """32 channels that share forty sources whose spectrum falls with the frequency."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.normal(size=(40, seconds * SFREQ)))
    spectrum[:, 1:] /= np.sqrt(np.arange(1, spectrum.shape[1]))
    sources = np.fft.irfft(spectrum)
    return rng.normal(0, 2, (32, 40)) @ (sources / sources.std()) + rng.normal(
        0, 1, (32, seconds * SFREQ)
    )


def rare_blinks(n_samples: int) -> np.ndarray:
    signal = np.zeros(n_samples)
    for start in range(2 * SFREQ, n_samples - SFREQ, 4 * SFREQ):
        signal[start : start + SFREQ // 2] = 180 * np.hanning(SFREQ // 2)
    return signal


@pytest.mark.slow
def test_remove_eog_without_eog_channels_finds_blinks_with_frontal_electrodes():
    eeg = mixed_brain()
    added = truth(eeg + np.outer(FRONT, rare_blinks(eeg.shape[1]))) - truth(eeg)
    raw = raw_from_microvolts(eeg + np.outer(FRONT, rare_blinks(eeg.shape[1])), SFREQ, GENEVA)
    result = preprocess_eeg(EegBlock(raw, {}), SETTINGS)
    difference = result.data - truth(eeg)
    assert abs(difference[0] @ added[0]) / (added[0] @ added[0]) < 0.05
    assert np.sqrt(np.mean(difference**2)) < 0.1 * np.sqrt(np.mean(truth(eeg) ** 2))
    assert len(result.eog_components) == 1
    assert any("eye artifacts were found with Fp1, AF3" in note for note in result.notes)


@pytest.mark.slow
def test_remove_eog_without_eog_channels_and_blinks_changes_nothing():
    eeg = mixed_brain()
    result = preprocess_eeg(EegBlock(raw_from_microvolts(eeg, SFREQ, GENEVA), {}), SETTINGS)
    assert result.eog_components == ()
    np.testing.assert_allclose(result.data, truth(eeg), atol=1e-6)


def test_remove_eog_without_eog_channels_keeps_a_short_recording():
    eeg = mixed_brain(20)
    result = preprocess_eeg(EegBlock(raw_from_microvolts(eeg, SFREQ, GENEVA), {}), SETTINGS)
    np.testing.assert_array_equal(result.data, truth(eeg))
    assert any("too short" in note for note in result.notes)


CAP = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2")


def cap_with_blinks(seconds: int = 100, seed: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Brain activity and blinks at the electrodes of `CAP`, microvolts."""
    rng = np.random.default_rng(seed)
    onsets_s = np.arange(2, seconds - 2, 4.0)
    signal = blink_signal(onsets_s + rng.uniform(-1, 1, len(onsets_s)), seconds * EEG_HZ, seed)
    return scalp_eeg(CAP, seconds, seed), np.outer(blink_topography(CAP), signal)


def preprocessed(data: np.ndarray, eog: np.ndarray | None = None, **settings):
    names = [f"EOG{index}" for index in range(0 if eog is None else len(eog))]
    both = data if eog is None else np.vstack([data, eog])
    raw = raw_from_microvolts(both, EEG_HZ, CAP, names)
    return preprocess_eeg(EegBlock(raw, {}), SETTINGS.model_copy(update=settings))


def residues(result, data: np.ndarray, blinks: np.ndarray, **settings) -> list[float]:
    """Share of the blinks at Fp1 and Fp2 that is left, above 1 Hz."""
    without, dirty = (
        preprocessed(x, **settings | {"eog_correction": "none"}).data for x in (data, data + blinks)
    )
    left, added = (
        mne.filter.filter_data(x[:2], EEG_HZ, 1.0, None, verbose="error")
        for x in (result.data - without, dirty - without)
    )
    return [abs(float(a @ b / (b @ b))) for a, b in zip(left, added, strict=True)]


def slow_drift(n_samples: int, seed: int = 20) -> np.ndarray:
    """Drifts of 300 microvolts below 0.4 Hz, of each electrode of `CAP` on its own."""
    steps = np.random.default_rng(seed).normal(size=(len(CAP), n_samples))
    drift = np.cumsum(steps, axis=1)
    drift -= np.linspace(0, 1, n_samples) * drift[:, -1:]
    low = {"l_trans_bandwidth": 0.1, "h_trans_bandwidth": 0.3, "verbose": "error"}
    drift = mne.filter.filter_data(drift, EEG_HZ, None, 0.4, **low)
    return 300 * drift / drift.std(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", [20, 21])
def test_remove_eog_finds_components_despite_slow_drift(seed):
    data, blinks = cap_with_blinks(seed=seed)
    data += slow_drift(data.shape[1], seed)
    band = {"band_hz": (0.1, 50.0)}
    result = preprocessed(data + blinks, **band)
    assert max(residues(result, data, blinks, **band)) < 0.05


@pytest.mark.parametrize("kind", ["pair", "none"])
def test_remove_eog_states_the_share_of_the_variance_that_it_removed(kind):
    data, blinks = cap_with_blinks()
    eog = np.array([blinks[0], -blinks[0]]) if kind == "pair" else None
    if eog is not None:
        eog += np.random.default_rng(0).normal(0, 2, eog.shape)
    before, without = (
        preprocessed(x, eog_correction="none").data[:2] for x in (data + blinks, data)
    )
    added = before - without
    result = preprocessed(data + blinks, eog)
    removed = before - result.data[:2]
    assert result.eog_variance == pytest.approx(
        removed.var(axis=1).sum() / before.var(axis=1).sum()
    )
    if kind == "pair":  # a component also contains some brain activity
        mixed = added.var(axis=1).sum() / before.var(axis=1).sum()
        assert 0.5 < mixed < 0.99
        assert result.eog_variance == pytest.approx(mixed, abs=0.02)
    method = {
        "pair": "Eye artifacts: regression on 2 EOG channels",
        "none": "Without an EOG channel, eye artifacts were found with Fp1, Fp2",
    }[kind]
    share = f"{100 * result.eog_variance:.0f} % of the variance at Fp1, Fp2 removed."
    assert f"{method}, {share}" in result.notes


def test_remove_eog_states_no_variance_if_it_could_not_be_done():
    data, blinks = cap_with_blinks(seconds=10)
    assert preprocessed(data + blinks).eog_variance is None
    assert preprocessed(data + blinks, eog_correction="none").eog_variance is None


def test_remove_eog_leaves_the_gaps_of_a_recording_out():
    """Zeros would make every component look like rare events, and dilute the variance."""
    data, blinks = cap_with_blinks()
    gap = slice(40 * EEG_HZ, 60 * EEG_HZ)
    whole = preprocessed(np.delete(data + blinks, gap, axis=1))
    data[:, gap], blinks[:, gap] = 0.0, 0.0
    raw = raw_from_microvolts(data + blinks, EEG_HZ, CAP)
    raw.set_annotations(mne.Annotations([40.0], [20.0], ["BAD_ACQ_SKIP"]))
    result = preprocess_eeg(EegBlock(raw, {}), SETTINGS)
    assert result.eog_variance == pytest.approx(whole.eog_variance, abs=0.01)
    assert not result.data[:, gap].any()


def test_remove_eog_names_the_extra_that_icalabel_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "mne_icalabel", None)
    data, blinks = cap_with_blinks(seconds=30)
    with pytest.raises(InputError, match="needs the package mne-icalabel") as caught:
        preprocessed(data + blinks, eog_correction="icalabel")
    assert "pip install 'milmer-cli[icalabel]'" in caught.value.hint


@pytest.mark.slow
def test_remove_eog_with_icalabel_removes_blinks_only():
    pytest.importorskip("mne_icalabel")
    data, blinks = cap_with_blinks(seconds=40)
    result = preprocessed(data + blinks, eog_correction="icalabel")
    assert max(residues(result, data, blinks)) < 0.05
    assert len(result.eog_components) == 1
    assert any("that ICLabel classifies as blinks" in note for note in result.notes)
    np.testing.assert_allclose(
        preprocessed(data, eog_correction="icalabel").data,
        preprocessed(data, eog_correction="none").data,
        atol=1e-6,
    )


def test_remove_eog_with_icalabel_needs_electrode_positions():
    data, _ = cap_with_blinks(seconds=30)
    raw = raw_from_microvolts(data, EEG_HZ, [f"E{index}" for index in range(len(CAP))])
    settings = SETTINGS.model_copy(update={"eog_correction": "icalabel"})
    result = preprocess_eeg(EegBlock(raw, {}), settings)
    assert any("ICLabel needs electrodes of the 10-05 system" in note for note in result.notes)
    assert result.eog_variance is None


def test_remove_eog_with_icalabel_keeps_a_short_recording_with_eog_channels():
    data, blinks = cap_with_blinks(seconds=10)
    result = preprocessed(data + blinks, blinks[:1], eog_correction="icalabel")
    note = "The recording is too short for ICLabel: eye artifacts were not removed."
    assert (result.notes, result.eog_variance) == ((note,), None)
