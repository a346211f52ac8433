"""Bad channels with known truth; bench/artifacts.py measures the rates on more recordings."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import mne
import numpy as np
import pytest

from milmer_cli.eeg.bad_channels import find_bad_windows, window_edges, windows_to_segments
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.io import EegBlock, raw_from_microvolts
from milmer_cli.eeg.preprocess import preprocess_eeg
from milmer_cli.eeg.splines import electrode_splines
from milmer_cli.settings.schema import EegSettings

SCRIPT = Path(__file__).parents[2] / "bench" / "artifacts.py"
SPLINES = electrode_splines(mne.create_info(list(GENEVA), 128.0, "eeg"), GENEVA)
KINDS = (
    "open", "3-5x noise", "500 uV, 40 %", "pops", "drift", "dead, 40 %", "bridge", "copy",
    "flipped", "flat", "6x", "several",
)  # fmt: skip


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_artifacts", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # data classes look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clean(bench):
    """40 s with blinks, saccades, muscle activity and alpha, and no bad channel."""
    return bench.simulate(bench.Scenario(seconds=40.0), np.random.default_rng(11))


@pytest.fixture(scope="module")
def truth(bench, clean):
    return bench.preprocess(clean, GENEVA)


def test_find_bad_windows_of_eyes_muscles_and_alpha(truth):
    assert not truth.bad.any()
    assert truth.bad.shape == truth.interpolated_windows.shape == (32, 40)
    assert truth.interpolated == truth.notes == truth.warnings == ()


@pytest.mark.parametrize("kind", KINDS)
def test_find_bad_windows_of_each_kind(bench, clean, truth, kind):
    broken, bad = bench.inject(kind, clean, GENEVA, np.random.default_rng(3))
    eeg = bench.preprocess(broken, GENEVA)
    rates = bench.rates(eeg.bad, bad)
    assert rates["detected"] == 1.0
    assert rates["false s"] < 0.01
    assert bench.error(eeg.data, truth.data, ~bad.any(axis=1)) < 0.03
    np.testing.assert_array_equal(eeg.bad, eeg.interpolated_windows)
    assert set(eeg.interpolated) == {GENEVA[row] for row in np.flatnonzero(eeg.bad.any(axis=1))}


def test_find_bad_windows_spares_an_intact_channel_beside_another_with_muscle_activity(bench):
    """F8 has activity of its own, and FC6 is flat, so T8 is predicted well only without F8."""
    scenario, rng = bench.scenario_of(120, GENEVA)
    broken, bad = bench.inject("several", bench.simulate(scenario, rng), GENEVA, rng)
    assert GENEVA[int(np.flatnonzero(bad.any(axis=1))[-2])] == "FC6"
    eeg = bench.preprocess(broken, GENEVA)
    assert not eeg.bad[GENEVA.index("T8")].any()
    assert eeg.bad[GENEVA.index("FC6")].all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clean", *KINDS])
def test_find_bad_windows_rates(bench, kind):
    rows = []
    for seed in range(100, 130):
        scenario, rng = bench.scenario_of(seed, GENEVA)
        data = bench.simulate(scenario, rng)
        broken, bad = bench.inject(kind, data, GENEVA, rng)
        eeg = bench.preprocess(broken, GENEVA)
        error = bench.error(eeg.data, bench.reference_data(data, GENEVA), ~bad.any(axis=1))
        rows.append({**bench.rates(eeg.bad, bad), "error": error})
    means = {key: np.mean([row[key] for row in rows]) for key in ("detected", "false s", "error")}
    assert kind == "clean" or means["detected"] >= 0.9
    assert means["false s"] <= 0.01
    assert means["error"] < 0.03


@pytest.mark.parametrize(("kind", "reason"), [("dead, 40 %", "flat"), ("500 uV, 40 %", "noisy")])
def test_find_bad_windows_only_while_a_channel_is_bad(bench, clean, kind, reason):
    broken, bad = bench.inject(kind, clean, GENEVA, np.random.default_rng(5))
    eeg = bench.preprocess(broken, GENEVA)
    row = int(np.flatnonzero(bad.any(axis=1))[0])
    seconds = np.flatnonzero(bad[row])[[0, -1]] / bench.SFREQ
    marked = np.flatnonzero(eeg.bad[row])
    # the filter spreads a burst by up to 1.65 s, and blurs the ends of a flat part
    assert abs(marked[0] - seconds[0]) < 2
    assert abs(marked[-1] - seconds[1]) < 2
    [note] = [note for note in eeg.notes if note.startswith("Interpolated")]
    assert f"{GENEVA[row]} ({reason}" in note
    assert " % of the time)" in note


@pytest.mark.parametrize(
    "cap", ["BioSemi 64", "10-20, 19", "Emotiv 14", "8 electrodes", "4 bipolar"]
)
def test_find_bad_windows_of_other_caps(bench, cap):
    names = bench.CAPS[cap]
    scenario = bench.Scenario(names, seconds=30.0)
    eeg = bench.preprocess(bench.simulate(scenario, np.random.default_rng(1)), names)
    assert eeg.bad.mean() < 0.01
    limited = any("only flat channels and channels of unusual" in note for note in eeg.notes)
    assert limited is (cap in ("8 electrodes", "4 bipolar"))


def test_find_bad_windows_without_positions(bench, clean):
    broken = clean.copy()
    broken[4] = 0.0
    broken[9] += 500 * np.random.default_rng(0).normal(size=clean.shape[1])
    names = tuple(f"E{number}" for number in range(32))
    eeg = bench.preprocess(broken, names)
    assert np.flatnonzero(eeg.bad.any(axis=1)).tolist() == [4, 9]
    assert eeg.interpolated == ()
    assert any("The electrode positions are not known, so only flat" in text for text in eeg.notes)


@pytest.mark.parametrize("n_channels", [8, 14, 32])
def test_find_bad_windows_of_independent_noise(n_channels):
    """Without spatial structure, no channel is predictable, so none is bad for that reason."""
    data = np.random.default_rng(0).normal(0, 10, (n_channels, 128 * 40))
    names = GENEVA[:n_channels]
    splines = electrode_splines(mne.create_info(list(names), 128.0, "eeg"), names)
    found = find_bad_windows(data, 128.0, names, splines)
    assert not found.bad.any()
    assert "searched" in found.notes[0]


def test_find_bad_windows_of_a_test_signal():
    """Sines with one phase per channel are two independent signals, which no spline predicts."""
    times = np.arange(128 * 40) / 128
    phases = 2 * np.pi * np.arange(32) / 32
    found = find_bad_windows(10 * np.sin(60 * times + phases[:, None]), 128.0, GENEVA, SPLINES)
    assert not found.bad.any()
    assert "fewer than 5 independent signals" in found.notes[0]


@pytest.mark.parametrize("mode", ["interpolate", "keep"])
def test_find_bad_windows_with_most_channels_loose(bench, clean, mode):
    rng = np.random.default_rng(8)
    loose = rng.permutation(32)[:17]
    broken = clean.copy()
    broken[loose] += rng.normal(0, 400, (17, clean.shape[1]))
    settings = bench.SETTINGS.model_copy(update={"bad_channels": mode})
    eeg = preprocess_eeg(EegBlock(raw_from_microvolts(broken, bench.SFREQ, GENEVA), {}), settings)
    assert eeg.bad[loose].mean() > 0.99
    assert np.delete(eeg.bad, loose, axis=0).mean() < 0.01
    assert not eeg.interpolated_windows.any()
    [warning] = eeg.warnings
    assert "For 100 % of the recording more than 25 % of the channels are bad (53 % on" in warning
    assert any("17 of 32 channels are bad and were kept" in note for note in eeg.notes)


def test_find_bad_windows_keep_leaves_them_out_of_the_average(bench, clean, truth):
    broken, bad = bench.inject("500 uV, 40 %", clean, GENEVA, np.random.default_rng(3))
    settings = bench.SETTINGS.model_copy(update={"bad_channels": "keep"})
    eeg = preprocess_eeg(EegBlock(raw_from_microvolts(broken, bench.SFREQ, GENEVA), {}), settings)
    row = int(np.flatnonzero(bad.any(axis=1))[0])
    assert eeg.bad[row].any()
    assert not eeg.interpolated_windows.any()
    assert eeg.data[row].std() > 100
    assert bench.error(eeg.data, truth.data, ~bad.any(axis=1)) < 0.03


def test_find_bad_windows_marked_by_the_user(bench, clean):
    raw = raw_from_microvolts(clean, bench.SFREQ, GENEVA)
    raw.info["bads"] = ["Fz"]
    eeg = preprocess_eeg(EegBlock(raw, {}), bench.SETTINGS)
    assert eeg.bad[GENEVA.index("Fz")].all()
    assert eeg.bad.sum() == eeg.bad.shape[1]
    assert eeg.interpolated == ("Fz",)


def test_find_bad_windows_is_not_changed_by_a_common_signal(bench, clean):
    broken, _ = bench.inject("open", clean, GENEVA, np.random.default_rng(3))
    shared = 200 * np.sin(40 * np.arange(clean.shape[1]) / bench.SFREQ)
    one, two = (bench.preprocess(data, GENEVA) for data in (broken, broken + shared))
    np.testing.assert_array_equal(one.bad, two.bad)


def test_preprocess_eeg_does_not_search_a_preprocessed_block(clean):
    raw = raw_from_microvolts(clean, 256.0, GENEVA)
    eeg = preprocess_eeg(EegBlock(raw, {}, pass_band_hz=(4.0, 45.0)), EegSettings())
    assert eeg.bad.shape == (32, 40)
    assert not eeg.bad.any()


@pytest.mark.parametrize(
    ("n_samples", "edges"),
    [(50, [0, 50]), (128, [0, 128]), (255, [0, 255]), (400, [0, 128, 256, 400])],
)
def test_window_edges_add_the_rest_to_the_last_window(n_samples, edges):
    assert window_edges(n_samples, 128.0).tolist() == edges


def test_windows_to_segments_marks_every_segment_that_overlaps():
    windows = np.zeros((2, 10), bool)
    windows[1, [3, 9]] = True
    starts = np.array([0.0, 1.0, 2.5, 3.0, 4.0, 8.5, 11.0])
    marked = windows_to_segments(windows, starts, 2.0)
    assert marked.shape == (7, 2)
    assert not marked[:, 0].any()
    assert marked[:, 1].tolist() == [False, False, True, True, False, True, True]
