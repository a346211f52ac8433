from __future__ import annotations

import mne
import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.recordings.bdf import read_bdf
from milmer_cli.recordings.channels import GENEVA, TWENTE
from milmer_cli.recordings.eeg import (
    CleanEeg,
    clean,
    cut,
    cut_trial,
    open_eeg,
    raw_from_microvolts,
    segment_count,
    segment_onsets,
)
from milmer_cli.recordings.trial import EegBlock
from milmer_cli.settings.schema import EegSettings

SFREQ, SECONDS = 512, 30
TIMES = np.arange(SFREQ * SECONDS) / SFREQ
PLAIN = EegSettings(notch_hz=0.0, eog="none", bad_channels="keep")


def _noise(n_channels: int = 32, size: float = 10.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, size, (n_channels, len(TIMES)))


def _block(data: np.ndarray, sfreq: float = SFREQ, names=GENEVA, **kind) -> EegBlock:
    return EegBlock(raw_from_microvolts(data, sfreq, names[: len(data)]), {1: 9.0}, **kind)


def _power_db(data: np.ndarray, sfreq: float, hz: float) -> np.ndarray:
    window = np.hanning(data.shape[-1])
    spectrum = np.abs(np.fft.rfft(data * window)) / window.sum() * 2
    at = np.abs(np.fft.rfftfreq(data.shape[-1], 1 / sfreq) - hz) < 0.3
    return 20 * np.log10(spectrum[..., at].max(axis=-1))


# --- from file to segments: what is microvolts stays microvolts, and in its place


def test_ten_microvolts_stay_ten_from_bdf_to_segments(tmp_path, write_bdf, status_words):
    """Every electrode has a sine of its own phase, so that the average of all is nothing."""
    phases = 2 * np.pi * np.arange(32) / 32
    sines = 10 * np.sin(2 * np.pi * 10 * TIMES + phases[:, None])
    offsets = np.linspace(-12_000, 15_000, 32)[:, None]
    signals = dict(zip(TWENTE, sines + offsets, strict=True))
    words = status_words(len(TIMES), [(9 * SFREQ, 4), (21 * SFREQ, 5)])
    path = write_bdf(tmp_path / "s01.bdf", signals, words)
    segments = cut(clean(read_bdf(path), EegSettings()), 1, 12.0, 3.0)
    assert segments.shape == (4, 32, 384)
    assert segments.dtype == np.float32
    t = 9 + np.arange(12 * 128) / 128
    for row, name in enumerate(GENEVA):
        expected = 10 * np.sin(2 * np.pi * 10 * t + phases[TWENTE.index(name)])
        assert np.abs(np.concatenate(segments[:, row]) - expected).max() < 0.1


def test_one_electrode_loses_its_share_to_the_average():
    data = np.zeros((32, len(TIMES)))
    data[5] = 32 * np.sin(2 * np.pi * 12 * TIMES)
    # ten microvolts of something else everywhere keep the other electrodes alive
    data += 10 * np.sin(2 * np.pi * 20 * TIMES + 2 * np.pi * np.arange(32)[:, None] / 32)
    cleaned = clean(_block(data), PLAIN).data[:, 1280:2560]
    at = 10 ** (_power_db(cleaned, 128, 12) / 20)
    np.testing.assert_allclose(at[5], 31, rtol=0.01)
    np.testing.assert_allclose(np.delete(at, 5), 1, rtol=0.01)


def test_what_all_electrodes_share_is_gone():
    shared = 80 * np.sin(2 * np.pi * 7 * TIMES)
    with_it, without = (clean(_block(_noise() + extra), PLAIN).data for extra in (shared, 0))
    np.testing.assert_allclose(with_it, without, atol=1e-6)


def test_samples_stay_where_they_are_in_time():
    """An impulse every second, found at that second after filtering and resampling."""
    data = np.zeros((32, len(TIMES)))
    data[0, ::SFREQ] = 1000.0
    data += _noise(size=1.0)
    signal = clean(_block(data), PLAIN).data[0]
    for second in range(3, SECONDS - 3):
        around = np.arange(second * 128 - 40, second * 128 + 41)
        assert around[np.abs(signal[around]).argmax()] == second * 128


@pytest.mark.parametrize("sfreq", [250.0, 256.0, 500.0, 1000.0, 2048.0, 100.0])
def test_other_rates_keep_size_and_time(sfreq):
    times = np.arange(int(sfreq * 40)) / sfreq
    data = 10 * np.sin(2 * np.pi * 6 * times + 2 * np.pi * np.arange(32)[:, None] / 32)
    eeg = clean(_block(data, sfreq), PLAIN)
    assert eeg.sfreq == 128.0
    assert eeg.data.shape == (32, 40 * 128)
    t = np.arange(40 * 128) / 128
    expected = 10 * np.sin(2 * np.pi * 6 * t + 2 * np.pi * np.arange(32)[:, None] / 32)
    middle = slice(5 * 128, 35 * 128)
    assert np.abs(eeg.data - expected)[:, middle].max() < 0.1


def test_nothing_drifts_over_a_long_recording_of_an_odd_rate():
    """The rate is exact: late in the recording a wave is where it was at its start."""
    sfreq = 250.0
    times = np.arange(int(sfreq * 601)) / sfreq
    data = np.vstack([10 * np.sin(2 * np.pi * 20 * times), -10 * np.sin(2 * np.pi * 20 * times)])
    signal = clean(_block(data, sfreq), PLAIN).data[0]
    t = np.arange(len(signal)) / 128
    late = slice(595 * 128, 598 * 128)
    assert np.abs(signal - 10 * np.sin(2 * np.pi * 20 * t))[late].max() < 0.1


# --- filters


def test_mains_and_harmonics_are_removed_and_the_rest_is_kept():
    data = _noise(size=2.0)
    data[3] += 50 * np.sin(2 * np.pi * 50 * TIMES) + 50 * np.sin(2 * np.pi * 100 * TIMES)
    data[4] += 10 * np.sin(2 * np.pi * 40 * TIMES)
    settings = EegSettings(eog="none", bad_channels="keep", band_hz=(1.0, 110.0), sfreq_hz=256.0)
    without = settings.model_copy(update={"notch_hz": 0.0})
    middle = slice(10 * 256, 20 * 256)
    after, before = (clean(_block(data), s).data[:, middle] for s in (settings, without))
    for hz in (50, 100):
        assert _power_db(before, 256, hz)[3] - _power_db(after, 256, hz)[3] > 30
    assert abs(_power_db(before, 256, 40)[4] - _power_db(after, 256, 40)[4]) < 0.1


def test_nothing_above_the_new_nyquist_folds_back():
    data = _noise(size=1.0)
    data[3] += 200 * np.sin(2 * np.pi * 100 * TIMES)
    settings = PLAIN.model_copy(update={"band_hz": (1.0, 60.0)})
    # 100 Hz would appear at 28 Hz
    assert _power_db(clean(_block(data), settings).data, 128, 28)[3] < 0
    preprocessed = clean(_block(data, cleaned=True), settings)
    assert _power_db(preprocessed.data[:, 640:-640], 128, 28)[3] < 0


@pytest.mark.parametrize("seconds", [1, SECONDS])
def test_an_offset_of_millivolts_does_not_ring(seconds):
    """Not even where the recording is shorter than the filter."""
    data = _noise()[:, : seconds * SFREQ]
    far = data + np.linspace(-30_000, 30_000, 32)[:, None]
    offset, plain = (clean(_block(block), PLAIN).data for block in (far, data))
    np.testing.assert_allclose(offset, plain, atol=1e-5)


def test_a_step_two_seconds_before_the_stimulus_does_not_reach_it():
    data = _noise()
    stepped = data.copy()
    stepped[7, : 7 * SFREQ] += 10_000
    difference = clean(_block(stepped), PLAIN).data - clean(_block(data), PLAIN).data
    # the average reference spreads a thirtieth of it over all electrodes
    assert np.abs(difference[:, 9 * 128 :]).max() < 0.5
    assert np.abs(difference[7, 7 * 128 - 64 : 7 * 128 + 64]).max() > 1000


# --- preprocessed blocks, channels, units


def test_preprocessed_blocks_are_not_filtered_again():
    data = _noise() + 3.0
    eeg = clean(_block(data, 128.0, cleaned=True), EegSettings())
    np.testing.assert_allclose(eeg.data, data, rtol=1e-12)
    assert (eeg.notes, eeg.interpolated) == ((), ())


def test_channels_are_picked_by_name_in_the_order_asked_for():
    data = np.arange(32)[:, None] * 100.0 + np.zeros((32, 1000))
    block = _block(data, 128.0, cleaned=True)
    eeg = clean(block, EegSettings(), channels=("oz", "FP1", "Cz"))
    assert eeg.channels == ("oz", "FP1", "Cz")
    np.testing.assert_allclose(eeg.data[:, 0], [GENEVA.index(n) * 100 for n in ("Oz", "Fp1", "Cz")])
    with pytest.raises(InputError, match="lacks the channel TP9"):
        clean(block, EegSettings(), channels=("Oz", "TP9"))


@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_a_wrong_unit_is_refused(factor):
    with pytest.raises(InputError, match="microvolts after filtering"):
        clean(_block(_noise() * factor), EegSettings())


def test_a_bdf_without_units_is_refused(tmp_path, write_bdf, status_words):
    signals = dict(zip(GENEVA, _noise(), strict=True))
    words = status_words(len(TIMES), [(9 * SFREQ, 4)])
    path = write_bdf(tmp_path / "s01.bdf", signals, words, unit="")
    with pytest.raises(InputError, match=r"s01\.bdf.*microvolts"):
        clean(read_bdf(path), EegSettings())


def test_a_recording_slower_than_the_band_says_so():
    times = np.arange(3000) / 100.0
    data = 10 * np.sin(2 * np.pi * 6 * times + np.arange(32)[:, None])
    assert any("Recorded at 100 Hz" in note for note in clean(_block(data, 100.0), PLAIN).notes)


def test_a_recording_shorter_than_the_filter_says_so():
    assert any("lasts 4.0 s" in note for note in clean(_block(_noise()[:, :2048]), PLAIN).notes)


@pytest.mark.parametrize("load_bytes", [1, 5 * 8 * SFREQ * SECONDS])
def test_loading_in_parts_changes_nothing(monkeypatch, load_bytes):
    block = _block(_noise())
    whole = clean(block, EegSettings()).data
    monkeypatch.setattr("milmer_cli.recordings.eeg._LOAD_BYTES", load_bytes)
    np.testing.assert_array_equal(clean(block, EegSettings()).data, whole)


# --- segments


def test_segments_are_exactly_the_slices():
    """The value tells electrode and sample; nothing may move."""
    data = np.arange(32)[:, None] * 50_000.0 + np.arange(40 * 128)
    eeg = CleanEeg(data, 128.0, GENEVA, {1: 3.0, 2: 10.004})
    segments = cut(eeg, 1, 20.0, 3.0)
    assert segments.shape == (6, 32, 384)
    for s in range(6):
        np.testing.assert_array_equal(segments[s], data[:, 384 * (s + 1) : 384 * (s + 2)])
    # 10.004 s is sample 1280.5, rounded to even
    assert cut(eeg, 2, 3.0, 3.0)[0, 0, 0] == round(10.004 * 128)


def test_overlapping_segments_start_where_segment_onsets_says():
    data = np.arange(40 * 128, dtype=float)[None]
    eeg = CleanEeg(data, 128.0, ("Cz",), {1: 1.0})
    onsets = segment_onsets(12.0, 3.0, 2.0)
    np.testing.assert_array_equal(onsets, np.arange(10.0))
    segments = cut(eeg, 1, 12.0, 3.0, 2.0)
    np.testing.assert_array_equal(segments[:, 0, 0], 128 * (1 + onsets))


@pytest.mark.parametrize(
    ("duration_s", "segment_s", "overlap_s", "count"),
    [
        (60.0, 3.0, 0.0, 20),
        (59.98, 3.0, 0.0, 20),  # a late code 4 or an early code 5
        (60.04, 3.0, 0.0, 20),
        (59.5, 3.0, 0.0, 19),
        (2.5, 3.0, 0.0, 0),
        (0.0, 3.0, 0.0, 0),
        (6.0, 3.0, 1.5, 3),
        (0.3, 0.1, 0.0, 4),
    ],
)
def test_jitter_of_the_end_loses_no_segment(duration_s, segment_s, overlap_s, count):
    assert segment_count(duration_s, segment_s, overlap_s) == count
    assert len(segment_onsets(duration_s, segment_s, overlap_s)) == count


def test_a_trial_beyond_the_end_has_fewer_segments_and_no_padding():
    eeg = CleanEeg(np.ones((2, 10 * 128)), 128.0, ("Fz", "Cz"), {1: 2.0, 2: 9.0, 3: 50.0})
    assert len(cut(eeg, 1, 60.0, 3.0)) == 2
    assert cut(eeg, 2, 60.0, 3.0).shape == (0, 2, 384)
    assert cut(eeg, 3, 60.0, 3.0).shape == (0, 2, 384)
    with pytest.raises(InputError, match="no trial 4"):
        cut(eeg, 4, 60.0, 3.0)


def test_the_settings_choose_the_cut():
    data = np.random.default_rng(0).normal(0, 10, (32, 40 * 128))
    eeg = CleanEeg(data, 128.0, GENEVA, {1: 3.0})
    overlapping = EegSettings(overlap_s=1.0)
    np.testing.assert_array_equal(cut_trial(eeg, 1, 30.0, overlapping), cut(eeg, 1, 30.0, 3.0, 1.0))
    published = cut_trial(eeg, 1, 30.0, EegSettings(layout="published"))
    assert published.shape == (10, 32, 384)
    assert not np.allclose(published, cut(eeg, 1, 30.0, 3.0), atol=5)


# --- any file


def test_any_format_is_opened_with_typed_channels(tmp_path):
    names = [*GENEVA, "EOG left", "ECG", "STATUS"]
    info = mne.create_info(names, 256.0, "eeg")
    raw = mne.io.RawArray(np.zeros((len(names), 512)), info, verbose="error")
    raw.save(tmp_path / "own_raw.fif", verbose="error")
    opened = open_eeg(tmp_path / "own_raw.fif")
    assert opened.get_channel_types()[31:] == ["eeg", "eog", "misc", "stim"]


def test_whatever_a_reader_trips_over_is_one_sentence(tmp_path, monkeypatch):
    def trips(*_, **__):
        raise AttributeError("'ndarray' object has no attribute 'get'")

    (tmp_path / "a.set").write_bytes(b"x")
    monkeypatch.setattr(mne.io, "read_raw", trips)
    with pytest.raises(InputError, match=r"a\.set cannot be read as EEG: 'ndarray' object"):
        open_eeg(tmp_path / "a.set")


def test_a_recording_that_breaks_off_is_refused(tmp_path):
    raw = raw_from_microvolts(np.random.default_rng(0).normal(size=(4, 4096)), 128.0, list("abcd"))
    path = tmp_path / "x_raw.fif"
    raw.save(path, verbose="error")
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(InputError, match="cannot be read to its end"):
        clean(EegBlock(open_eeg(path), {}), EegSettings())


def test_what_is_no_eeg_is_refused(tmp_path):
    with pytest.raises(InputError, match="There is no EEG file"):
        open_eeg(tmp_path / "none.edf")
    (tmp_path / "a.edf").write_bytes(b"nonsense" * 100)
    with pytest.raises(InputError, match=r"a\.edf cannot be read as EEG"):
        open_eeg(tmp_path / "a.edf")
    (tmp_path / "a.xyz").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"a\.xyz cannot be read as EEG"):
        open_eeg(tmp_path / "a.xyz")
    (tmp_path / "b.edf").write_bytes(b"")
    with pytest.raises(InputError, match=r"b\.edf is empty"):
        open_eeg(tmp_path / "b.edf")
    (tmp_path / "c.eeg").write_bytes(b"samples")
    (tmp_path / "c.vhdr").write_text("header")
    with pytest.raises(InputError, match="without its header") as caught:
        open_eeg(tmp_path / "c.eeg")
    assert "c.vhdr" in caught.value.hint
    info = mne.create_info(["STATUS"], 256.0, "stim")
    raw = mne.io.RawArray(np.zeros((1, 512)), info, verbose="error")
    raw.save(tmp_path / "stim_raw.fif", verbose="error")
    with pytest.raises(InputError, match="has no EEG channel"):
        open_eeg(tmp_path / "stim_raw.fif")
