"""DEAP's raw recordings: stimulus onsets and EEG of its BioSemi BDF files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import mne
import numpy as np

from milmer_cli.eeg.biosemi import open_bdf, status_codes
from milmer_cli.eeg.channels import DEAP_EOG, GENEVA, find_channels
from milmer_cli.eeg.io import EegBlock
from milmer_cli.errors import InputError

STIMULUS, AFTER_STIMULUS = 4, 5
"""Event codes: start of the music video; fixation cross after it."""


@dataclass(frozen=True)
class StimulusMark:
    """Start and duration of a stimulus, from the event codes of the status channel.

    Attributes
    ----------
    onset_s
        Seconds from the start of the recording to the rising edge of code 4.
    duration_s
        Time to the next code 5; None if there is none before the next stimulus.
    """

    onset_s: float
    duration_s: float | None


def read_stimulus_marks(path: Path) -> dict[int, StimulusMark]:
    """Return the stimuli of a recording by trial: the n-th stimulus is trial n, from 1.

    A BDF stores all channels of a second together, so the whole file has to be read. The result is
    therefore kept for later calls in the same process, until the file changes.

    Raises
    ------
    InputError
        The file is not a whole BDF file with a status channel; see `open_bdf`.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    marks = _cached_marks(path.absolute(), stat.st_size, stat.st_mtime_ns)
    return dict(enumerate(marks, start=1))


@lru_cache(maxsize=256)
def _cached_marks(path: Path, size: int, mtime_ns: int) -> tuple[StimulusMark, ...]:
    raw = open_bdf(path)
    return stimulus_marks(status_codes(raw), float(raw.info["sfreq"]))


def stimulus_marks(codes: np.ndarray, sfreq: float) -> tuple[StimulusMark, ...]:
    """Return the stimuli in order, from the event code at every sample, (n_samples,)."""
    changes = 1 + np.flatnonzero(codes[1:] != codes[:-1])
    events = [(int(sample), int(codes[sample])) for sample in changes]
    events = [(sample, code) for sample, code in events if code in (STIMULUS, AFTER_STIMULUS)]
    marks = []
    for index, (sample, code) in enumerate(events):
        if code != STIMULUS:
            continue
        end, end_code = events[index + 1] if index + 1 < len(events) else (sample, STIMULUS)
        duration_s = (end - sample) / sfreq if end_code == AFTER_STIMULUS else None
        marks.append(StimulusMark(sample / sfreq, duration_s))
    return tuple(marks)


def open_deap_bdf(path: Path, marks: Mapping[int, StimulusMark] | None = None) -> EegBlock:
    """Open one of DEAP's raw files as a block, without loading the signals.

    Parameters
    ----------
    path
        The BDF file.
    marks
        Its stimuli, if they are already known; None reads them.

    Returns
    -------
    EegBlock
        EEG channels in `GENEVA` order, the EOG channels (type eog) and ``Status``; the onset of
        each stimulus.

    Raises
    ------
    InputError
        The file is not a whole BDF file (see `open_bdf`), or an EEG channel is missing.
    """
    raw = open_bdf(path)
    electrodes = find_channels(GENEVA, raw.ch_names, str(path))
    by_lower = {name.lower(): name for name in raw.ch_names}
    eog = tuple(pair for pair in DEAP_EOG if all(name.lower() in by_lower for name in pair))
    eog_names = [name for pair in eog for name in pair]
    with mne.utils.use_log_level("error"):
        raw.reorder_channels([*electrodes, *(by_lower[x.lower()] for x in eog_names), "Status"])
        raw.rename_channels(dict(zip(raw.ch_names, [*GENEVA, *eog_names, "Status"], strict=True)))
        raw.set_channel_types(dict.fromkeys(GENEVA, "eeg") | dict.fromkeys(eog_names, "eog"))
    marks = read_stimulus_marks(path) if marks is None else marks
    return EegBlock(raw, {trial: mark.onset_s for trial, mark in marks.items()}, eog=eog)


def check_trials(marked: Collection[int], rated: Collection[int], path: Path) -> None:
    """Raise an error if the stimuli of a recording are not the trials of the ratings file.

    Parameters
    ----------
    marked
        Trials of the recording, by its stimulus marks.
    rated
        Trials of the participant in the ratings file.
    path
        The recording.
    """
    if set(marked) == set(rated):
        return
    numbers = "" if len(marked) != len(rated) else f", numbered {min(rated)} to {max(rated)}"
    raise InputError(
        f"{path} marks {len(marked)} stimuli (code 4 of its status channel), but the ratings file "
        f"has {len(rated)} trials of this participant{numbers}.",
        "The n-th mark is trial n, so none may be missing; get both files from one download.",
    )
