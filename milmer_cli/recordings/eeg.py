"""Continuous EEG -> clean microvolts at the wanted rate -> segments.

Cleaning works on the whole recording: offset removed, notch, zero-phase band-pass, resampling, bad
channels, average reference, eye artefacts. Segments are cut last: no filter ever sees their edges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import mne
import numpy as np
from scipy.fft import next_fast_len

from milmer_cli.errors import InputError
from milmer_cli.recordings.artefacts import find_bad_channels, interpolate, remove_eog, swing
from milmer_cli.recordings.channels import few, find_channels
from milmer_cli.recordings.eeg_files import refuse_empty, unreadable
from milmer_cli.recordings.published import published_segments
from milmer_cli.recordings.trial import EegBlock
from milmer_cli.recordings.units import check_amplitude
from milmer_cli.settings.schema import EegSettings

END_TOLERANCE_S = 0.1
"""A stimulus this much shorter than a whole number of segments still gives the last one: event
codes jitter by milliseconds, and one lost segment a trial would be 5 % of DEAP."""

_LOAD_BYTES = 192 * 2**20


@dataclass(frozen=True)
class CleanEeg:
    """Clean continuous EEG.

    Attributes
    ----------
    data
        (n_channels, n_samples) float64, microvolts.
    sfreq
        Samples a second.
    channels
        Names, one a row of ``data``.
    onset_s
        For each trial, seconds from the first sample to the start of the stimulus.
    interpolated
        Channels that were flat or wild and were replaced from their neighbours.
    kept
        Channels that were flat or wild and are too many for that.
    swings
        (n_channels, n) float32, microvolts: `artefacts.swing` before the average reference, after
        which a dead channel carries minus the average. None for a ``cleaned`` block.
    eog_components
        Independent components removed as eye artefacts (``eog: ica`` only).
    notes
        What a careful reader should know of this recording, one sentence each.
    """

    data: np.ndarray
    sfreq: float
    channels: tuple[str, ...]
    onset_s: dict[int, float]
    interpolated: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    swings: np.ndarray | None = None
    eog_components: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def open_eeg(path: Path) -> mne.io.BaseRaw:
    """Open a recording in any format mne reads (BDF, EDF, GDF, FIF, BrainVision, EEGLAB, ...).

    Channels whose name says so are typed: ``...EOG...`` as eog, ECG, EMG, GSR and the like as misc,
    status and trigger channels as stim. Nothing is loaded.

    Raises
    ------
    InputError
        The file is missing, in no known format, broken, or without an EEG channel.
    """
    refuse_empty(path)
    try:
        raw = mne.io.read_raw(path, preload=False, verbose="error")
    except Exception as error:  # its readers trip over broken files in every possible way
        raise unreadable(path, error) from error
    kinds = {
        name: kind
        for name, now in zip(raw.ch_names, raw.get_channel_types(), strict=True)
        if now == "eeg" and (kind := _kind_by_name(name)) != "eeg"
    }
    raw.set_channel_types(kinds, on_unit_change="ignore", verbose="error")
    if "eeg" not in raw.get_channel_types():
        raise InputError(f"{path} has no EEG channel.", f"It has: {few(raw.ch_names)}.")
    return raw


def _kind_by_name(name: str) -> str:
    lowered = name.strip().lower()
    if lowered in {"status", "trigger", "", "-0", "-1"} or lowered.startswith("sti "):
        return "stim"
    if "eog" in lowered:
        return "eog"
    other = ("exg", "ecg", "ekg", "emg", "gsr", "eda", "erg", "resp", "plet", "temp", "aux", "acc")
    return "misc" if lowered.startswith(other) or "emg" in lowered else "eeg"


def clean(
    block: EegBlock, settings: EegSettings, channels: Sequence[str] | None = None
) -> CleanEeg:
    """Clean a continuous recording.

    Parameters
    ----------
    block
        The recording; only its EEG and eye channels are loaded, a few at a time.
    settings
        Rate, band, notch, bad channels, eye artefacts.
    channels
        EEG channels to use and their order, by name; None for all in the order of the recording.

    Returns
    -------
    CleanEeg
        A ``cleaned`` block is only brought to the wanted channels and rate.

    Raises
    ------
    InputError
        A channel is missing, or the amplitudes cannot be microvolts of EEG.
    """
    raw, sfreq = block.raw, float(settings.sfreq_hz)
    where = _where(raw)
    electrodes = [raw.ch_names[pick] for pick in mne.pick_types(raw.info, eeg=True)]
    if channels is not None:
        found = find_channels(channels, electrodes, where)
        names, electrodes = tuple(channels), found
    else:
        names = tuple(electrodes)
    if block.cleaned:
        data = _load(raw, electrodes, settings, filtered=False)
        return CleanEeg(data, sfreq, names, dict(block.onset_s))

    data, notes = _load(raw, electrodes, settings), _band_notes(raw, settings)
    check_amplitude(data, where)
    interpolated: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    if settings.bad_channels == "interpolate":
        bad = find_bad_channels(data, names)
        info = mne.pick_info(raw.info, [raw.ch_names.index(name) for name in electrodes])
        interpolated, more = interpolate(data, names, info, bad)
        kept = () if interpolated else tuple(bad)
        notes += more
    swings = swing(data, sfreq)
    data -= data.mean(axis=0)
    components: tuple[int, ...] = ()
    if settings.eog != "none":
        rank = len(names) - 1 - len(interpolated)
        eyes = _load_eyes(raw, block.eog, settings)
        components, more = remove_eog(data, eyes, sfreq, settings.eog, rank)
        notes += more
    return CleanEeg(
        data, sfreq, names, dict(block.onset_s), interpolated, kept, swings, components, notes
    )


def _load_eyes(
    raw: mne.io.BaseRaw, pairs: tuple[tuple[str, ...], ...], settings: EegSettings
) -> np.ndarray:
    """Load what shows the eyes, filtered as the EEG is: (n_eyes, n_samples) microvolts."""
    pairs = pairs or tuple((raw.ch_names[pick],) for pick in mne.pick_types(raw.info, eog=True))
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    signals = dict(zip(names, _load(raw, names, settings), strict=True))
    eyes = [signals[pair[0]] - signals[pair[1]] if pair[1:] else signals[pair[0]] for pair in pairs]
    return np.array(eyes)


def _where(raw: mne.io.BaseRaw) -> str:
    files = [str(name) for name in raw.filenames if name is not None]
    return files[0] if files else "The recording"


def _load(
    raw: mne.io.BaseRaw, names: list[str], settings: EegSettings, filtered: bool = True
) -> np.ndarray:
    """Load, filter and resample channels, a few at a time: (n_channels, n_samples) microvolts."""
    sfreq = float(raw.info["sfreq"])
    ratio = Fraction(settings.sfreq_hz / sfreq).limit_denominator(10_000)
    data = np.empty((len(names), math.ceil(raw.n_times * ratio)))
    step = max(1, _LOAD_BYTES // (8 * raw.n_times))
    for first in range(0, len(names), step):
        part = _read(raw, names[first : first + step])
        part *= 1e6
        if filtered:
            # BioSemi's offsets are thousands of times the signal: off before any filter sees them
            part -= part.mean(axis=1, keepdims=True)
            _filter(part, sfreq, settings)
        for row, signal in enumerate(part, start=first):
            data[row] = _resample(signal, ratio)
    return data


def _read(raw: mne.io.BaseRaw, names: list[str]) -> np.ndarray:
    try:
        data: np.ndarray = raw.get_data(picks=names, verbose="error")
    except (OSError, ValueError, RuntimeError, IndexError) as error:
        raise InputError(
            f"{_where(raw)} cannot be read to its end ({error}): it is cut short or damaged.",
            "Copy or export it again.",
        ) from error
    return data


def _filter(data: np.ndarray, sfreq: float, settings: EegSettings) -> None:
    """Notch and band-pass in place, both zero-phase FIR of mne's default design."""
    low, high = settings.band_hz
    with mne.utils.use_log_level("error"):
        if settings.notch_hz > 0:
            lines = np.arange(settings.notch_hz, sfreq / 2 - 2.0, settings.notch_hz)
            if len(lines):
                mne.filter.notch_filter(data, sfreq, lines, copy=False)
        mne.filter.filter_data(data, sfreq, low, high if high < sfreq / 2 else None, copy=False)


def _band_notes(raw: mne.io.BaseRaw, settings: EegSettings) -> tuple[str, ...]:
    sfreq, (low, high), notes = float(raw.info["sfreq"]), settings.band_hz, []
    if high >= sfreq / 2:
        notes.append(
            f"Recorded at {sfreq:g} Hz, so nothing above {sfreq / 2:g} Hz is there "
            f"and the upper edge of band_hz, {high:g} Hz, was not applied."
        )
    taps_s = 3.3 / min(max(low / 4, 2.0), low)
    if raw.n_times / sfreq < 2 * taps_s:
        notes.append(
            f"The recording lasts {raw.n_times / sfreq:.1f} s and the {low:g} Hz high-pass reaches "
            f"over {taps_s:.1f} s, so its beginning and end are distorted."
        )
    return tuple(notes)


def _resample(signal: np.ndarray, ratio: Fraction) -> np.ndarray:
    """Resample one channel with a sharp anti-aliasing filter; sample k stays at time k / rate."""
    up, down = ratio.numerator, ratio.denominator
    if up == down:
        return signal
    # padded to a multiple of `down`: the rate is exact and samples do not drift over an hour
    left = down * math.ceil(256 / down)
    total = down * next_fast_len(math.ceil((left + len(signal) + 256) / down))
    padded = np.pad(signal, (left, total - left - len(signal)), mode="reflect", reflect_type="odd")
    resampled = mne.filter.resample(padded, up, down, npad=0, verbose="error")
    first = left * up // down
    return resampled[first : first + math.ceil(len(signal) * ratio)]


def segment_count(duration_s: float, segment_s: float, overlap_s: float = 0.0) -> int:
    """Return how many whole segments a stimulus holds, forgiving `END_TOLERANCE_S` at its end."""
    if duration_s + END_TOLERANCE_S < segment_s:
        return 0
    return 1 + math.floor((duration_s + END_TOLERANCE_S - segment_s) / (segment_s - overlap_s))


def segment_onsets(duration_s: float, segment_s: float, overlap_s: float = 0.0) -> np.ndarray:
    """Return the start of each segment in seconds after the stimulus, (n_segments,) float64."""
    return np.arange(segment_count(duration_s, segment_s, overlap_s)) * (segment_s - overlap_s)


def cut(
    eeg: CleanEeg, trial: int, duration_s: float, segment_s: float, overlap_s: float = 0.0
) -> np.ndarray:
    """Cut one trial into segments.

    Segment ``s`` begins exactly at sample ``round(onset_s * sfreq) + round(s * step_s * sfreq)``.

    Returns
    -------
    ndarray, shape (n_segments, n_channels, n_samples), float32
        Microvolts. Segments that would run past the end of the recording are left out, never
        padded.

    Raises
    ------
    InputError
        The recording does not hold the trial.
    """
    if trial not in eeg.onset_s:
        raise InputError(
            f"The EEG recording holds no trial {trial}.",
            f"It holds: {', '.join(map(str, sorted(eeg.onset_s)))}.",
        )
    length = round(segment_s * eeg.sfreq)
    first = round(eeg.onset_s[trial] * eeg.sfreq)
    starts = first + np.rint(segment_onsets(duration_s, segment_s, overlap_s) * eeg.sfreq).astype(
        np.int64
    )
    starts = starts[(starts >= 0) & (starts + length <= eeg.data.shape[1])]
    segments = np.empty((len(starts), len(eeg.channels), length), np.float32)
    for segment, start in zip(segments, starts, strict=True):
        segment[:] = eeg.data[:, start : start + length]
    return segments


def cut_trial(eeg: CleanEeg, trial: int, duration_s: float, settings: EegSettings) -> np.ndarray:
    """Cut one trial as the settings say; see `cut`, and `published_segments` for that layout.

    Returns
    -------
    ndarray, shape (n_segments, n_channels, n_samples), float32
        Microvolts.
    """
    segments = cut(eeg, trial, duration_s, settings.segment_s, settings.overlap_s)
    if settings.layout == "plain" or not len(segments):
        return segments
    whole = np.concatenate(list(segments), axis=1)
    return published_segments(whole, segments.shape[2], eeg.sfreq, settings.band_hz).astype(
        np.float32
    )


def raw_from_microvolts(
    data: np.ndarray, sfreq: float, eeg: Sequence[str], eog: Sequence[str] = ()
) -> mne.io.BaseRaw:
    """Wrap (n_channels, n_samples) microvolts, EEG rows first, as an mne recording (in volts)."""
    info = mne.create_info([*eeg, *eog], sfreq, ["eeg"] * len(eeg) + ["eog"] * len(eog))
    return mne.io.RawArray(data * 1e-6, info, verbose="error")
