"""Bad channels: detection, false alarms, and the error on the intact channels, with known truth.

    python bench/artifacts.py [--repeats 30] [--seconds 600] [--kinds open] [--compare]
    python bench/artifacts.py --caps | --speed

Each recording is simulated with 40 dipoles in MNE's spherical head model (1/f activity and alpha),
sensor noise, a signal common to all electrodes, offsets of 20 mV, blinks, saccades, and muscle
activity at T7 and T8. One kind of bad channel is added, and the recording is preprocessed without
removal of eye artifacts. The thresholds of `milmer_cli.eeg.bad_channels` were chosen on recordings
of another generator (random smooth topographies without a head model) with other seeds.

Columns:

- detected: share of the bad channels that are marked in at least 80 % of their bad seconds;
- false s: share of the seconds of intact channels that are marked;
- false ch.: share of the intact channels that are marked in more than 10 % of the recording;
- beyond: share of the good seconds of a channel that is bad for a part that are marked;
- error: RMS difference from the recording without bad channels, on the intact channels, relative to
  their RMS: mean and maximum over the recordings.

`--compare` adds pyprep (``find_all_bads`` without RANSAC) and MNE (``find_bad_channels_lof`` and
``compute_bridged_electrodes``), which judge whole recordings: detected and false channels.
"""

from __future__ import annotations

import argparse
import functools
import time
import warnings
from dataclasses import dataclass

import mne
import numpy as np
from scipy import signal

from milmer_cli.eeg.bad_channels import find_bad_windows, window_edges
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.io import EegBlock, raw_from_microvolts
from milmer_cli.eeg.preprocess import PreprocessedEeg, preprocess_eeg
from milmer_cli.eeg.splines import electrode_splines
from milmer_cli.settings.schema import EegSettings

SFREQ = 256.0
_LABELS = {
    "10-20, 19": "Fp1 Fp2 F7 F3 Fz F4 F8 T7 C3 Cz C4 T8 P7 P3 Pz P4 P8 O1 O2",
    "Emotiv 14": "AF3 F7 F3 FC5 T7 P7 O1 O2 P8 T8 FC6 F4 F8 AF4",
    "8 electrodes": "Fp1 Fp2 C3 C4 P7 P8 O1 O2",
    "4 bipolar": "Fp1-F7 F7-T7 T7-P7 P7-O1",
}
CAPS = {
    "BioSemi 64": tuple(mne.channels.make_standard_montage("biosemi64").ch_names),
    "BioSemi 32": GENEVA,
} | {cap: tuple(labels.split()) for cap, labels in _LABELS.items()}
SETTINGS = EegSettings(eog_correction="none", notch_hz=0.0)
KINDS = (
    "clean", "open", "3-5x noise", "500 uV, 40 %", "pops", "drift", "dead, 40 %", "bridge", "copy",
    "flipped", "flat", "6x", "several",
)  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """Parameters of a simulated recording; amplitudes in microvolts."""

    names: tuple[str, ...] = GENEVA
    seconds: float = 60.0
    n_sources: int = 40
    exponent: float = 1.2
    brain_uv: float = 12.0
    alpha_uv: float = 6.0
    sensor_uv: float = 1.0
    blink_uv: float = 180.0
    muscle_uv: float = 12.0


def positions(names: tuple[str, ...]) -> np.ndarray:
    """Return unit vectors; of a bipolar channel, that of its first electrode."""
    known = mne.channels.make_standard_montage("easycap-M1").get_positions()["ch_pos"]
    known |= mne.channels.make_standard_montage("biosemi64").get_positions()["ch_pos"]
    points = np.array([known[name.split("-")[0]] for name in names])
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@functools.cache
def lead_field(names: tuple[str, ...], n_sources: int, seed: int) -> np.ndarray:
    """Return the potentials of random dipoles in a spherical head, (n_channels, n_sources)."""
    rng = np.random.default_rng([seed, 1])
    info = mne.create_info(list(names), SFREQ, "eeg")
    with mne.utils.use_log_level("error"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        info.set_montage("standard_1005")
        raw = mne.io.RawArray(np.zeros((len(names), 2)), info)
        raw.set_eeg_reference(projection=True)
        sphere = mne.make_sphere_model("auto", "auto", raw.info)
        points = rng.normal(size=(n_sources, 3))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        points[:, 2] = np.abs(points[:, 2]) - 0.2
        points *= sphere.radius * rng.uniform(0.4, 0.8, (n_sources, 1))
        moments = points + 0.5 * sphere.radius * rng.normal(size=points.shape)
        moments /= np.linalg.norm(moments, axis=1, keepdims=True)
        times, ones = np.arange(n_sources) / SFREQ, np.ones(n_sources)
        dipoles = mne.Dipole(times, points + sphere["r0"], 1e-8 * ones, moments, ones)
        forward, _ = mne.make_forward_dipole(dipoles, sphere, raw.info)
    gains = forward["sol"]["data"]
    return gains / gains.std(axis=0)


def power_law(rows: int, n_samples: int, exponent: float, rng: np.random.Generator) -> np.ndarray:
    spectrum = np.fft.rfft(rng.normal(size=(rows, n_samples)))
    frequencies = np.fft.rfftfreq(n_samples, 1 / SFREQ)
    noise = np.fft.irfft(spectrum * np.maximum(frequencies, 0.3) ** (-exponent / 2), n_samples)
    return noise / noise.std(axis=1, keepdims=True)


def band_noise(low: float, high: float, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    sos = signal.butter(2, (low, high), "bandpass", fs=SFREQ, output="sos")
    noise = signal.sosfilt(sos, rng.normal(size=n_samples))
    return noise / noise.std()


def brain(scenario: Scenario, rng: np.random.Generator) -> np.ndarray:
    n_samples, head = round(scenario.seconds * SFREQ), int(rng.integers(8))
    pairs = [name.split("-") for name in scenario.names]
    cap = tuple(dict.fromkeys(name for pair in pairs for name in pair))
    gains = lead_field(cap, scenario.n_sources, head)
    if cap != scenario.names:
        gains = np.array([gains[cap.index(a)] - gains[cap.index(b)] for a, b in pairs])
    sources = power_law(scenario.n_sources, n_samples, scenario.exponent, rng)
    activity = gains @ (rng.uniform(0.5, 1.5, (scenario.n_sources, 1)) * sources)
    activity *= scenario.brain_uv / activity.std(axis=1).mean()
    for gain in gains.T[:3]:
        activity += scenario.alpha_uv * np.outer(gain, band_noise(9, 11, n_samples, rng))
    return activity + rng.normal(0, scenario.sensor_uv, activity.shape)


def artifacts(scenario: Scenario, rng: np.random.Generator) -> np.ndarray:
    """Return blinks, saccades and muscle activity: none of them makes a channel bad."""
    points, n_samples = positions(scenario.names), round(scenario.seconds * SFREQ)
    blinks, gaze, start = np.zeros(n_samples), np.zeros(n_samples), 1.0
    while start < scenario.seconds - 1:
        shape = np.hanning(round(rng.uniform(0.25, 0.4) * SFREQ))
        blinks[round(start * SFREQ) :][: len(shape)] += rng.uniform(0.6, 1.2) * shape
        start += rng.uniform(2, 6)
    for begin in np.sort(rng.uniform(0, scenario.seconds, round(scenario.seconds / 2))):
        gaze[round(begin * SFREQ) :] = rng.uniform(-1, 1)
    x, y, z = np.clip(points.T, [[-1], [0], [0]], 1)
    data = scenario.blink_uv * np.outer(y**4 * np.exp(-2 * z), blinks)
    data += 50 * np.outer(y**2 * x, gaze)
    for side in (-1, 1):
        muscle = np.zeros(n_samples)
        for begin in rng.uniform(0, scenario.seconds, round(scenario.seconds / 15)):
            muscle[round(begin * SFREQ) : round((begin + rng.uniform(0.5, 4)) * SFREQ)] = 1
        spread = np.exp(-np.sum((points - [side, 0, 0]) ** 2, axis=1) / 0.3)
        muscle *= band_noise(20, 90, n_samples, rng)
        data += scenario.muscle_uv * np.outer(spread, muscle)
    return data


def simulate(scenario: Scenario, rng: np.random.Generator) -> np.ndarray:
    """Return a recording without bad channels, (n_channels, n_samples) microvolts."""
    data = brain(scenario, rng) + artifacts(scenario, rng)
    shared = 30 * power_law(1, data.shape[1], 1.0, rng)
    return data + shared + rng.uniform(-20e3, 20e3, (len(data), 1))


def inject(
    kind: str, data: np.ndarray, names: tuple[str, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the recording with bad channels, and where they are: (n_channels, n_samples) bool."""
    broken, bad = data.copy(), np.zeros(data.shape, bool)
    kinds = {"clean": (), "several": ("open", "500 uV, 40 %", "flipped", "flat")}.get(kind, (kind,))
    offsets = data.mean(axis=1)
    for one, channel in zip(kinds, rng.permutation(len(data)), strict=False):
        signals = data - offsets[:, None]
        broken[channel], bad[channel] = defect(one, int(channel), signals, names, rng)
        broken[channel] += offsets[channel]
    return broken, bad


def defect(
    kind: str, channel: int, data: np.ndarray, names: tuple[str, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the signal of a bad channel, and where it is bad: both (n_samples,)."""
    n, own, shared = data.shape[1], data[channel], np.median(data, axis=0)
    size = np.median((data - shared).std(axis=1))
    everywhere, part = np.ones(n, bool), np.zeros(n, bool)
    begin = int(rng.uniform(0, 0.6) * n)
    part[begin : begin + int(0.4 * n)] = True
    if kind == "open":
        return shared + size * rng.uniform(0.7, 1.5) * power_law(1, n, 1, rng)[0], everywhere
    if kind == "3-5x noise":
        noise = power_law(1, n, rng.uniform(0, 1), rng)[0]
        return own + size * rng.uniform(3, 5) * noise, everywhere
    if kind == "500 uV, 40 %":
        return own + 500 * part * rng.normal(size=n), part
    if kind == "pops":
        pops, where = np.zeros(n), np.zeros(n, bool)
        shape = np.exp(-np.arange(round(0.5 * SFREQ)) / (0.1 * SFREQ))
        for second in np.arange(rng.uniform(0.5, 3), n / SFREQ - 0.6, 3):
            first = round(second * SFREQ)
            pops[first : first + len(shape)] += 1000 * rng.choice([-1, 1]) * shape
            where[first : first + round(0.2 * SFREQ)] = True
        return own + pops, where
    if kind == "drift":
        phase = 2 * np.pi * rng.uniform(0.05, 0.3) * np.arange(n) / SFREQ + rng.uniform(0, 6)
        return own + rng.uniform(300, 800) * np.sin(phase), everywhere
    if kind == "dead, 40 %":
        return np.where(part, rng.choice([0.0, own[begin]]), own), part
    if kind == "bridge":
        nearest = np.argsort(np.sum((positions(names) - positions(names)[channel]) ** 2, axis=1))
        return data[nearest[1]] + rng.normal(0, 0.2, n), everywhere
    if kind == "copy":
        return data[rng.choice(np.delete(np.arange(len(data)), channel))].copy(), everywhere
    if kind == "flipped":
        return 2 * shared - own, everywhere
    if kind == "flat":
        return 0.05 * rng.normal(size=n), everywhere
    if kind == "6x":
        return shared + 6 * (own - shared), everywhere
    raise ValueError(kind)


def preprocess(data: np.ndarray, names: tuple[str, ...]) -> PreprocessedEeg:
    return preprocess_eeg(EegBlock(raw_from_microvolts(data, SFREQ, names), {}), SETTINGS)


def reference_data(clean: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Preprocess a recording without bad channels: nothing is repaired, whatever is found."""
    settings = SETTINGS.model_copy(update={"bad_channels": "keep"})
    block = EegBlock(raw_from_microvolts(clean, SFREQ, names), {})
    data = preprocess_eeg(block, settings).data
    return np.asarray(data - data.mean(axis=0))


def rates(found: np.ndarray, bad: np.ndarray) -> dict[str, float]:
    """Compare the marked windows with the bad samples, (n_channels, n_windows or n_samples)."""
    edges = window_edges(bad.shape[1], SFREQ)
    expected = np.logical_or.reduceat(bad, edges[:-1], axis=1)
    rows = bad.any(axis=1)
    shares = (found & expected)[rows].sum(axis=1) / np.maximum(expected[rows].sum(axis=1), 1)
    good = ~expected[rows]
    return {
        "detected": float(np.mean(shares >= 0.8)) if rows.any() else np.nan,
        "false s": float(found[~rows].mean()),
        "false ch.": float(np.mean(found[~rows].mean(axis=1) > 0.1)),
        "beyond": float((found[rows] & good).sum() / good.sum()) if good.any() else np.nan,
    }


def error(cleaned: np.ndarray, truth: np.ndarray, intact: np.ndarray) -> float:
    difference = np.sqrt(np.mean((cleaned - truth)[intact] ** 2))
    return float(difference / np.sqrt(np.mean(truth[intact] ** 2)))


def other_tools(data: np.ndarray, names: tuple[str, ...], bad: np.ndarray) -> dict[str, float]:
    """Return detected and false channels of pyprep and MNE."""
    from pyprep import NoisyChannels

    centered = data - data.mean(axis=1, keepdims=True)
    raw = raw_from_microvolts(centered, SFREQ, names)
    rows, result = bad.any(axis=1), {}
    with mne.utils.use_log_level("error"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw.set_montage("standard_1005", match_case=False)
        finder = NoisyChannels(raw, do_detrend=True, random_state=0, ransac=False)
        finder.find_all_bads()
        filtered = raw.copy().filter(1.0, 50.0).set_eeg_reference("average")
        lof = mne.preprocessing.find_bad_channels_lof(filtered)
        try:
            pairs, _ = mne.preprocessing.compute_bridged_electrodes(raw.copy().filter(0.5, 30.0))
        except np.linalg.LinAlgError:  # it cannot process exact copies
            pairs = []
    bridged = [names[index] for pair in pairs for index in pair]
    for tool, found in (("pyprep", finder.get_bads()), ("MNE", [*lof, *bridged])):
        marked = np.array([name in found for name in names])
        result[f"{tool} detected"] = float(marked[rows].mean()) if rows.any() else np.nan
        result[f"{tool} false ch."] = float(marked[~rows].mean())
    return result


def scenario_of(
    seed: int, names: tuple[str, ...], seconds: float = 0.0
) -> tuple[Scenario, np.random.Generator]:
    """Return the parameters of a recording; by default every third lasts 180 s, the others 60 s."""
    rng = np.random.default_rng([seed, 4711])
    scenario = Scenario(
        names,
        seconds=seconds or (180.0 if seed % 3 == 2 else 60.0),
        n_sources=int(rng.integers(30, 60)),
        exponent=rng.uniform(0.8, 1.6),
        brain_uv=rng.uniform(8, 15),
        alpha_uv=rng.uniform(2, 12),
        sensor_uv=rng.uniform(0.5, 1.5),
        blink_uv=rng.uniform(120, 220),
        muscle_uv=rng.uniform(5, 25),
    )
    return scenario, rng


def run(kinds: list[str], repeats: int, compare: bool, seconds: float) -> None:
    names = GENEVA
    results: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for seed in range(repeats):
        scenario, rng = scenario_of(seed, names, seconds)
        clean = simulate(scenario, rng)
        truth = reference_data(clean, names)
        for kind in kinds:
            broken, bad = inject(kind, clean, names, rng)
            eeg = preprocess(broken, names)
            row = rates(eeg.bad, bad)
            row["error"] = error(eeg.data, truth, ~bad.any(axis=1))
            if compare:
                row |= other_tools(broken, names, bad)
            results[kind].append(row)
    columns = list(results[kinds[0]][0])
    print("| kind | n | " + " | ".join(columns) + " | max. error |")
    print("|---" * (len(columns) + 3) + "|")
    for kind, rows in results.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a mean of NaN only
            means = [np.nanmean([row[column] for row in rows]) for column in columns]
        largest = max(row["error"] for row in rows)
        values = [f"{mean:.2%}" if np.isfinite(mean) else "" for mean in means]
        print(f"| {kind} | {len(rows)} | " + " | ".join(values) + f" | {largest:.2%} |", flush=True)


def run_caps(repeats: int) -> None:
    """Print the false alarms of recordings without bad channels, for each cap."""
    print("| cap | n | false s | false ch. | compared with neighbors |\n|---|---|---|---|---|")
    for cap, names in CAPS.items():
        rows, compared = [], 0
        for seed in range(repeats):
            eeg = preprocess(simulate(*scenario_of(seed, names)), names)
            rows.append(rates(eeg.bad, np.zeros((len(names), round(eeg.data.shape[1] * 2)), bool)))
            compared += not any("searched" in note for note in eeg.notes)
        seconds, channels = (np.mean([r[key] for r in rows]) for key in ("false s", "false ch."))
        print(f"| {cap} | {repeats} | {seconds:.2%} | {channels:.2%} | {compared} of {repeats} |")


def run_speed() -> None:
    """Print the CPU time for 32 channels and 60 minutes at 128 Hz, with one channel of noise."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(32, 32)) @ power_law(32, 60 * 60 * 128, 1.0, rng) * 3
    data[3] += 50 * rng.normal(size=data.shape[1])
    splines = electrode_splines(mne.create_info(list(GENEVA), 128.0, "eeg"), GENEVA)
    start = time.process_time()
    find_bad_windows(data, 128.0, GENEVA, splines)
    print(f"32 channels, 60 minutes: {time.process_time() - start:.2f} s of one core")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS)
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--caps", action="store_true")
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()
    if arguments.speed:
        run_speed()
    elif arguments.caps:
        run_caps(arguments.repeats)
    else:
        run(arguments.kinds, arguments.repeats, arguments.compare, arguments.seconds)


if __name__ == "__main__":
    main()
