from __future__ import annotations

import mne
import numpy as np
import pytest

from milmer_cli.datasets.deap.bdf import open_deap_bdf
from milmer_cli.eeg.channels import GENEVA, TWENTE
from milmer_cli.eeg.io import EegBlock, open_eeg, raw_from_microvolts
from milmer_cli.eeg.preprocess import preprocess_eeg
from milmer_cli.eeg.segment import cut_segments
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import EegSettings

SFREQ, SECONDS = 512, 30
TIMES = np.arange(SFREQ * SECONDS) / SFREQ
PLAIN = EegSettings(notch_hz=0.0, eog_correction="none", bad_channels="keep")


def _noise(n_channels: int = 32, size: float = 10.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, size, (n_channels, len(TIMES)))


def _block(data: np.ndarray, sfreq: float = SFREQ, names=GENEVA, **kind) -> EegBlock:
    return EegBlock(raw_from_microvolts(data, sfreq, names[: len(data)]), {1: 9.0}, **kind)


def _power_db(data: np.ndarray, sfreq: float, hz: float) -> np.ndarray:
    window = np.hanning(data.shape[-1])
    spectrum = np.abs(np.fft.rfft(data * window)) / window.sum() * 2
    at = np.abs(np.fft.rfftfreq(data.shape[-1], 1 / sfreq) - hz) < 0.3
    return 20 * np.log10(spectrum[..., at].max(axis=-1))


def test_preprocess_eeg_keeps_ten_microvolts_from_bdf_to_segments(
    tmp_path, write_bdf, status_words
):
    """Every electrode has a sine of its own phase, so that the average over electrodes is zero."""
    phases = 2 * np.pi * np.arange(32) / 32
    sines = 10 * np.sin(2 * np.pi * 10 * TIMES + phases[:, None])
    offsets = np.linspace(-12_000, 15_000, 32)[:, None]
    signals = dict(zip(TWENTE, sines + offsets, strict=True))
    words = status_words(len(TIMES), [(9 * SFREQ, 4), (21 * SFREQ, 5)])
    path = write_bdf(tmp_path / "s01.bdf", signals, words)
    segments = cut_segments(
        preprocess_eeg(open_deap_bdf(path), EegSettings()), 1, 12.0, EegSettings()
    )
    assert segments.shape == (4, 32, 384)
    assert segments.dtype == np.float32
    t = 9 + np.arange(12 * 128) / 128
    for row, name in enumerate(GENEVA):
        expected = 10 * np.sin(2 * np.pi * 10 * t + phases[TWENTE.index(name)])
        assert np.abs(np.concatenate(segments[:, row]) - expected).max() < 0.1


def test_preprocess_eeg_average_reference_of_one_active_electrode():
    data = np.zeros((32, len(TIMES)))
    data[5] = 32 * np.sin(2 * np.pi * 12 * TIMES)
    # ten microvolts of something else everywhere keep the other electrodes alive
    data += 10 * np.sin(2 * np.pi * 20 * TIMES + 2 * np.pi * np.arange(32)[:, None] / 32)
    cleaned = preprocess_eeg(_block(data), PLAIN).data[:, 1280:2560]
    at = 10 ** (_power_db(cleaned, 128, 12) / 20)
    np.testing.assert_allclose(at[5], 31, rtol=0.01)
    np.testing.assert_allclose(np.delete(at, 5), 1, rtol=0.01)


def test_preprocess_eeg_average_reference_removes_a_common_signal():
    shared = 80 * np.sin(2 * np.pi * 7 * TIMES)
    with_it, without = (
        preprocess_eeg(_block(_noise() + extra), PLAIN).data for extra in (shared, 0)
    )
    np.testing.assert_allclose(with_it, without, atol=1e-6)


def test_preprocess_eeg_does_not_shift_samples():
    """An impulse every second, found at that second after filtering and resampling."""
    data = np.zeros((32, len(TIMES)))
    data[0, ::SFREQ] = 1000.0
    data += _noise(size=1.0)
    signal = preprocess_eeg(_block(data), PLAIN).data[0]
    for second in range(3, SECONDS - 3):
        around = np.arange(second * 128 - 40, second * 128 + 41)
        assert around[np.abs(signal[around]).argmax()] == second * 128


@pytest.mark.parametrize("sfreq", [250.0, 256.0, 500.0, 1000.0, 2048.0, 100.0])
def test_preprocess_eeg_resampling_keeps_amplitude_and_time(sfreq):
    times = np.arange(int(sfreq * 40)) / sfreq
    data = 10 * np.sin(2 * np.pi * 6 * times + 2 * np.pi * np.arange(32)[:, None] / 32)
    eeg = preprocess_eeg(_block(data, sfreq), PLAIN)
    assert eeg.sfreq == 128.0
    assert eeg.data.shape == (32, 40 * 128)
    t = np.arange(40 * 128) / 128
    expected = 10 * np.sin(2 * np.pi * 6 * t + 2 * np.pi * np.arange(32)[:, None] / 32)
    middle = slice(5 * 128, 35 * 128)
    assert np.abs(eeg.data - expected)[:, middle].max() < 0.1


@pytest.mark.parametrize("sfreq", [250.0, 128.0009765625, 128.006, 499.97])
def test_preprocess_eeg_resampling_does_not_drift(sfreq):
    """The rate is exact, also a measured one: after ten minutes a wave still has its phase."""
    times = np.arange(int(sfreq * 601)) / sfreq
    data = np.vstack([10 * np.sin(2 * np.pi * 20 * times), -10 * np.sin(2 * np.pi * 20 * times)])
    signal = preprocess_eeg(_block(data, sfreq), PLAIN).data[0]
    t = np.arange(len(signal)) / 128
    late = slice(595 * 128, 598 * 128)
    assert np.abs(signal - 10 * np.sin(2 * np.pi * 20 * t))[late].max() < 0.1


def test_preprocess_eeg_notch_removes_mains_and_harmonics_only():
    data = _noise(size=2.0)
    data[3] += 50 * np.sin(2 * np.pi * 50 * TIMES) + 50 * np.sin(2 * np.pi * 100 * TIMES)
    data[4] += 10 * np.sin(2 * np.pi * 40 * TIMES)
    settings = EegSettings(
        eog_correction="none", bad_channels="keep", band_hz=(1.0, 110.0), sfreq_hz=256.0
    )
    without = settings.model_copy(update={"notch_hz": 0.0})
    middle = slice(10 * 256, 20 * 256)
    after, before = (preprocess_eeg(_block(data), s).data[:, middle] for s in (settings, without))
    for hz in (50, 100):
        assert _power_db(before, 256, hz)[3] - _power_db(after, 256, hz)[3] > 30
    assert abs(_power_db(before, 256, 40)[4] - _power_db(after, 256, 40)[4]) < 0.1


def test_preprocess_eeg_resampling_does_not_alias():
    data = _noise(size=1.0)
    data[3] += 200 * np.sin(2 * np.pi * 100 * TIMES)
    settings = PLAIN.model_copy(update={"band_hz": (1.0, 60.0)})
    # 100 Hz would appear at 28 Hz
    assert _power_db(preprocess_eeg(_block(data), settings).data, 128, 28)[3] < 0
    preprocessed = preprocess_eeg(_block(data, pass_band_hz=(4.0, 45.0)), settings)
    assert _power_db(preprocessed.data[:, 640:-640], 128, 28)[3] < 0


@pytest.mark.parametrize("seconds", [1, SECONDS])
def test_preprocess_eeg_electrode_offset_does_not_ring(seconds):
    """Also if the recording is shorter than the filter."""
    data = _noise()[:, : seconds * SFREQ]
    far = data + np.linspace(-30_000, 30_000, 32)[:, None]
    offset, plain = (preprocess_eeg(_block(block), PLAIN).data for block in (far, data))
    np.testing.assert_allclose(offset, plain, atol=1e-5)


def test_preprocess_eeg_step_before_the_stimulus_does_not_reach_it():
    data = _noise()
    stepped = data.copy()
    stepped[7, : 7 * SFREQ] += 10_000
    difference = (
        preprocess_eeg(_block(stepped), PLAIN).data - preprocess_eeg(_block(data), PLAIN).data
    )
    # the average reference spreads a thirtieth of it over all electrodes
    assert np.abs(difference[:, 9 * 128 :]).max() < 0.5
    assert np.abs(difference[7, 7 * 128 - 64 : 7 * 128 + 64]).max() > 1000


def test_preprocess_eeg_does_not_filter_a_preprocessed_block():
    data = _noise() + 3.0
    eeg = preprocess_eeg(_block(data, 128.0, pass_band_hz=(4.0, 45.0)), EegSettings())
    np.testing.assert_allclose(eeg.data, data, rtol=1e-12)
    assert (eeg.notes, eeg.interpolated) == ((), ())


@pytest.mark.parametrize(
    ("band_hz", "removed_hz", "kept_hz"), [((8.0, 50.0), 5, 30), ((1.0, 20.0), 30, 5)]
)
def test_preprocess_eeg_limits_a_preprocessed_block_to_a_narrower_band(
    band_hz, removed_hz, kept_hz
):
    data = _noise()
    narrow = EegSettings(band_hz=band_hz)
    eeg = preprocess_eeg(_block(data, 256.0, pass_band_hz=(4.0, 45.0)), narrow).data
    unfiltered = preprocess_eeg(_block(data, 256.0, pass_band_hz=(4.0, 45.0)), EegSettings()).data
    difference = _power_db(eeg, 128, removed_hz)[3] - _power_db(unfiltered, 128, removed_hz)[3]
    assert difference < -30
    kept = _power_db(eeg, 128, kept_hz)[3] - _power_db(unfiltered, 128, kept_hz)[3]
    assert abs(kept) < 0.5


def test_preprocess_eeg_selects_channels_by_name_in_order():
    data = np.arange(32)[:, None] * 100.0 + np.zeros((32, 1000))
    block = _block(data, 128.0, pass_band_hz=(4.0, 45.0))
    eeg = preprocess_eeg(block, EegSettings(), channels=("oz", "FP1", "Cz"))
    assert eeg.channels == ("oz", "FP1", "Cz")
    np.testing.assert_allclose(eeg.data[:, 0], [GENEVA.index(n) * 100 for n in ("Oz", "Fp1", "Cz")])
    with pytest.raises(InputError, match="lacks the channel TP9"):
        preprocess_eeg(block, EegSettings(), channels=("Oz", "TP9"))


@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_preprocess_eeg_rejects_a_wrong_unit(factor):
    with pytest.raises(InputError, match="microvolts after filtering"):
        preprocess_eeg(_block(_noise() * factor), EegSettings())


def test_preprocess_eeg_rejects_a_bdf_without_units(tmp_path, write_bdf, status_words):
    signals = dict(zip(GENEVA, _noise(), strict=True))
    words = status_words(len(TIMES), [(9 * SFREQ, 4)])
    path = write_bdf(tmp_path / "s01.bdf", signals, words, unit="")
    with pytest.raises(InputError, match=r"s01\.bdf.*microvolts"):
        preprocess_eeg(open_deap_bdf(path), EegSettings())


def test_preprocess_eeg_notes_a_rate_below_the_band():
    times = np.arange(3000) / 100.0
    data = 10 * np.sin(2 * np.pi * 6 * times + np.arange(32)[:, None])
    assert any(
        "sampled at 100 Hz" in note for note in preprocess_eeg(_block(data, 100.0), PLAIN).notes
    )


def test_preprocess_eeg_notes_a_recording_shorter_than_the_filter():
    assert any(
        "lasts 4.0 s" in note for note in preprocess_eeg(_block(_noise()[:, :2048]), PLAIN).notes
    )


@pytest.mark.parametrize("load_bytes", [1, 5 * 8 * SFREQ * SECONDS])
def test_preprocess_eeg_is_independent_of_the_load_size(monkeypatch, load_bytes):
    block = _block(_noise())
    whole = preprocess_eeg(block, EegSettings()).data
    monkeypatch.setattr("milmer_cli.eeg.loading._LOAD_BYTES", load_bytes)
    np.testing.assert_array_equal(preprocess_eeg(block, EegSettings()).data, whole)


def test_preprocess_eeg_rejects_a_file_that_is_truncated_after_opening(tmp_path):
    raw = raw_from_microvolts(np.random.default_rng(0).normal(size=(4, 4096)), 128.0, list("abcd"))
    path = tmp_path / "x_raw.fif"
    raw.save(path, verbose="error")
    opened = open_eeg(path)
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(InputError, match="cannot be read to its end"):
        preprocess_eeg(EegBlock(opened, {}), EegSettings())


def test_preprocess_eeg_warns_of_a_recording_that_was_not_closed(tmp_path, write_bdf):
    signals = np.random.default_rng(0).normal(0, 10, (4, 5 * 512))
    names = ("Fp1", "Fz", "Cz", "Oz")
    path = write_bdf(tmp_path / "x.bdf", dict(zip(names, signals, strict=True)), None)
    content = bytearray(path.read_bytes())
    content[236:244] = b"-1      "
    path.write_bytes(content[:-100])
    (warning,) = preprocess_eeg(EegBlock(open_eeg(path), {}), PLAIN).warnings
    assert "was not closed by its recorder" in warning
    assert "the 4 whole data records are used" in warning


def _brain_like(n_channels: int = 4, seconds: int = 40, seed: int = 0) -> np.ndarray:
    """EEG with a spectrum that falls with the frequency, (n_channels, n_samples) microvolts."""
    white = np.random.default_rng(seed).normal(0, 1, (n_channels, seconds * SFREQ))
    spectrum = np.fft.rfft(white)
    spectrum[:, 1:] /= np.sqrt(np.arange(1, spectrum.shape[1]))
    signal = np.fft.irfft(spectrum)
    return 10 * signal / signal.std()


@pytest.mark.parametrize("hz", [50, 60])
def test_preprocess_eeg_finds_and_removes_the_power_line_noise(hz):
    clean = _brain_like(8)
    times = np.arange(clean.shape[1]) / SFREQ
    noisy = clean + 30 * np.sin(2 * np.pi * hz * times)
    settings = PLAIN.model_copy(update={"notch_hz": "auto"})
    result = preprocess_eeg(_block(noisy), settings)
    middle = slice(10 * 128, 30 * 128)
    expected = preprocess_eeg(_block(clean), settings.model_copy(update={"notch_hz": float(hz)}))
    np.testing.assert_allclose(result.data[:, middle], expected.data[:, middle], atol=0.01)
    assert f"Power line noise at {hz} Hz was removed." in result.notes


@pytest.mark.parametrize("seconds", [1, 4, 40])
def test_preprocess_eeg_applies_no_notch_without_power_line_noise(seconds):
    block = _block(_brain_like(seconds=seconds))
    auto = preprocess_eeg(block, PLAIN.model_copy(update={"notch_hz": "auto"}))
    np.testing.assert_array_equal(auto.data, preprocess_eeg(block, PLAIN).data)
    assert not any("Power line" in note for note in auto.notes)


def _interrupted(jump_uv: float) -> EegBlock:
    """Two recordings of 20 s in one, with a jump of 8 of 32 channels between them."""
    data = _brain_like(32, 40)
    data[:8, 20 * SFREQ :] += jump_uv
    block = _block(data)
    block.raw.set_annotations(mne.Annotations([20.0], [0.0], ["EDGE boundary"]))
    return block


def test_preprocess_eeg_does_not_filter_across_a_gap():
    with_jump, without = (preprocess_eeg(_interrupted(uv), PLAIN).data for uv in (5000.0, 0.0))
    # resampling blurs the jump itself, which is gone after the mean of each part is subtracted
    np.testing.assert_allclose(with_jump, without, atol=1e-6)


def test_preprocess_eeg_filters_the_period_that_was_not_recorded_separately():
    data = _brain_like(8, 40)
    data[:, 15 * SFREQ : 25 * SFREQ] = 0.0
    block = _block(data + 4000.0 * (data != 0))
    block.raw.set_annotations(mne.Annotations([15.0], [10.0], ["BAD_ACQ_SKIP"]))
    result = preprocess_eeg(block, PLAIN)
    assert np.abs(result.data[:, 16 * 128 : 24 * 128]).max() < 0.05
    assert any("interrupted 1 time (10.0 s not recorded)" in note for note in result.notes)


def test_preprocess_eeg_interpolates_channels_that_the_file_marks_as_bad():
    data = _brain_like(32, 20)
    data[GENEVA.index("Fz")] += 40 * np.sin(2 * np.pi * 10 * np.arange(20 * SFREQ) / SFREQ)
    block = _block(data)
    block.raw.info["bads"] = ["Fz"]
    settings = PLAIN.model_copy(update={"bad_channels": "interpolate"})
    result = preprocess_eeg(block, settings, GENEVA)
    assert result.channels == GENEVA
    assert result.interpolated == ("Fz",)
    assert any("Fz (marked as bad in the file)" in note for note in result.notes)
    others = [row for row, name in enumerate(GENEVA) if name != "Fz"]
    without = preprocess_eeg(_block(_brain_like(32, 20)), PLAIN)
    assert np.std(result.data[others] - without.data[others]) < 1.0


def test_preprocess_eeg_ignores_a_power_line_frequency_that_was_not_recorded():
    block = _block(_brain_like(8), sfreq=100.0)
    block.raw.info["line_freq"] = 60.0
    settings = PLAIN.model_copy(update={"notch_hz": "auto", "band_hz": (1.0, 40.0)})
    assert not any("Power line" in note for note in preprocess_eeg(block, settings).notes)
