from __future__ import annotations

import mne
import numpy as np
import pytest
from scipy import signal

HZ = 512
# Repeated here on purpose: the test must not take its expectation from the code under test.
TWENTE_START = ["Fp1", "AF3", "F7", "F3", "FC1", "FC5", "T7", "C3"]
GENEVA_START = ["Fp1", "AF3", "F3", "F7", "FC5", "FC1", "C3", "T7"]
AUXILIARY = "EXG1 EXG2 EXG3 EXG4 EXG5 EXG6 EXG7 EXG8 GSR1 GSR2 Erg1 Erg2 Resp Plet Temp"


def _read(generated, name):
    return mne.io.read_raw_bdf(
        generated.root / "data_original" / f"{name}.bdf",
        stim_channel=None,
        preload=True,
        verbose="ERROR",
    )


def _digital(path):
    """Return the 24-bit integers of all channels, read without mne, (n_channels, n_samples)."""
    content = path.read_bytes()
    n_channels = int(content[252:256])
    body = np.frombuffer(content[256 * (n_channels + 1) :], dtype=np.uint8)
    records = body.reshape(-1, n_channels, HZ, 3).astype(np.int32)
    values = records[..., 0] | records[..., 1] << 8 | records[..., 2] << 16
    return values.transpose(1, 0, 2).reshape(n_channels, -1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("s01", TWENTE_START, ["Status"]),
        ("s02", TWENTE_START, ["Status"]),
        ("s24", GENEVA_START, [""]),
        ("s29", GENEVA_START, ["-0", "-1"]),
    ],
)
def test_write_bdf_channel_names_and_order_of_the_site(generated, name, start, end):
    raw = _read(generated, name)
    assert raw.info["sfreq"] == HZ
    assert raw.ch_names[:8] == start
    assert raw.ch_names[32:47] == AUXILIARY.split()
    assert raw.ch_names[47:] == end
    assert len(set(raw.ch_names[:32])) == 32


@pytest.mark.parametrize("name", ["s01", "s02", "s24", "s29"])
def test_write_bdf_status_codes_in_order_and_nth_code_4_is_trial_n(generated, name):
    truth = generated.participant(name)
    values = _digital(generated.root / "data_original" / f"{name}.bdf")[-1]
    codes = values & 0xFF
    edges = np.flatnonzero(np.diff(codes, prepend=0))
    starts = [edge for edge in edges if codes[edge]]
    sequence = [int(codes[edge]) for edge in starts]
    assert sequence == [1, 1, 2, *[3, 4, 5, 1] * len(truth.trials), 2, 6, 7]
    onsets = [int(edge) for edge in starts if codes[edge] == 4]
    assert onsets == [trial.onset_sample for trial in truth.trials]
    assert all((codes[onset : onset + 8] == 4).all() for onset in onsets)


def test_status_values_high_bits_at_site_b_only(generated):
    folder = generated.root / "data_original"
    assert _digital(folder / "s01.bdf")[-1].max() == 7
    for name in ("s24", "s29"):
        values = _digital(folder / f"{name}.bdf")[-1]
        assert values[0] == 0x19FF00
        assert np.bincount(values[1:] >> 8).argmax() == 0x18FF
        assert 0x58FF04 in values  # the battery bit changes while a code is held
        assert 0x18FF04 in values
        assert set((values[1:] >> 8).tolist()) == {0x18FF, 0x58FF}


def test_one_unit_is_a_32nd_of_a_microvolt(generated):
    path = generated.root / "data_original" / "s01.bdf"
    header = path.read_bytes()[: 256 * 49]
    assert header[:8] == b"\xffBIOSEMI"
    assert header[192:197] == b"24BIT"
    microvolts = _read(generated, "s01").get_data(picks=[0])[0] * 1e6
    digital = _digital(path)[0]
    digital = np.where(digital >= 1 << 23, digital - (1 << 24), digital)
    assert np.abs(microvolts - digital / 32).max() < 0.05


def test_simulate_signals_offset_drift_mains_and_blinks(generated):
    truth = generated.participant("s01")
    raw = _read(generated, "s01")
    eeg = raw.get_data(picks=raw.ch_names[:32]) * 1e6
    assert np.median(np.abs(eeg.mean(axis=1))) > 2000  # millivolts
    assert np.median(np.ptp(eeg, axis=1)) > 100
    hertz, power = signal.welch(eeg, HZ, nperseg=4 * HZ)
    mains = power[:, np.abs(hertz - 50) < 0.3].max(axis=1)
    beside = power[:, np.abs(hertz - 46) < 2].mean(axis=1)
    assert np.median(mains / beside) > 30

    sos = signal.butter(2, (0.5, 10), "bandpass", fs=HZ, output="sos")
    veog = raw.get_data(picks=["EXG3"])[0] - raw.get_data(picks=["EXG4"])[0]
    veog = signal.sosfiltfilt(sos, veog) * 1e6
    peaks, _ = signal.find_peaks(veog, height=120, distance=HZ // 2)
    found = np.abs(peaks[:, None] / HZ - np.array(truth.blinks_s)).min(axis=0)
    assert (found < 0.1).mean() > 0.9

    def at_blinks(name):
        row = signal.sosfiltfilt(sos, raw.get_data(picks=[name])[0]) * 1e6
        inner = [b for b in truth.blinks_s if b > 1]
        return np.mean([row[round(b * HZ)] for b in inner])

    assert at_blinks("Fp1") > 40
    assert abs(at_blinks("O1")) < 15


def test_simulate_signals_mark_identifies_the_stimulus(generated):
    for participant in generated.truth.participants:
        raw = _read(generated, participant.name)
        row = raw.get_data(picks=["Oz"])[0] * 1e6
        for trial in participant.trials:
            segment = row[trial.onset_sample : trial.onset_sample + 3 * HZ]
            seconds = np.arange(segment.size) / HZ
            segment = signal.detrend(segment) * np.hanning(segment.size)
            candidates = 5.0 + 0.9 * np.arange(1, 41)
            power = [abs(np.sum(segment * np.exp(-2j * np.pi * hz * seconds))) for hz in candidates]
            assert candidates[int(np.argmax(power))] == pytest.approx(trial.mark_hz)
            assert int(np.argmax(power)) + 1 == trial.stimulus
