"""EEG in arrays of MATLAB files: every trial at its place, and filtered on its own."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import scipy.io

from helpers import mat_cell, read_mat_in_this_process, write_mat73
from milmer_cli.eeg.array_file import open_array
from milmer_cli.eeg.array_layout import EegArray, array_layout, find_trial
from milmer_cli.eeg.gaps import find_gaps
from milmer_cli.eeg.io import EegBlock, ReadOptions, open_eeg
from milmer_cli.eeg.line_noise import line_frequency
from milmer_cli.eeg.preprocess import preprocess_eeg
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import EegSettings

SFREQ, N_TRIALS = 250.0, 4
NAMES = ("Fp1", "F3", "C3", "Pz", "F4", "C4", "O1", "O2")
PLAIN = EegSettings(eog_correction="none", bad_channels="keep", notch_hz=0.0)


@pytest.fixture(autouse=True)
def _fast(request, monkeypatch):
    if "in_a_process_of_its_own" not in request.node.name:
        read_mat_in_this_process(monkeypatch)


def _trials(n_samples=2500, seed=0):
    """(trial, channel, time) microvolts: noise and an offset that differs between trials."""
    rng = np.random.default_rng(seed)
    data = 20 * rng.standard_normal((N_TRIALS, len(NAMES), n_samples))
    return data + 4000 * rng.standard_normal((N_TRIALS, len(NAMES), 1))


def _array(text, sfreq=SFREQ, channels=NAMES, unit="uV"):
    return EegArray.parse(text, sfreq, channels, unit)


def _signal(raw, path, array):
    place = find_trial(path, array)
    return 1e6 * raw.get_data(start=place.start, stop=place.start + place.length)


def _save(version, path, variables):
    if version == "7.3":
        return write_mat73(path, variables)
    cells = {k: mat_cell(v) if isinstance(v, list) else v for k, v in variables.items()}
    scipy.io.savemat(path, cells, do_compression=version == "7")
    return path


@pytest.mark.parametrize("version", ["5", "7", "7.3"])
@pytest.mark.parametrize(
    ("axes", "order"),
    [
        ("time,channel,{}", (2, 1, 0)),
        ("channel,time,{}", (1, 2, 0)),
        ("{},time,channel", (0, 2, 1)),
    ],
)
def test_open_array_places_every_trial(tmp_path, version, axes, order):
    trials = _trials(600)
    path = _save(version, tmp_path / "a.mat", {"seg1": trials.transpose(order), "other": 1.0})
    for number in range(1, N_TRIALS + 1):
        array = _array(f"seg1({axes.format(number)})")
        raw = open_array(path, array)
        assert raw.ch_names == list(NAMES)
        np.testing.assert_allclose(_signal(raw, path, array), trials[number - 1], rtol=1e-6)


def test_open_array_reads_in_a_process_of_its_own(tmp_path):
    parts = [_trials(400 + n, n)[0].T for n in range(2)]
    path = _save("7.3", tmp_path / "a.mat", {"x": parts})
    array = _array("x{2}(time,channel)")
    raw = open_array(path, array)
    np.testing.assert_allclose(_signal(raw, path, array), parts[1].T, rtol=1e-6)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_open_array_reads_cells_of_any_length_and_leaves_out_empty_ones(tmp_path, version):
    parts = [_trials(400 + 130 * n, n)[0].T for n in range(4)]
    parts[2] = np.zeros((0, 0))
    path = _save(version, tmp_path / "a.mat", {"joined_data": parts, "names": ["a", "b", "c"]})
    layout = array_layout(path, _array("joined_data{1}(time,channel)"))
    assert list(layout.trials) == [(1,), (2,), (4,)]
    for number in (1, 2, 4):
        array = _array(f"joined_data{{{number}}}(time,channel)")
        signal = _signal(open_array(path, array), path, array)
        np.testing.assert_allclose(signal, parts[number - 1].T, rtol=1e-6)
    with pytest.raises(InputError, match=r"joined_data\{3\}.*it is empty \(0 x 0\)"):
        find_trial(path, _array("joined_data{3}(time,channel)"))


def test_open_array_accepts_one_trial_without_its_dimension(tmp_path):
    data = _trials(500)[0].T
    path = _save("5", tmp_path / "a.mat", {"x": data})
    for text in ("x(time,channel)", "x(time,channel,1)"):
        array = _array(text)
        np.testing.assert_allclose(_signal(open_array(path, array), path, array), data.T, rtol=1e-6)


@pytest.mark.parametrize("unit", ["nV", "uV", "mV", "V"])
def test_open_eeg_of_an_array_applies_its_unit_and_types(tmp_path, unit):
    data = np.arange(3 * 500.0).reshape(3, 500)
    path = _save("5", tmp_path / "a.mat", {"x": data})
    array = _array("x(channel,time)", channels=("C3", "ECG right", "GSR"), unit=unit)
    raw = open_eeg(path, ReadOptions(array=array))
    volts = {"nV": 1e-9, "uV": 1e-6, "mV": 1e-3, "V": 1.0}
    np.testing.assert_allclose(raw.get_data("C3")[0], volts[unit] * data[0])
    assert raw.get_channel_types() == ["eeg", "misc", "misc"]
    stated = open_eeg(path, ReadOptions(array=array, unit="mV"))
    np.testing.assert_allclose(stated.get_data("C3")[0], 1e-3 * data[0])


def test_preprocess_eeg_filters_each_trial_of_an_array_on_its_own(tmp_path):
    trials = _trials()
    path = _save("5", tmp_path / "a.mat", {"x": trials.transpose(2, 1, 0)})
    together = preprocess_eeg(EegBlock(open_array(path, _array("x(time,channel,1)")), {}), PLAIN)
    for number in range(1, N_TRIALS + 1):
        alone = _save("5", tmp_path / f"{number}.mat", {"x": trials[number - 1].T})
        expected = preprocess_eeg(EegBlock(open_array(alone, _array("x(time,channel)")), {}), PLAIN)
        place = find_trial(path, _array(f"x(time,channel,{number})"))
        first = round(place.start / SFREQ * 128)
        found = together.data[:, first : first + expected.data.shape[1]]
        np.testing.assert_allclose(found, expected.data, atol=1e-3)
    assert together.notes[0] == "Each of the 4 trials of the array was filtered separately."
    assert len(together.notes) == 1


def test_preprocess_eeg_says_once_that_trials_are_shorter_than_the_filter(tmp_path):
    path = _save("5", tmp_path / "a.mat", {"x": _trials(500).transpose(2, 1, 0)})
    notes = preprocess_eeg(EegBlock(open_array(path, _array("x(time,channel,1)")), {}), PLAIN).notes
    assert sum("4 of the 4 parts of the recording are shorter" in note for note in notes) == 1


def test_open_array_makes_a_trial_that_is_not_finite_a_gap(tmp_path):
    trials = _trials(2500)
    trials[1, 3, 7] = np.nan
    path = _save("5", tmp_path / "a.mat", {"x": trials.transpose(2, 1, 0)})
    raw = open_array(path, _array("x(time,channel,1)"))
    place = find_trial(path, _array("x(time,channel,2)"))
    assert (place.start / SFREQ, (place.start + place.length) / SFREQ) in [
        (gap.start_s, gap.stop_s) for gap in find_gaps(raw)
    ]
    eeg = preprocess_eeg(EegBlock(raw, {}), PLAIN)
    assert np.isfinite(eeg.data).all()
    assert "Trials of the array without EEG, because their values are not finite: 2." in eeg.notes
    other = ("Fp1", "F3", "C3", "ECG", "F4", "C4", "O1", "O2")  # the NaN is not in an electrode
    raw = open_array(path, _array("x(time,channel,1)", channels=other))
    assert all("finite" not in gap.description for gap in find_gaps(raw))
    trials[:] = np.nan
    _save("5", path, {"x": trials.transpose(2, 1, 0), "y": 0.0})
    with pytest.raises(InputError, match=r"every trial of .* not finite"):
        open_array(path, _array("x(time,channel,1)"))


def test_line_frequency_of_an_array_is_found_within_its_trials(tmp_path):
    trials = _trials(1000)
    trials += 6 * np.sin(2 * np.pi * 50 * np.arange(1000) / SFREQ)
    path = _save("5", tmp_path / "a.mat", {"x": trials.transpose(2, 1, 0)})
    assert line_frequency(open_array(path, _array("x(time,channel,1)")), NAMES) == 50.0


@pytest.mark.parametrize(
    ("text", "channels", "message"),
    [
        ("seg(time,channel,1)", NAMES, r"has no array of numbers seg: its variables are seg1"),
        ("seg1{1}(time,channel)", NAMES, r"has no cell of arrays seg1"),
        ("seg1(time,channel,5)", NAMES, r"does not contain seg1\(time,channel,5\): .* 4"),
        ("seg1(time,channel)", NAMES, r"expected 2 dimensions, got 3 \(600 x 8 x 4\)"),
        ("seg1(channel,time,1)", NAMES, r"expected 8 channels, got 600 .* in another order"),
        ("seg1(time,channel,1)", NAMES[:7], r"expected 7 channels, got 8"),
    ],
)
def test_find_trial_reports_what_does_not_fit(tmp_path, text, channels, message):
    path = _save("5", tmp_path / "a.mat", {"seg1": _trials(600).transpose(2, 1, 0)})
    with pytest.raises(InputError, match=message):
        find_trial(path, _array(text, channels=channels))


def test_array_layout_limits_the_number_of_trials(tmp_path):
    path = _save("5", tmp_path / "a.mat", {"x": np.zeros((2, 8, 10_001))})
    with pytest.raises(InputError, match=r"expected at most 10,000 trials, got 10,001"):
        array_layout(path, _array("x(time,channel,1)"))


def test_open_array_numbers_channels_without_names(tmp_path):
    path = _save("5", tmp_path / "a.mat", {"x": _trials(600).transpose(2, 1, 0)})
    raw = open_array(path, _array("x(time,channel,1)", channels=()))
    assert raw.ch_names == ["1", "2", "3", "4", "5", "6", "7", "8"]


@pytest.mark.parametrize("version", ["7", "7.3"])
def test_open_array_of_a_damaged_file_is_an_error(tmp_path, version):
    path = _save(version, tmp_path / "a.mat", {"x": _trials(600).transpose(2, 1, 0)})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cannot be read as a MATLAB file"):
        open_array(path, _array("x(time,channel,1)"))


def test_array_layout_reads_variables_with_more_bytes_than_they_need(tmp_path):
    trials = _trials(600)
    path = _save("7", tmp_path / "a.mat", {"x": trials.transpose(2, 1, 0)})
    assert not array_layout(path, _array("x(time,channel,1)")).unverified
    append_to_compressed(path)
    array = _array("x(time,channel,3)")
    np.testing.assert_allclose(_signal(open_array(path, array), path, array), trials[2], rtol=1e-6)


def append_to_compressed(path):
    """Add bytes to the compressed form of the first variable, as in some files of AMIGOS."""
    content = path.read_bytes()
    size = int.from_bytes(content[132:136], "little")
    packed = zlib.compress(zlib.decompress(content[136 : 136 + size]) + bytes(64))
    header = content[:132] + len(packed).to_bytes(4, "little")
    path.write_bytes(header + packed + content[136 + size :])
