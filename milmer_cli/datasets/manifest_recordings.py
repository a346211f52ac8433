"""The recordings of a manifest as a data set (`Recordings`) for `milmer prepare`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from milmer_cli.datasets.base import EegInputs, Trial
from milmer_cli.datasets.manifest import (
    EegSource,
    ManifestRow,
    manifest_errors,
    read_manifest,
)
from milmer_cli.datasets.manifest_durations import limit_durations, overrun_notes
from milmer_cli.datasets.manifest_eeg import (
    EegHeaders,
    channels_to_store,
    match_file,
    open_files,
    row_options,
)
from milmer_cli.datasets.manifest_events import resolve_events
from milmer_cli.datasets.participants import select_participants
from milmer_cli.datasets.table import TableErrors
from milmer_cli.eeg.array_layout import find_trial
from milmer_cli.eeg.channels import find_derivations
from milmer_cli.eeg.io import AS_RECORDED, EegBlock, ReadOptions, open_eeg
from milmer_cli.eeg.montage import select_electrodes
from milmer_cli.errors import InputError, shorten
from milmer_cli.video.frames import VideoSpan


class ManifestRecordings:
    """Trials of a manifest, as `Recordings`.

    Trials may lack EEG or video, and may have any duration, sampling rate and electrodes. If trial
    numbers repeat in several sessions, trials are numbered consecutively in the order in which the
    sessions appear in the file. Names of stimuli become numbers in alphabetical order. If the
    recordings have different electrodes, those that all of them have are used. Channels that are
    not electrodes (`eeg.channels.find_electrodes`) are used only if ``eeg_channels`` lists them.

    Parameters
    ----------
    path
        The manifest; relative paths in it start at its folder.
    participants
        Participants to use, see `select_participants`; empty for all.
    options
        New names of channels, their unit, and electrodes for rows with an empty ``eeg_channels``.
    text
        Content of the manifest if the file does not exist (`listing.DatasetListing`).

    Raises
    ------
    InputError
        The file has errors (all are listed in one message), or a participant is unknown. An EEG
        file that cannot be read is an error of `trials` of its participant only.
    """

    pass_band_hz = None
    data_set = ""

    def __init__(
        self,
        path: Path,
        participants: str = "",
        options: ReadOptions = AS_RECORDED,
        text: str | None = None,
    ) -> None:
        title = str(path)
        self.path = path = path.absolute()  # worker processes may have another current folder
        if text is None and not path.is_file():
            raise InputError(f"There is no manifest {title}.", "Check the path.")
        errors = manifest_errors(path, text, title)
        rows, unused = read_manifest(errors, "prepare")
        rows = [replace(row, eeg_channels=row.eeg_channels or options.eeg_channels) for row in rows]
        self._options = options
        self._headers, problems = open_files(rows, options)
        rows, timed = resolve_events(rows, self._headers, options, errors)
        _check_eeg(rows, self._headers, errors)
        _check_duplicates(rows, errors)
        _check_video_onsets(rows, errors)
        rows, cut = limit_durations(rows, self._headers, errors)
        if errors.found:  # the user edits the manifest anyway, so list the damaged files too
            for row in rows:
                if row.source in problems:
                    errors.add(row.line, str(problems[row.source]))
        errors.raise_if_any()
        self._problems = {
            row.participant: problems[row.source]
            for row in reversed(rows)
            if row.source in problems
        }
        usable = [row for row in rows if row.participant not in self._problems]
        self.channels, unused_channels = channels_to_store(usable, self._headers, errors)
        errors.raise_if_any()
        self._resolved = usable
        self._stimuli = _stimulus_numbers(rows)
        names = sorted({row.participant for row in rows})
        self._rows: dict[str, list[ManifestRow]] = {}
        renumbered = []
        for name in select_participants(names, participants, title):
            own, changed = _number_trials([row for row in rows if row.participant == name])
            self._rows[name] = own
            renumbered += [name] * changed
        usable_rows = {n: own for n, own in self._rows.items() if n not in self._problems}
        notes = _notes(usable_rows, self._headers, renumbered)
        self._notes = [*unused, *unused_channels, *timed, *cut, *notes]

    def rows(self) -> list[ManifestRow]:
        """Return the rows of the selected participants whose EEG can be read, as in the file.

        Onsets and durations that the file does not state are filled in.
        """
        return [
            replace(
                row,
                eeg_onset_s=_onset_s(row) if row.eeg else None,
                video_onset_s=(row.video_onset_s or 0.0) if row.video else None,
                duration_s=_duration(row, self._headers),
            )
            for row in self._resolved
            if row.participant in self._rows
        ]

    def problems(self) -> dict[str, InputError]:
        """Return why the EEG of a participant cannot be read, by name."""
        return {name: self._problems[name] for name in self._rows if name in self._problems}

    def participants(self) -> list[str]:
        """Return the names of the participants, sorted."""
        return list(self._rows)

    def notes(self) -> list[str]:
        """Return one sentence for each choice that the manifest does not state."""
        return list(self._notes)

    def rates(self, participant: str) -> list[float]:
        """Return the sampling rates of a participant's EEG files that can be read, in Hz."""
        sources = {row.source for row in self._rows[participant]}
        return sorted({self._headers[s].sfreq_hz for s in sources if s in self._headers})

    def trials(self, participant: str) -> list[Trial]:
        """Return the trials of a participant in order of presentation.

        Raises
        ------
        InputError
            An EEG file of the participant cannot be read.
        """
        if participant in self._problems:
            raise self._problems[participant]
        return [
            Trial(
                participant,
                _trial(row),
                self._stimuli[row.stimulus],
                row.ratings,
                duration_s=_duration(row, self._headers),
                has_eeg=row.eeg is not None,
                video=_video(row),
                session=row.session,
                label=row.label,
                condition=row.condition,
            )
            for row in self._rows[participant]
        ]

    def eeg_blocks(self, participant: str) -> Iterator[EegBlock]:
        """Yield the EEG of a participant, one block per file, or per array with all its trials."""
        by_recording: dict[EegSource, list[ManifestRow]] = {}
        for row in self._rows[participant]:
            if row.eeg is not None:
                array = None if row.eeg_array is None else row.eeg_array.recording
                by_recording.setdefault(EegSource(row.eeg, array), []).append(row)
        for (path, _), rows in by_recording.items():
            raw = open_eeg(path, row_options(rows[0], self._options))
            eog = find_derivations(rows[0].eog, raw.ch_names, str(path))
            types = {name: "eog" for pair in eog for name in pair}
            raw.set_channel_types(types, on_unit_change="ignore", verbose="error")
            match = match_file(self.channels or (), raw.ch_names, raw.get_channel_types(), path)
            types = dict.fromkeys(match.found.values(), "eeg")
            raw.set_channel_types(types, on_unit_change="ignore", verbose="error")
            eog = select_electrodes(raw, match, eog)
            yield EegBlock(raw, {_trial(row): _onset_s(row) for row in rows}, eog=eog)

    def eeg_inputs(self, participant: str) -> EegInputs:
        """Return the files and parameters that a participant's EEG depends on."""
        rows = [(row, row.source) for row in self._rows[participant] if row.source]
        files = dict.fromkeys(file for _, eeg in rows for file in self._headers[eeg].files)
        parameters = [
            f"{row.trial} {eeg.path.name} {row.eeg_onset_s or 0.0!r} {';'.join(row.eog)}"
            f"{_marks(row)}"
            for row, eeg in rows
        ]
        parameters += [
            f"{row.trial} {row.eeg_array!r} {row.eeg_unit}"
            for row, _ in rows
            if row.eeg_array or row.eeg_unit
        ]
        stated = (*("=".join(pair) for pair in self._options.renames), self._options.unit)
        return EegInputs(tuple(files), (*parameters, *filter(None, stated)))


def _trial(row: ManifestRow) -> int:
    assert row.trial is not None  # noqa: S101 - `read_manifest` requires it for prepare
    return row.trial


def _onset_s(row: ManifestRow) -> float:
    """Return the start of the stimulus in the recording that contains the trial."""
    onset_s = row.eeg_onset_s or 0.0
    if row.eeg is None or row.eeg_array is None:
        return onset_s
    return find_trial(row.eeg, row.eeg_array).start / row.eeg_array.sfreq_hz + onset_s


def _marks(row: ManifestRow) -> str:
    """Return the bad channels and the power line frequency of a row; empty without them."""
    stated = (*row.eeg_bads, *([f"{row.line_freq_hz:g} Hz"] if row.line_freq_hz else []))
    return f" {';'.join(stated)}" if stated else ""


def _video(row: ManifestRow) -> VideoSpan | None:
    if row.video is None:
        return None
    return VideoSpan(row.video, row.video_onset_s or 0.0, row.video_options)


def _check_eeg(rows: Sequence[ManifestRow], headers: EegHeaders, errors: TableErrors) -> None:
    """Check onsets and channel names, and that they agree between rows."""
    with_eeg = [row for row in rows if row.eeg is not None]
    first_of_file: dict[Path, ManifestRow] = {}
    checked: set[tuple[object, ...]] = set()
    for row in with_eeg:
        if row.eeg_channels != with_eeg[0].eeg_channels:
            line = with_eeg[0].line
            errors.add(row.line, f"eeg_channels differs from row {line}; all rows must be equal")
        source = row.source
        if source is None or row.eeg is None or source not in headers:
            continue
        header, onset_s = headers[source], row.eeg_onset_s or 0.0
        if onset_s >= header.duration_s:
            errors.add(
                row.line,
                f"eeg_onset_s is {onset_s:g} s, but {row.eeg} lasts {header.duration_s:g} s",
            )
        first = first_of_file.setdefault(row.eeg, row)
        for column in ("eog", "eeg_bads", "line_freq_hz"):
            if getattr(first, column) != getattr(row, column):
                errors.add(
                    row.line,
                    f"{column} differs from row {first.line}, which has the same EEG file",
                )
        key = (row.eeg, header.channels, header.eeg, row.eog, row.eeg_channels)
        if key in checked:  # the trials of an array, of which there may be thousands
            continue
        checked.add(key)
        try:
            find_derivations(row.eog, header.channels, str(row.eeg))
            types = ["eeg" if name in header.eeg else "misc" for name in header.channels]
            match_file(row.eeg_channels, header.channels, types, row.eeg)
        except InputError as error:
            errors.add(row.line, str(error))


def _check_duplicates(rows: Sequence[ManifestRow], errors: TableErrors) -> None:
    firsts: dict[tuple[str, str, int], ManifestRow] = {}
    for row in rows:
        first = firsts.setdefault((row.participant, row.session, _trial(row)), row)
        if first is not row:
            errors.add(
                row.line,
                f"trial {row.trial} of {row.participant} is already in row {first.line}",
            )


def _check_video_onsets(rows: Sequence[ManifestRow], errors: TableErrors) -> None:
    """Check that trials at different times of an EEG file do not start at once in a video."""
    firsts: dict[tuple[Path, Path], ManifestRow] = {}
    for row in rows:
        if row.video is None or row.eeg is None or row.video_onset_s is not None:
            continue
        first = firsts.setdefault((row.video, row.eeg), row)
        if first.eeg_onset_s != row.eeg_onset_s:
            errors.add(
                row.line,
                f"video_onset_s is empty, as in row {first.line} with the same video: state the "
                "start of each stimulus in it",
            )


def _stimulus_numbers(rows: Sequence[ManifestRow]) -> dict[str, int]:
    """Keep stimuli that are all numbers; number names in alphabetical order."""
    names = sorted({row.stimulus for row in rows})
    if all(re.fullmatch(r"[1-9][0-9]{0,8}", name) for name in names):
        return {name: int(name) for name in names}
    return {name: number for number, name in enumerate(names, start=1)}


def _number_trials(rows: list[ManifestRow]) -> tuple[list[ManifestRow], bool]:
    """Sort the trials of a participant; number them consecutively if numbers repeat in sessions."""
    sessions = list(dict.fromkeys(row.session for row in rows))
    rows = sorted(rows, key=lambda row: (sessions.index(row.session), _trial(row)))
    if len({row.trial for row in rows}) == len(rows):
        return sorted(rows, key=_trial), False
    return [replace(row, trial=number) for number, row in enumerate(rows, start=1)], True


def _duration(row: ManifestRow, headers: EegHeaders) -> float:
    if row.duration_s is not None:
        return row.duration_s
    return headers[row.source].duration_s - (row.eeg_onset_s or 0.0) if row.source else 0.0


def _notes(
    rows_of: Mapping[str, Sequence[ManifestRow]],
    headers: EegHeaders,
    renumbered: Sequence[str],
) -> list[str]:
    sources = dict.fromkeys(row.source for rows in rows_of.values() for row in rows if row.source)
    notes = list(dict.fromkeys(filter(None, (headers[source].warning for source in sources))))
    if renumbered:
        notes.append(f"Trials of {shorten(renumbered)} are numbered consecutively over sessions.")
    rows = [row for own in rows_of.values() for row in own]
    return [*notes, *overrun_notes(rows, headers)]
