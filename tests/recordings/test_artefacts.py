from __future__ import annotations

import mne
import numpy as np
import pytest

from milmer_cli.recordings.channels import GENEVA
from milmer_cli.recordings.eeg import clean, raw_from_microvolts
from milmer_cli.recordings.trial import EegBlock
from milmer_cli.settings.schema import EegSettings

SFREQ = 256
N = SFREQ * 40
EXG = ("EXG1", "EXG2", "EXG3", "EXG4")
PAIRS = (("EXG1", "EXG2"), ("EXG3", "EXG4"))
FRONT = np.array([{"Fp1": 0.7, "Fp2": 0.7, "AF3": 0.4, "AF4": 0.4}.get(n, 0.05) for n in GENEVA])


@pytest.fixture(scope="module")
def brain() -> np.ndarray:
    """Sources spread smoothly over the head: neighbours look alike, as in EEG."""
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
    """All four share an offset and noise of the reference, which only their differences lose."""
    rng = np.random.default_rng(2)
    shared = rng.normal(0, 30, N)
    return np.array([shared, shared, shared + blinks, shared - 0.3 * blinks]) + rng.normal(
        0, 2, (4, N)
    )


def _error(data, truth) -> float:
    return float(np.sqrt(np.mean((data - truth)[:, 640:-640] ** 2)))


@pytest.mark.parametrize(("method", "left"), [("regression", 0.25), ("ica", 0.25)])
def test_blinks_leave_and_the_brain_stays(brain, blinks, method, left):
    def cleaned(data, eog):
        return clean(_block(data, _eyes(blinks)), EegSettings(eog=eog, bad_channels="keep"))

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
        assert any("removed as eye artefacts" in note for note in eeg.notes)


def test_cleaning_twice_gives_equal_bits(brain, blinks):
    block = _block(brain + FRONT[:, None] * blinks, _eyes(blinks))
    for eog in ("regression", "ica"):
        one, two = (clean(block, EegSettings(eog=eog)).data for _ in range(2))
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("eyes", [None, np.zeros((4, N))])
def test_without_eye_channels_nothing_is_taken_out_and_it_is_said(brain, eyes):
    kept = clean(_block(brain), EegSettings(eog="none"))
    eeg = clean(_block(brain, eyes), EegSettings())
    np.testing.assert_array_equal(eeg.data, kept.data)
    assert any("not removed" in note for note in eeg.notes)


def test_broken_channels_are_found_listed_and_rebuilt(brain):
    rng = np.random.default_rng(3)
    broken = brain.copy()
    flat, wild = GENEVA.index("C3"), GENEVA.index("P4")
    broken[flat] = 0.0
    broken[wild] = rng.normal(0, 400, N)
    settings = EegSettings(eog="none")
    truth, eeg = clean(_block(brain), settings), clean(_block(broken), settings)
    assert truth.interpolated == ()
    assert eeg.interpolated == ("C3", "P4")
    assert "C3 (flat" in " ".join(eeg.notes)
    assert "P4 (wild" in " ".join(eeg.notes)
    for row in (flat, wild):
        assert np.corrcoef(eeg.data[row], truth.data[row])[0, 1] > 0.8
        assert 0.5 < eeg.data[row].std() / truth.data[row].std() < 1.5
    intact = [row for row in range(32) if row not in (flat, wild)]
    # a wild channel would reach all others through the average reference
    assert _error(eeg.data[intact], truth.data[intact]) < 0.2 * truth.data.std()


def test_ica_copes_with_the_rank_lost_to_interpolation(brain, blinks):
    broken = brain + FRONT[:, None] * blinks
    broken[10] = 0.0
    eeg = clean(_block(broken, _eyes(blinks)), EegSettings(eog="ica"))
    assert eeg.interpolated == (GENEVA[10],)
    assert np.isfinite(eeg.data).all()
    assert np.abs(eeg.data).max() < 500
    assert any("Of 30 independent components" in note for note in eeg.notes)


def test_broken_channels_are_kept_when_asked_or_when_too_many(brain):
    broken = brain.copy()
    broken[:10] = 0.0
    eeg = clean(_block(broken), EegSettings(eog="none"))
    assert eeg.interpolated == ()
    assert any("10 of 32 channels are bad and were kept" in note for note in eeg.notes)
    broken = brain.copy()
    broken[4] = 0.0
    assert clean(_block(broken), EegSettings(eog="none", bad_channels="keep")).interpolated == ()


def test_electrodes_without_a_known_place_are_kept_and_named(brain):
    broken = brain.copy()
    broken[4] = 0.0
    names = [f"E{n}" for n in range(32)]
    block = EegBlock(raw_from_microvolts(broken, SFREQ, names), {1: 3.0})
    eeg = clean(block, EegSettings(eog="none"))
    assert eeg.interpolated == ()
    assert any("positions are not known: E4" in note for note in eeg.notes)
