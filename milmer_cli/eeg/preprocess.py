"""Preprocessing of a continuous EEG recording: filter, resample, repair, re-reference, remove EOG.

All steps work on the whole recording. Segments are cut afterwards (`eeg.segment`), so no filter
produces edge artifacts at a segment boundary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mne
import numpy as np

from milmer_cli.eeg.amplitude import check_amplitude, robust_std
from milmer_cli.eeg.bad_channels import WINDOW_S, find_bad_windows, window_edges
from milmer_cli.eeg.channels import average_reference, find_channels
from milmer_cli.eeg.eog import EogMethod, EogRemoval, remove_eog
from milmer_cli.eeg.file_size import unclosed_warning
from milmer_cli.eeg.gaps import Gap, continuous_parts, find_gaps, gap_notes, recorded_samples
from milmer_cli.eeg.io import EegBlock
from milmer_cli.eeg.line_noise import line_frequency
from milmer_cli.eeg.loading import (
    NOTCH_MARGIN_HZ,
    Filters,
    load_channels,
    narrower_filters,
    rate_ratio,
)
from milmer_cli.eeg.markings import marked_bad_windows, marking_notes
from milmer_cli.eeg.read_errors import file_name, readable
from milmer_cli.eeg.reference import bad_channel_messages, repair_channels
from milmer_cli.eeg.splines import electrode_splines
from milmer_cli.settings.schema import EegSettings


@dataclass(frozen=True)
class PreprocessedEeg:
    """Preprocessed continuous EEG.

    Attributes
    ----------
    data
        (n_channels, n_samples) float64, microvolts.
    sfreq
        Sampling rate, in Hz.
    channels
        Channel names, one per row of ``data``.
    onset_s
        Trial number -> seconds from the first sample to the onset of the stimulus.
    bad
        (n_channels, n_windows) bool: whether a channel is bad, in consecutive windows of
        `bad_channels.window_edges`. None is bad in a block that was already preprocessed.
    interpolated_windows
        (n_channels, n_windows) bool: the bad windows that were interpolated.
    interpolated
        Channels that were interpolated in at least one window.
    eog_components
        Independent components removed as eye artifacts (with ``ica``).
    notes
        One sentence for each property of the recording that affects its interpretation.
    eog_variance
        `eog.EogRemoval.variance`: share of the variance of the frontal electrodes that the removal
        of eye artifacts took out; None if it was not done.
    eog_method
        `eog.EogRemoval.method`: how eye artifacts were found.
    gaps
        Gaps of the recording; ``data`` is zero in them.
    warnings
        One sentence for each property that makes most of the recording unusable.
    """

    data: np.ndarray
    sfreq: float
    channels: tuple[str, ...]
    onset_s: dict[int, float]
    bad: np.ndarray
    interpolated_windows: np.ndarray
    interpolated: tuple[str, ...] = ()
    eog_components: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    eog_variance: float | None = None
    gaps: tuple[Gap, ...] = ()
    warnings: tuple[str, ...] = ()
    eog_method: EogMethod = "none"


def preprocess_eeg(
    block: EegBlock, settings: EegSettings, channels: Sequence[str] | None = None
) -> PreprocessedEeg:
    """Preprocess a continuous recording.

    The steps, in this order:

    1. select the EEG channels by name and subtract the mean of each;
    2. notch filter at the power line frequency and its harmonics (``notch_hz``);
    3. zero-phase band-pass filter (``band_hz``); both filters leave out gaps in the recording;
    4. resample to ``sfreq_hz``;
    5. check that the amplitudes can be microvolts of EEG;
    6. find the bad channels of each second (`find_bad_windows`) and interpolate them there
       (``bad_channels``);
    7. average reference without the bad channels (`repair_channels`), unless the channels are
       bipolar or few (`average_reference`);
    8. remove eye artifacts (``eog_correction``).

    Of a block with ``pass_band_hz``, only the channels are selected, the rate is changed, and the
    edges of ``band_hz`` that are narrower are applied.

    Parameters
    ----------
    block
        The recording; only its EEG and EOG channels are loaded, a few at a time.
    settings
        Section ``eeg``.
    channels
        Names of the EEG channels to use, in order; None for all in the order of the recording.

    Raises
    ------
    InputError
        A channel is missing, the file is damaged, or the amplitudes cannot be microvolts of EEG.
    """
    raw, sfreq = block.raw, float(settings.sfreq_hz)
    where = file_name(raw)
    recorded = [raw.ch_names[pick] for pick in mne.pick_types(raw.info, eeg=True, exclude=())]
    if channels is not None:
        recorded = find_channels(channels, recorded, where)
    names = tuple(recorded if channels is None else channels)
    if block.pass_band_hz is not None:
        return _select_preprocessed(block, block.pass_band_hz, recorded, names, settings)

    notch_hz, notes = _notch_frequency(raw, recorded, settings)
    filters = Filters(notch_hz, settings.band_hz, tuple(continuous_parts(raw)))
    n_samples = math.ceil(raw.n_times * rate_ratio(raw, settings))
    means = np.empty((len(names), len(window_edges(n_samples, sfreq)) - 1))
    data = load_channels(raw, recorded, settings, filters, means)
    gaps = find_gaps(raw)
    used = recorded_samples(gaps, n_samples, sfreq)
    notes += gap_notes(gaps) + _filter_notes(raw, settings) + marking_notes(raw, recorded)
    check_amplitude(data if used.all() else data[:, used], where)
    repair = _repair_bad_channels(raw, recorded, data, means, used, names, settings)
    referenced, reference_notes = average_reference(names)
    notes += repair.notes + reference_notes
    average = repair.average * referenced
    data -= average
    removal = EogRemoval()
    if settings.eog_correction != "none":
        # The average reference removes one dimension, and each channel that is a linear combination
        # of the others all the time one more.
        rank = len(names) - referenced - int(repair.interpolated.all(axis=1).sum())
        eog = _load_eog(raw, block.eog, settings, filters, average)
        kept = data if used.all() else data[:, used]
        removal = remove_eog(kept, eog[:, used], settings, rank, names)
        if kept is not data:
            data[:, used] = kept
    return PreprocessedEeg(
        data,
        sfreq,
        names,
        dict(block.onset_s),
        repair.bad,
        repair.interpolated,
        tuple(np.array(names)[repair.interpolated.any(axis=1)].tolist()),
        removal.components,
        notes + removal.notes,
        removal.variance,
        gaps,
        (*filter(None, [unclosed_warning(Path(where))]), *repair.warnings),
        removal.method,
    )


def _select_preprocessed(
    block: EegBlock,
    pass_band_hz: tuple[float, float],
    recorded: list[str],
    names: tuple[str, ...],
    settings: EegSettings,
) -> PreprocessedEeg:
    """Select the channels of a block that its publisher has preprocessed."""
    raw, sfreq = block.raw, float(settings.sfreq_hz)
    filters = narrower_filters(pass_band_hz, settings, tuple(continuous_parts(raw)))
    data = load_channels(raw, recorded, settings, filters)
    n_recorded = len(mne.pick_types(raw.info, eeg=True, exclude=()))
    if len(recorded) < n_recorded and average_reference(names)[0]:
        data -= data.mean(axis=0)  # the reference of a recording with these electrodes
    good = np.zeros((len(names), len(window_edges(data.shape[1], sfreq)) - 1), bool)
    onset_s = dict(block.onset_s)
    return PreprocessedEeg(data, sfreq, names, onset_s, good, good, gaps=find_gaps(raw))


@dataclass(frozen=True, eq=False)
class _Repair:
    """Bad channels, (n_channels, n_windows) bool, and the average of the others, (n_samples,)."""

    bad: np.ndarray
    interpolated: np.ndarray
    average: np.ndarray
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def _repair_bad_channels(
    raw: mne.io.BaseRaw,
    recorded: Sequence[str],
    data: np.ndarray,
    means_uv: np.ndarray,
    used: np.ndarray,
    names: tuple[str, ...],
    settings: EegSettings,
) -> _Repair:
    """Find the bad channels of each window, and interpolate them in place.

    Windows that contain a gap (``used`` is False), and those that the user marked as bad in all
    channels, are not searched. The latter cannot be interpolated.
    """
    info = mne.pick_info(raw.info, [raw.ch_names.index(name) for name in recorded])
    splines = electrode_splines(info, names)
    annotated = marked_bad_windows(raw, recorded, means_uv.shape[1], WINDOW_S)
    everywhere = annotated.all(axis=0)
    edges = window_edges(data.shape[1], settings.sfreq_hz)
    judged = ~everywhere & np.logical_and.reduceat(used, edges[:-1])
    marked = [name for name, own in zip(names, recorded, strict=True) if own in raw.info["bads"]]
    found = find_bad_windows(data, settings.sfreq_hz, names, splines, means_uv, marked, judged)
    found = found.with_marked(annotated & ~everywhere, names)
    interpolate = settings.bad_channels == "interpolate"
    average, interpolated = repair_channels(
        data, found.bad, settings.sfreq_hz, splines if interpolate else None
    )
    notes, warnings = bad_channel_messages(found, interpolated, names, splines is not None)
    notes += found.notes if interpolate else ()
    return _Repair(found.bad | annotated, interpolated, average, notes, warnings)


def _load_eog(
    raw: mne.io.BaseRaw,
    derivations: tuple[tuple[str, ...], ...],
    settings: EegSettings,
    filters: Filters,
    average: np.ndarray,
) -> np.ndarray:
    """Load the EOG signals with the filters of the EEG: (n_eog, n_samples) microvolts.

    Bipolar derivations are used where the block names pairs: the difference of two electrodes
    cancels the brain activity that both record. Otherwise every channel of type eog is used that
    is not marked as bad.

    A single electrode shares the reference of the EEG, so it gets the average reference too:
    ``average``, (n_samples,), is subtracted. A single channel can also be a bipolar derivation that
    the amplifier made; the subtraction would then add brain activity to it. Therefore it is done
    only if it makes the signal smaller.
    """
    derivations = derivations or tuple(
        (raw.ch_names[pick],) for pick in mne.pick_types(raw.info, eog=True)
    )
    names = list(dict.fromkeys(name for derivation in derivations for name in derivation))
    signals = dict(zip(names, load_channels(raw, names, settings, filters), strict=True))
    eog = []
    for first, *second in derivations:
        if second:
            eog.append(signals[first] - signals[second[0]])
        else:
            eog.append(min(signals[first], signals[first] - average, key=robust_std))
    return np.array(eog).reshape(len(eog), len(average))


def _notch_frequency(
    raw: mne.io.BaseRaw, names: list[str], settings: EegSettings
) -> tuple[float, tuple[str, ...]]:
    """Return the frequency to remove (0 for none), and a note if it was detected."""
    if settings.notch_hz != "auto":
        return settings.notch_hz, ()
    with readable(raw):
        hz = line_frequency(raw, names)
    if hz >= float(raw.info["sfreq"]) / 2 - NOTCH_MARGIN_HZ:  # the recording does not contain it
        return 0.0, ()
    return hz, (f"Power line noise at {hz:g} Hz was removed.",) if hz else ()


def _filter_notes(raw: mne.io.BaseRaw, settings: EegSettings) -> tuple[str, ...]:
    sfreq, (low, high) = float(raw.info["sfreq"]), settings.band_hz
    notes = []
    if high >= sfreq / 2:
        notes.append(
            f"The recording was sampled at {sfreq:g} Hz, so it contains nothing above "
            f"{sfreq / 2:g} Hz and the upper edge of band_hz, {high:g} Hz, was not applied."
        )
    # length of MNE's FIR filter: 3.3 divided by the width of the transition band
    filter_s = 3.3 / min(max(low / 4, 2.0), low)
    if note := _short_parts_note(raw, low, filter_s):
        notes.append(note)
    elif raw.n_times / sfreq < 2 * filter_s:
        notes.append(
            f"The recording lasts {raw.n_times / sfreq:.1f} s and the {low:g} Hz high-pass filter "
            f"is {filter_s:.1f} s long, so the start and end of the recording are distorted."
        )
    return tuple(notes)


def _short_parts_note(raw: mne.io.BaseRaw, low_hz: float, filter_s: float) -> str:
    """Return a sentence if parts of an interrupted recording are shorter than the filter."""
    parts, sfreq = continuous_parts(raw), float(raw.info["sfreq"])
    gaps = {round(gap.start_s * sfreq) for gap in find_gaps(raw) if gap.stop_s > gap.start_s}
    lengths = [part.stop - part.start for part in parts if part.start not in gaps]
    short = [length for length in lengths if length / sfreq < filter_s]
    if len(parts) < 2 or not short:
        return ""
    return (
        f"{len(short)} of the {len(lengths)} parts of the recording are shorter than the "
        f"{low_hz:g} Hz high-pass filter of {filter_s:.1f} s and distorted."
    )
