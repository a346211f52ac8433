"""The recordings of a BIDS data set as rows of a manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from milmer_cli.datasets.bids.events import EventsTable, read_events
from milmer_cli.datasets.bids.layout import BidsFile, find_files, find_participants
from milmer_cli.datasets.bids.signals import BidsSignal, channels_to_list, read_signal
from milmer_cli.datasets.bids.tables import read_names
from milmer_cli.datasets.bids.trial_rule import TrialRule, find_rule
from milmer_cli.datasets.bids.trials import BidsTrial, read_trials
from milmer_cli.datasets.bids.videos import (
    AlignedVideo,
    align_videos,
    file_key,
    parse_time,
    read_start_times,
    video_of_trial,
    videos_without_eeg,
)
from milmer_cli.datasets.findings import Findings
from milmer_cli.datasets.listing import DatasetListing
from milmer_cli.datasets.manifest import PARTICIPANT_NAME
from milmer_cli.datasets.manifest_eeg import electrodes_to_store
from milmer_cli.datasets.participants import select_participants
from milmer_cli.datasets.read_options import read_options
from milmer_cli.datasets.table import finite_number
from milmer_cli.eeg.io import ReadOptions
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import DataSettings

PARTICIPANT_COLUMN = "participant_name"
"""Column of participants.tsv with the name of the participant, if it is no label of BIDS."""
SESSION_COLUMN = "session_name"
"""Column of sessions.tsv with the name of the session, if it is no label of BIDS."""
_SAMPLE_TOLERANCE_S = 0.05
_END_TOLERANCE_S = 0.05


@dataclass(frozen=True)
class _Recording:
    """A recording that can be used, with what belongs to it.

    Attributes
    ----------
    file
        The EEG file, or a video without EEG.
    signal
        What is known of the EEG file; None without EEG.
    events
        Its events.
    videos
        Videos that were recorded at the same time.
    start
        Its ``acq_time``; None if it is unknown.
    """

    file: BidsFile
    signal: BidsSignal | None
    events: EventsTable
    videos: tuple[AlignedVideo, ...]
    start: datetime | None

    @property
    def duration_s(self) -> float:
        """Duration of the EEG file, or of the video."""
        return self.videos[0].duration_s if self.signal is None else self.signal.duration_s

    def order(self) -> tuple[str, str, int, str]:
        """Return the order of a session's recordings if their start is unknown."""
        entities = self.file.entities
        run = entities.get("run", "")
        number = int(run) if re.fullmatch(r"[0-9]{1,9}", run) else 0
        return entities.get("task", ""), entities.get("acq", ""), number, self.file.stem


def list_bids(root: Path, settings: DataSettings) -> DatasetListing:
    """List the recordings of an EEG-BIDS data set, with videos as in the draft BEP047.

    Parameters
    ----------
    root
        Folder that contains the folders ``sub-*``.
    settings
        ``trial_type``: the types of the events that are trials. ``label_column``: the column of
        events.tsv with their label. ``participants``, and how EEG files are read.

    Raises
    ------
    InputError
        It is no BIDS data set; no recording can be used; the trials or their labels are not
        clear (see `trial_rule.find_rule`).
    """
    findings, options = Findings(), read_options(settings)
    names = _participant_names(root, find_participants(root), findings)
    selected = select_participants(sorted(names.values()), settings.participants, str(root))
    recordings = [
        recording
        for folder, name in names.items()
        if name in selected
        for recording in _recordings(root, folder, options, findings)
    ]
    if not recordings:
        raise InputError(
            f"No recording below {root} can be used: {findings.last()}",
            findings.missing[-1].fix if findings.missing else "Check the folder.",
        )
    rule = find_rule([recording.events for recording in recordings], settings, root, findings)
    rows = []
    for session in _sessions(recordings):
        rows += _session_rows(session, rule, names, root, findings)
    if not options.eeg_channels:
        signals = [recording.signal for recording in recordings if recording.signal is not None]
        listed = channels_to_list(signals, findings)
        rows = [{**row, "eeg_channels": ";".join(listed)} for row in rows]
        if not listed:
            rows = _with_electrodes(rows, recordings, findings)
    if not rows:
        raise InputError(
            f"No trial below {root} can be used: {findings.last()}",
            "Name the events that are trials: --trial-type NAME[,NAME].",
        )
    if not any(row.get("video") for row in rows):
        findings.add("No trial has a video of the participant: only the EEG can be used.")
    return DatasetListing.of("BIDS", root, rows, findings)


def _with_electrodes(
    rows: Sequence[dict[str, object]], recordings: Sequence[_Recording], findings: Findings
) -> list[dict[str, object]]:
    """Leave out the trials of recordings whose channels cannot be stored."""
    unusable = set()
    for recording in recordings:
        if recording.signal is not None:
            try:
                electrodes_to_store(recording.signal.eeg, recording.file.path)
            except InputError as error:
                findings.add_error(recording.file.path.name, error)
                unusable.add(recording.file.path.absolute())
    return [row for row in rows if row.get("eeg") not in unusable]


def _participant_names(root: Path, folders: Sequence[str], findings: Findings) -> dict[str, str]:
    """Return the name of each participant by folder, and compare participants.tsv with them."""
    table = root / "participants.tsv"
    stated = read_names(table, "participant_id", PARTICIPANT_COLUMN, findings)
    if not table.is_file():
        findings.add("There is no participants.tsv; the participants are the folders sub-*.")
    elif stated:
        for participant in sorted(set(stated) - set(folders)):
            findings.add_missing(
                participant, "participants.tsv lists it, and it has no folder.", "Copy its folder."
            )
        if unlisted := sorted(set(folders) - set(stated)):
            findings.add("participants.tsv does not list all folders ({}).", unlisted)
    names = {folder: stated.get(folder) or folder for folder in folders}
    if wrong := [name for name in names.values() if not re.fullmatch(PARTICIPANT_NAME, name)]:
        findings.add(
            f"Names of {PARTICIPANT_COLUMN} that contain other characters than letters, "
            "digits and . _ - are ignored ({}).",
            wrong,
        )
        names = {folder: folder if name in wrong else name for folder, name in names.items()}
    if len(set(names.values())) < len(names):
        findings.add(f"The column {PARTICIPANT_COLUMN} is ignored, because names repeat in it.")
        names = {folder: folder for folder in folders}
    for folder in [f for f, name in names.items() if not re.fullmatch(PARTICIPANT_NAME, name)]:
        sentence = "Left out, because the name is no name of a participant ({})."
        findings.add(sentence, [names.pop(folder)])
    return names


def _recordings(
    root: Path, folder: str, options: ReadOptions, findings: Findings
) -> Iterator[_Recording]:
    """Yield the recordings of a participant that can be read and have events."""
    files, videos = find_files(root, folder, findings)
    alone = videos_without_eeg(files, videos, findings)
    if not files:
        left_out = "" if alone else ", so it is left out"
        findings.add_missing(folder, f"It has no EEG recording that can be used{left_out}.", "")
    times = read_start_times(
        root, dict.fromkeys((root / folder, *(f.folder for f in files))), findings
    )
    for file, video in [*((file, None) for file in files), *alone]:
        try:
            events = read_events(file.path, findings)
            signal = None if video else read_signal(file.path, options, findings)
        except InputError as error:
            findings.add_error(file.path.name, error)
            continue
        if events is None or not events.rows:
            findings.add_missing(file.path.name, *_without_events(events, video))
            continue
        aligned = [video] if video else align_videos(file, videos, times, findings)
        start = parse_time(times.get(file_key(file.path), ""))
        yield _Recording(file, signal, events, tuple(aligned), start)


def _without_events(events: EventsTable | None, video: AlignedVideo | None) -> tuple[str, str]:
    """Return why a recording without events is left out, and what the user can do."""
    if video is not None:
        why = "It belongs to no EEG recording and has no events.tsv, so it is left out."
        return why, "Add its events.tsv, or its EEG."
    if events is None:
        why = "It has no events.tsv, so its trials are unknown and it is left out."
    else:
        why = "Its events.tsv has no rows, so it is left out."
    return why, "Add its events.tsv."


def _sessions(recordings: Sequence[_Recording]) -> list[list[_Recording]]:
    """Group recordings by participant and session, each group in the order of recording."""
    sessions: dict[tuple[str, str], list[_Recording]] = {}
    for recording in recordings:
        key = recording.file.participant, recording.file.session
        sessions.setdefault(key, []).append(recording)
    return [_in_order(session) for session in sessions.values()]


def _in_order(session: list[_Recording]) -> list[_Recording]:
    """Sort by ``acq_time`` if all have one and no two are equal, otherwise by task and run."""
    starts = [r.start for r in session if r.start is not None]
    zones = {start.tzinfo is None for start in starts}
    if len(set(starts)) == len(session) and len(zones) == 1:
        return sorted(session, key=lambda r: (r.start is None, r.start))
    return sorted(session, key=_Recording.order)


def _session_rows(
    session: Sequence[_Recording],
    rule: TrialRule,
    names: Mapping[str, str],
    root: Path,
    findings: Findings,
) -> list[dict[str, object]]:
    """Return one row per trial of a session; trial numbers continue over its runs."""
    trials = [
        (recording, trial)
        for recording in session
        for trial in read_trials(recording.events, rule, findings)
        if _is_within(recording, trial, findings)
    ]
    first = session[0].file
    identity = {
        "participant": names[first.participant],
        "session": _session_name(root, first, findings),
    }
    numbers = _trial_numbers([trial for _, trial in trials], session, findings)
    rows = []
    for (recording, trial), number in zip(trials, numbers, strict=True):
        own_stimulus = "_".join(filter(None, [first.participant, first.session, f"trial-{number}"]))
        row = {
            **identity,
            "trial": number,
            "stimulus": trial.stimulus or own_stimulus,
            **_signal_columns(recording, trial),
            **video_of_trial(trial, recording.videos, root, findings),
        }
        rows.append(row)
        if rule.stimulus_column and not trial.stimulus:
            sentence = "Trials without a stimulus (n/a) have a stimulus of their own ({})."
            findings.add(sentence, [own_stimulus])
    return rows


def _signal_columns(recording: _Recording, trial: BidsTrial) -> dict[str, object]:
    columns = {
        "duration_s": trial.duration_s,
        **trial.ratings,
        "label": trial.label,
        "condition": trial.condition,
    }
    signal = recording.signal
    if signal is None:
        return columns
    return {
        **columns,
        "eeg": recording.file.path.absolute(),
        "eeg_onset_s": trial.onset_s,
        "eeg_unit": signal.unit,
        "eog": ";".join(signal.eog),
        "eeg_bads": ";".join(signal.bads),
        "line_freq_hz": "" if signal.line_freq_hz is None else signal.line_freq_hz,
    }


def _is_within(recording: _Recording, trial: BidsTrial, findings: Findings) -> bool:
    """Report trials beyond the end of the recording, and onsets that contradict ``sample``."""
    where = f"{trial.row.errors.path.name} row {trial.row.line}"
    if trial.onset_s >= recording.duration_s:
        findings.add("Trials that start after the end of the recording are left out ({}).", [where])
        return False
    if trial.onset_s + trial.duration_s > recording.duration_s + _END_TOLERANCE_S:
        findings.add("Trials that end after the recording are cut to its end ({}).", [where])
    sample = trial.row.value("sample", finite_number, "a number")
    if sample and recording.signal is not None:
        difference_s = abs(sample / recording.signal.sfreq_hz - trial.onset_s)
        if difference_s > _SAMPLE_TOLERANCE_S:
            findings.add(
                "The columns onset and sample of events.tsv contradict each other; "
                "onset is used ({}).",
                [f"{difference_s:.2f} s in {where}"],
            )
    return True


def _trial_numbers(
    trials: Sequence[BidsTrial], session: Sequence[_Recording], findings: Findings
) -> list[int]:
    """Return the numbers that events.tsv states, or 1, 2, ... if they are incomplete or repeat."""
    stated = [trial.number for trial in trials if trial.number is not None]
    if len(set(stated)) == len(trials):
        return stated
    if stated:
        findings.add(
            "The column trial does not number the trials of a session, so they are numbered in the "
            "order of their onsets ({}).",
            [session[0].file.stem],
        )
    return list(range(1, len(trials) + 1))


def _session_name(root: Path, file: BidsFile, findings: Findings) -> str:
    if not file.session:
        return ""
    table = root / file.participant / f"{file.participant}_sessions.tsv"
    names = read_names(table, "session_id", SESSION_COLUMN, findings)
    return names.get(file.session) or file.session
