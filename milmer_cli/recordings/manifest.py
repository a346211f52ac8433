"""Anybody's recordings, from a table with one row a trial (see `manifest_template`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from milmer_cli.errors import InputError
from milmer_cli.recordings.channels import find_channels
from milmer_cli.recordings.eeg import open_eeg
from milmer_cli.recordings.eeg_files import files_of
from milmer_cli.recordings.manifest_table import Mistakes, Row, manifest_template, read_table
from milmer_cli.recordings.trial import EegBlock, InputFiles, Trial, VideoSpan

__all__ = ["ManifestRecordings", "manifest_template"]

_OVERRUN_S = 0.5


@dataclass(frozen=True)
class _Header:
    """What is known of an EEG file without loading it."""

    duration_s: float
    sfreq_hz: float
    channels: tuple[str, ...]
    eeg: tuple[str, ...]
    files: tuple[Path, ...]


class ManifestRecordings:
    """Trials listed in a csv file, as `Recordings`.

    Trials without EEG or without video, of any length, at any rate and with any electrodes are
    legal. Where trial numbers repeat over sessions, trials are numbered through in the order of the
    sessions in the file. Names of stimuli become numbers in alphabetical order. Where the
    recordings have different electrodes, those they all have are used.

    Parameters
    ----------
    path
        The manifest; relative paths in it start at its folder.
    participants
        Names to use with commas between them, or numbers and ranges (``1,3-5``) that the names end
        with; empty for all.

    Raises
    ------
    InputError
        With all mistakes of the file at once, each with its row; or a participant asked for is
        absent.
    """

    def __init__(self, path: Path, participants: str = "") -> None:
        self.path = path = path.absolute()  # workers elsewhere have another current folder
        if not path.is_file():
            raise InputError(f"There is no manifest {path}.", "Check the path.")
        mistakes = Mistakes(path)
        rows = read_table(path, mistakes)
        self._headers = _open_all(rows, mistakes)
        _check_rows(rows, self._headers, mistakes)
        _check_twice(rows, mistakes)
        mistakes.stop()
        self.channels, dropped = _channels(rows, self._headers, mistakes)
        mistakes.stop()
        self._stimuli = _stimulus_numbers(rows)
        people = {row.participant: None for row in rows}
        self._rows: dict[str, list[Row]] = {}
        renumbered = []
        for name in _choose(sorted(people), participants, path):
            own, changed = _in_order([row for row in rows if row.participant == name])
            self._rows[name] = own
            renumbered += [name] * changed
        self._notes = _notes(self._rows, self._headers, dropped, renumbered)

    def participants(self) -> list[str]:
        """Return the names of the participants, sorted."""
        return list(self._rows)

    def notes(self) -> list[str]:
        """Return what was decided that the table does not say, one sentence each."""
        return list(self._notes)

    def rates(self, participant: str) -> list[float]:
        """Return the sampling rates of a participant's EEG files, in Hz."""
        files = {row.eeg for row in self._rows[participant] if row.eeg}
        return sorted({self._headers[path].sfreq_hz for path in files})

    def trials(self, participant: str) -> list[Trial]:
        """Return the trials of a participant in order of presentation."""
        return [
            Trial(
                participant,
                row.trial,
                self._stimuli[row.stimulus],
                row.ratings,
                duration_s=_duration(row, self._headers),
                has_eeg=row.eeg is not None,
                video=VideoSpan(row.video, row.video_onset_s) if row.video else None,
                session=row.session,
                label=row.label,
            )
            for row in self._rows[participant]
        ]

    def eeg_blocks(self, participant: str) -> Iterator[EegBlock]:
        """Yield the EEG of a participant, one block a file."""
        by_file: dict[Path, list[Row]] = {}
        for row in self._rows[participant]:
            if row.eeg is not None:
                by_file.setdefault(row.eeg, []).append(row)
        for path, rows in by_file.items():
            raw = open_eeg(path)
            eog = _eog(rows[0], self._headers[path])
            named = find_channels(rows[0].eeg_channels, raw.ch_names, str(path))
            kinds = {name: "eog" for pair in eog for name in pair} | dict.fromkeys(named, "eeg")
            raw.set_channel_types(kinds, on_unit_change="ignore", verbose="error")
            yield EegBlock(raw, {row.trial: row.eeg_onset_s for row in rows}, eog=eog)

    def inputs(self, participant: str) -> InputFiles:
        """Return what a participant's EEG is made from."""
        rows = [(row, row.eeg) for row in self._rows[participant] if row.eeg]
        files = dict.fromkeys(file for _, eeg in rows for file in self._headers[eeg].files)
        reading = (
            f"{row.trial} {eeg.name} {row.eeg_onset_s!r} {';'.join(row.eog)}" for row, eeg in rows
        )
        return InputFiles(tuple(files), tuple(reading))


def _open_all(rows: Sequence[Row], mistakes: Mistakes) -> dict[Path, _Header]:
    headers = {}
    broken = {}
    for row in rows:
        if row.eeg is None or row.eeg in headers:
            continue
        if row.eeg not in broken:
            try:
                raw = open_eeg(row.eeg)
            except InputError as error:
                broken[row.eeg] = error.message
            else:
                kinds = raw.get_channel_types()
                eeg = [
                    name for name, kind in zip(raw.ch_names, kinds, strict=True) if kind == "eeg"
                ]
                sfreq = float(raw.info["sfreq"])
                headers[row.eeg] = _Header(
                    raw.n_times / sfreq,
                    sfreq,
                    tuple(raw.ch_names),
                    tuple(eeg),
                    files_of(row.eeg, raw),
                )
                continue
        mistakes.add(row.line, broken[row.eeg])
    return headers


def _check_rows(rows: Sequence[Row], headers: dict[Path, _Header], mistakes: Mistakes) -> None:
    eog: dict[Path, Row] = {}
    with_eeg = [row for row in rows if row.eeg is not None]
    for row in with_eeg:
        if row.eeg_channels != with_eeg[0].eeg_channels:
            line = with_eeg[0].line
            mistakes.add(row.line, f"eeg_channels differs from row {line}; all must be equal")
    for row in rows:
        if row.eeg is None or row.eeg not in headers:
            continue
        header = headers[row.eeg]
        if row.eeg_onset_s >= header.duration_s:
            mistakes.add(
                row.line,
                f"eeg_onset_s is {row.eeg_onset_s:g} and {row.eeg} lasts {header.duration_s:g} s",
            )
        first = eog.setdefault(row.eeg, row)
        if first.eog != row.eog:
            mistakes.add(
                row.line, f"eog differs from row {first.line}, which has the same EEG file"
            )
        try:
            _eog(row, header)
            find_channels(row.eeg_channels, header.channels, str(row.eeg))
        except InputError as error:
            mistakes.add(row.line, error.message)


def _check_twice(rows: Sequence[Row], mistakes: Mistakes) -> None:
    seen: dict[tuple[str, str, int], Row] = {}
    for row in rows:
        first = seen.setdefault((row.participant, row.session, row.trial), row)
        if first is not row:
            mistakes.add(
                row.line,
                f"trial {row.trial} of {row.participant} is in row {first.line} already",
            )


def _eog(row: Row, header: _Header) -> tuple[tuple[str, ...], ...]:
    """Find the channels of ``eog``; a dash within a name is told from one between two names."""
    present = {name.lower() for name in header.channels}
    pairs = []
    for text in row.eog:
        dashes = [index for index, letter in enumerate(text) if letter == "-"]
        splits = [(text[:at].strip(), text[at + 1 :].strip()) for at in dashes]
        both = (pair for pair in splits if all(name.lower() in present for name in pair))
        pair = (text,) if text.lower() in present else next(both, (text,))
        pairs.append(tuple(find_channels(pair, header.channels, str(row.eeg))))
    return tuple(pairs)


def _channels(
    rows: Sequence[Row], headers: dict[Path, _Header], mistakes: Mistakes
) -> tuple[tuple[str, ...] | None, list[str]]:
    """Return the channels to store, and those that some recordings lack."""
    if not headers:
        return None, []
    if channels := next(row.eeg_channels for row in rows if row.eeg):
        return channels, []
    pairs = [pair for row in rows if row.eeg for pair in _eog(row, headers[row.eeg])]
    eyes = {name.lower() for pair in pairs for name in pair}
    sets = [{name.lower() for name in header.eeg} for header in headers.values()]
    every = next(iter(headers.values())).eeg
    common = set.intersection(*sets) - eyes
    if not common:
        mistakes.add(rows[0].line, "the EEG recordings have no channel in common")
    dropped = sorted(set.union(*sets) - common - eyes)
    return tuple(name for name in every if name.lower() in common), dropped


def _stimulus_numbers(rows: Sequence[Row]) -> dict[str, int]:
    names = sorted({row.stimulus for row in rows})
    if all(re.fullmatch(r"[1-9]\d{0,8}", name) for name in names):
        return {name: int(name) for name in names}
    return {name: number for number, name in enumerate(names, start=1)}


def _choose(names: list[str], text: str, path: Path) -> list[str]:
    chosen: set[str] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        span = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        numbers = range(int(span[1]), int(span[2] or span[1]) + 1) if span else range(0)
        found = {
            name
            for name in names
            if name == part or ((end := re.search(r"\d+$", name)) and int(end[0]) in numbers)
        }
        if not found:
            raise InputError(
                f"data.participants asks for {part}, and {path} has no such participant.",
                f"It has: {', '.join(names)}.",
            )
        chosen |= found
    return [name for name in names if name in chosen or not text.strip()]


def _in_order(rows: list[Row]) -> tuple[list[Row], bool]:
    """Sort by session, in the order of the file, and trial; number through where trials repeat."""
    sessions = list(dict.fromkeys(row.session for row in rows))
    rows = sorted(rows, key=lambda row: (sessions.index(row.session), row.trial))
    if len({row.trial for row in rows}) == len(rows):
        return sorted(rows, key=lambda row: row.trial), False
    return [replace(row, trial=number) for number, row in enumerate(rows, start=1)], True


def _duration(row: Row, headers: dict[Path, _Header]) -> float:
    if row.duration_s is not None:
        return row.duration_s
    return headers[row.eeg].duration_s - row.eeg_onset_s if row.eeg else 0.0


def _notes(
    people: dict[str, list[Row]],
    headers: dict[Path, _Header],
    dropped: list[str],
    renumbered: list[str],
) -> list[str]:
    notes = []
    if dropped:
        notes.append(f"Not all recordings have the channels {', '.join(dropped)}: not used.")
    if renumbered:
        notes.append(f"Trials of {', '.join(renumbered)} are numbered through their sessions.")
    for row in (row for rows in people.values() for row in rows):
        if row.eeg is None or row.duration_s is None:
            continue
        over = row.eeg_onset_s + row.duration_s - headers[row.eeg].duration_s
        if over > _OVERRUN_S:
            notes.append(f"Row {row.line}: the EEG ends {over:.1f} s before the trial does.")
    return notes
