"""DEAP as a data set (`Recordings`).

Trials are in order of presentation, like the events of the BDF files and the face videos. Rows of
the preprocessed arrays are in the order of Experiment_id; participant_ratings.csv relates the two,
and the labels in the arrays verify it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from milmer_cli.datasets.base import EegInputs, Trial
from milmer_cli.datasets.deap.bdf import (
    StimulusMark,
    check_trials,
    open_deap_bdf,
    read_stimulus_marks,
)
from milmer_cli.datasets.deap.files import (
    FIND_HINT,
    RATINGS_FILE,
    EegFormat,
    choose_format,
    duplicate_notes,
    find_deap_files,
    participant_name,
)
from milmer_cli.datasets.deap.preprocessed import (
    BASELINE_S,
    PASS_BAND_HZ,
    SFREQ,
    check_labels,
    damaged_trials,
    read_preprocessed,
)
from milmer_cli.datasets.deap.ratings import read_ratings
from milmer_cli.datasets.participants import select_participants
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.io import EegBlock, raw_from_microvolts
from milmer_cli.eeg.montage import match_channels
from milmer_cli.errors import InputError, shorten
from milmer_cli.settings.schema import Source
from milmer_cli.video.frames import VideoSpan

STIMULUS_S = 60.0
"""Duration of DEAP's music videos, for files that do not state it."""


class DeapRecordings:
    """DEAP below a folder, as `Recordings`.

    Parameters
    ----------
    root
        Any folder above the files.
    source
        Which EEG files to read; ``auto`` uses bdf, else dat, else mat, for each participant.
    participants
        Participants to use, see `select_participants`; empty for all that have ratings, and EEG or
        video.
    channels
        EEG channels to store, in order, for a model of a smaller cap; empty for `GENEVA`. The
        average reference is the average of these channels.

    Raises
    ------
    InputError
        ``root`` is missing or empty, there are no ratings, no participant can be used, or a
        participant is unknown; DEAP lacks one of the channels.
    """

    data_set = "DEAP"

    def __init__(
        self,
        root: Path,
        source: Source = "auto",
        participants: str = "",
        channels: Sequence[str] = (),
    ) -> None:
        self.channels = select_deap_channels(channels)
        self.root, self.source = root, source
        # absolute, because worker processes may have another current folder
        self.files = find_deap_files(root.absolute())
        if self.files.ratings is None:
            raise InputError(
                f"There is no {RATINGS_FILE} below {root}; it relates EEG, video and ratings of a "
                "trial.",
                self.files.ratings_hint,
            )
        self.ratings = read_ratings(self.files.ratings)
        usable = {n for n in self.ratings if self.eeg_format(n) or self._videos(n)}
        if not usable:
            what = "EEG or video" if source == "auto" else f".{source} or video"
            raise InputError(
                f"No participant below {root} has both ratings and a {what} file "
                f"(as in s01.{'bdf' if source == 'auto' else source}, s01_trial01.avi).",
                self.files.archive_hint or FIND_HINT,
            )
        numbers = {participant_name(number): number for number in sorted(usable)}
        where = f"DEAP below {root} (with ratings, and EEG or video)"
        selected = select_participants(list(numbers), participants, where)
        self._numbers = {name: numbers[name] for name in selected}
        # Reading them means reading a whole file. The copies that worker processes get contain
        # what is known when they are made.
        self._marks: dict[int, dict[int, StimulusMark]] = {}
        self._durations_s: dict[int, dict[int, float]] = {}
        self._eeg_problems: dict[int, dict[int, str]] = {}

    def eeg_format(self, number: int) -> EegFormat | None:
        """Return which EEG file of a participant is read; None if there is none."""
        return choose_format(self.files.eeg.get(number, {}), self.source)

    def notes(self) -> list[str]:
        """Return which source each participant is read from, and files that are not used."""
        by_format: dict[EegFormat | None, list[str]] = {}
        for name, number in self._numbers.items():
            by_format.setdefault(self.eeg_format(number), []).append(name)
        notes = [
            f"EEG from .{eeg_format} files: {', '.join(names)}."
            if eeg_format
            else f"No EEG file of {', '.join(names)}: faces only."
            for eeg_format, names in by_format.items()
        ]
        if len([eeg_format for eeg_format in by_format if eeg_format]) > 1:
            notes.append(
                "Raw EEG and EEG that DEAP's authors cleaned are combined; data.source selects one."
            )
        if self.channels != GENEVA:
            notes.append(f"{len(self.channels)} of DEAP's 32 EEG channels are used.")
        return [*notes, *duplicate_notes(self.files)]

    @property
    def pass_band_hz(self) -> tuple[float, float] | None:
        """Pass band of DEAP's preprocessed files if any participant is read from them, in Hz."""
        formats = {self.eeg_format(number) for number in self._numbers.values()}
        return PASS_BAND_HZ if formats & {"dat", "mat"} else None

    def participants(self) -> list[str]:
        """Return the names of the participants, sorted."""
        return list(self._numbers)

    def trials(self, participant: str) -> list[Trial]:
        """Return the trials of a participant in order of presentation.

        Raises
        ------
        InputError
            The EEG file is damaged, or its stimuli or labels are not those of the ratings file.
        """
        number = self._numbers[participant]
        durations_s = self._durations(number)
        videos = self._videos(number)
        return [
            Trial(
                participant,
                trial,
                row.stimulus,
                row.ratings,
                duration_s=durations_s.get(trial, STIMULUS_S),
                has_eeg=trial in durations_s,
                video=VideoSpan(videos[trial]) if trial in videos else None,
                eeg_problem=self._eeg_problems.get(number, {}).get(trial, ""),
            )
            for trial, row in self.ratings[number].items()
        ]

    def eeg_blocks(self, participant: str) -> Iterator[EegBlock]:
        """Yield the EEG of a participant: one block for a BDF file, one per trial for others."""
        number = self._numbers[participant]
        eeg_format = self.eeg_format(number)
        if eeg_format is None:
            return
        path = self.files.eeg[number][eeg_format]
        if eeg_format == "bdf":
            yield open_deap_bdf(path, self._stimulus_marks(number, path))
            return
        rows = self.ratings[number]
        arrays = read_preprocessed(path)
        check_labels(arrays, rows, path)
        damaged = damaged_trials(arrays, rows, path)
        for trial, row in rows.items():
            if trial in damaged:
                continue
            raw = raw_from_microvolts(arrays.data[row.stimulus - 1, : len(GENEVA)], SFREQ, GENEVA)
            yield EegBlock(raw, {trial: BASELINE_S}, PASS_BAND_HZ)

    def eeg_inputs(self, participant: str) -> EegInputs:
        """Return the file that a participant's EEG depends on."""
        number = self._numbers[participant]
        eeg_format = self.eeg_format(number)
        return EegInputs((self.files.eeg[number][eeg_format],) if eeg_format else ())

    def _videos(self, number: int) -> dict[int, Path]:
        found = self.files.video.get(number, {})
        return {trial: path for trial, path in found.items() if trial in self.ratings[number]}

    def _stimulus_marks(self, number: int, path: Path) -> Mapping[int, StimulusMark]:
        if number not in self._marks:
            marks = read_stimulus_marks(path)
            check_trials(marks, self.ratings[number], path)
            self._marks[number] = marks
        return self._marks[number]

    def _durations(self, number: int) -> dict[int, float]:
        """Return trial -> duration of the stimulus, for the trials with EEG."""
        if number not in self._durations_s:
            self._durations_s[number] = self._read_durations(number)
        return self._durations_s[number]

    def _read_durations(self, number: int) -> dict[int, float]:
        eeg_format, rows = self.eeg_format(number), self.ratings[number]
        if eeg_format is None:
            return {}
        path = self.files.eeg[number][eeg_format]
        if eeg_format != "bdf":
            arrays = read_preprocessed(path)
            check_labels(arrays, rows, path)
            problems = damaged_trials(arrays, rows, path)
            self._eeg_problems[number] = problems
            return {trial: arrays.duration_s for trial in rows if trial not in problems}
        marks = self._stimulus_marks(number, path)
        known = [mark.duration_s for mark in marks.values() if mark.duration_s is not None]
        median_s = statistics.median(known) if known else STIMULUS_S
        return {
            trial: median_s if mark.duration_s is None else mark.duration_s
            for trial, mark in marks.items()
        }


def select_deap_channels(channels: Sequence[str]) -> tuple[str, ...]:
    """Return DEAP's names of channels, in their order; empty for all.

    Raises
    ------
    InputError
        DEAP lacks a channel, or a channel is named twice.
    """
    if not channels:
        return GENEVA
    match = match_channels(channels, GENEVA, "DEAP")
    if match.missing:
        raise InputError(
            f"data.eeg_channels: DEAP lacks {shorten(match.missing)}, or they are named twice.",
            f"Its channels: {shorten(GENEVA, 32)}.",
        )
    return tuple(match.found.values())
