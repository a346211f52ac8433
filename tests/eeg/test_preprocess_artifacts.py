from __future__ import annotations

import mne
import numpy as np
import pytest

from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.io import EegBlock, raw_from_microvolts
from milmer_cli.eeg.preprocess import preprocess_eeg
from milmer_cli.settings.schema import EegSettings

SFREQ = 256
N = SFREQ * 40
EXG = ("EXG1", "EXG2", "EXG3", "EXG4")
PAIRS = (("EXG1", "EXG2"), ("EXG3", "EXG4"))
FRONT = np.array([{"Fp1": 0.7, "Fp2": 0.7, "AF3": 0.4, "AF4": 0.4}.get(n, 0.05) for n in GENEVA])


@pytest.fixture(scope="module")
def brain() -> np.ndarray:
    """Sources with smooth topographies, so that neighboring channels are correlated, as in EEG."""
    rng = np.random.default_rng(0)
    places = mne.channels.make_standard_montage("biosemi32").get_positions()["ch_pos"]
    points = np.array([places[name] for name in GENEVA])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    mixing = points @ rng.normal(size=(3, 3))
    mixing = np.concatenate([mixing, mixing**2, points[:, :1] * points[:, 1:2]], axis=1)
    sources = rng.laplace(0, 8, (mixing.shape[1], N))
    sources = mne.filter.filter_data(sources, SFREQ, 2, 40, verbose="error") * 3
    return mixing @ sources + rng.normal(0, 1, (32, N))


@pytest.fixture(scope="module")
def blinks() -> np.ndarray:
    rng = np.random.default_rng(1)
    signal = np.zeros(N)
    shape = 200 * np.hanning(SFREQ // 2)
    for start in rng.choice(np.arange(SFREQ, N - SFREQ, SFREQ), 17, replace=False):
        signal[start : start + len(shape)] += shape
    return signal


def _block(data, eyes=None) -> EegBlock:
    if eyes is None:
        return EegBlock(raw_from_microvolts(data, SFREQ, GENEVA), {1: 3.0})
    raw = raw_from_microvolts(np.vstack([data, eyes]), SFREQ, GENEVA, EXG)
    return EegBlock(raw, {1: 3.0}, eog=PAIRS)


def _eyes(blinks) -> np.ndarray:
    """All four share the noise of the reference, which cancels only in their differences."""
    rng = np.random.default_rng(2)
    shared = rng.normal(0, 30, N)
    return np.array([shared, shared, shared + blinks, shared - 0.3 * blinks]) + rng.normal(
        0, 2, (4, N)
    )


def _error(data, truth) -> float:
    return float(np.sqrt(np.mean((data - truth)[:, 640:-640] ** 2)))


@pytest.mark.parametrize(("method", "left"), [("regression", 0.25), ("ica", 0.25)])
def test_remove_eog_removes_blinks_and_keeps_brain_activity(brain, blinks, method, left):
    def cleaned(data, eog):
        return preprocess_eeg(
            _block(data, _eyes(blinks)), EegSettings(eog_correction=eog, bad_channels="keep")
        )

    truth = cleaned(brain, "none").data
    dirty = brain + FRONT[:, None] * blinks
    before = _error(cleaned(dirty, "none").data, truth)
    eeg = cleaned(dirty, method)
    assert _error(eeg.data, truth) < left * before
    spared = GENEVA.index("Pz")
    assert np.corrcoef(eeg.data[spared], truth[spared])[0, 1] > 0.98
    np.testing.assert_allclose(eeg.data.mean(axis=0), 0, atol=1e-6)
    if method == "ica":
        assert 1 <= len(eeg.eog_components) <= 3
        assert any("removed as eye artifacts" in note for note in eeg.notes)


def test_preprocess_eeg_is_deterministic(brain, blinks):
    block = _block(brain + FRONT[:, None] * blinks, _eyes(blinks))
    for eog in ("regression", "ica"):
        one, two = (preprocess_eeg(block, EegSettings(eog_correction=eog)).data for _ in range(2))
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("eyes", [None, np.zeros((4, N))])
def test_remove_eog_without_eog_channels_adds_a_note(brain, eyes):
    kept = preprocess_eeg(_block(brain), EegSettings(eog_correction="none"))
    eeg = preprocess_eeg(_block(brain, eyes), EegSettings())
    np.testing.assert_array_equal(eeg.data, kept.data)
    assert any("not removed" in note for note in eeg.notes)


def test_interpolate_bad_channels_flat_and_noisy(brain):
    rng = np.random.default_rng(3)
    broken = brain.copy()
    flat, noisy = GENEVA.index("C3"), GENEVA.index("P4")
    broken[flat] = 0.0
    broken[noisy] = rng.normal(0, 400, N)
    settings = EegSettings(eog_correction="none")
    truth, eeg = preprocess_eeg(_block(brain), settings), preprocess_eeg(_block(broken), settings)
    assert truth.interpolated == ()
    assert eeg.interpolated == ("C3", "P4")
    assert "C3 (flat" in " ".join(eeg.notes)
    assert "P4 (noisy" in " ".join(eeg.notes)
    for row in (flat, noisy):
        assert np.corrcoef(eeg.data[row], truth.data[row])[0, 1] > 0.8
        assert 0.5 < eeg.data[row].std() / truth.data[row].std() < 1.5
    intact = [row for row in range(32) if row not in (flat, noisy)]
    # a noisy channel would reach all others through the average reference
    assert _error(eeg.data[intact], truth.data[intact]) < 0.2 * truth.data.std()


def test_remove_eog_ica_uses_the_reduced_rank(brain, blinks):
    broken = brain + FRONT[:, None] * blinks
    broken[10] = 0.0
    eeg = preprocess_eeg(_block(broken, _eyes(blinks)), EegSettings(eog_correction="ica"))
    assert eeg.interpolated == (GENEVA[10],)
    assert np.isfinite(eeg.data).all()
    assert np.abs(eeg.data).max() < 500
    assert any("Of 30 independent components" in note for note in eeg.notes)


def test_interpolate_bad_channels_keeps_them_if_too_many_or_disabled(brain):
    broken = brain.copy()
    broken[:10] = 0.0
    eeg = preprocess_eeg(_block(broken), EegSettings(eog_correction="none"))
    assert eeg.interpolated == ()
    assert any("10 of 32 channels are bad and were kept" in note for note in eeg.notes)
    broken = brain.copy()
    broken[4] = 0.0
    assert (
        preprocess_eeg(
            _block(broken), EegSettings(eog_correction="none", bad_channels="keep")
        ).interpolated
        == ()
    )


def test_interpolate_bad_channels_keeps_channels_without_position(brain):
    broken = brain.copy()
    broken[4] = 0.0
    names = [f"E{n}" for n in range(32)]
    block = EegBlock(raw_from_microvolts(broken, SFREQ, names), {1: 3.0})
    eeg = preprocess_eeg(block, EegSettings(eog_correction="none"))
    assert eeg.interpolated == ()
    assert any("positions are not known: E4" in note for note in eeg.notes)
