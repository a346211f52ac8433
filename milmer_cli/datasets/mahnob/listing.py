"""MAHNOB-HCI, emotion experiment: 27 participants, sessions with BDF and color video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from milmer_cli.datasets.findings import Findings
from milmer_cli.datasets.listing import DatasetListing
from milmer_cli.datasets.mahnob.rows import SessionRow, participant_name, session_row
from milmer_cli.datasets.mahnob.sentences import SENTENCES, summarize_files
from milmer_cli.datasets.mahnob.session import EMOTION, SESSION_FILE, Session, read_session
from milmer_cli.datasets.missing import COPY_AGAIN
from milmer_cli.datasets.participants import select_participants
from milmer_cli.datasets.read_options import read_options
from milmer_cli.errors import InputError, shorten
from milmer_cli.input_files import is_regular_file
from milmer_cli.settings.schema import DataSettings

PUBLISHED = dict.fromkeys(range(1, 31), 20) | {3: 17, 9: 14, 16: 16, 12: 0, 15: 0, 26: 0}
"""Participant -> number of published stimulus sessions with EEG and video."""

_LISTED = 12


def list_mahnob(root: Path, settings: DataSettings) -> DatasetListing:
    """List the stimulus sessions of MAHNOB-HCI's emotion experiment.

    Parameters
    ----------
    root
        The folder ``Sessions``, or the folder that contains it.
    settings
        ``participants``, and what the user states about the EEG files.

    Raises
    ------
    InputError
        The folder has no session of which anything can be used, or a participant is unknown.
    """
    findings = Findings()
    folders = _session_folders(root, findings)
    sessions = _select(_read_sessions(folders, findings), findings)
    by_person: dict[str, list[Session]] = {}
    for session in sessions:
        by_person.setdefault(participant_name(session), []).append(session)
    names = select_participants(sorted(by_person), settings.participants, str(root))
    options = read_options(settings)
    rows: list[SessionRow] = []
    for name in names:
        trials = _number_trials(name, by_person[name], findings)
        own = [session_row(s, trial, options, findings) for trial, s in trials]
        rows += [row for row in own if row is not None]
        clips = Counter(session.text("mediaFile") for session in by_person[name])
        for clip in (clip for clip, count in clips.items() if clip and count > 1):
            findings.add(SENTENCES["same_clip"], [f"{name} {clip[:40]}"])
    if not rows:
        reasons = [f"{m.what}. {m.why}" for m in findings.missing]
        raise InputError(
            f"No session of the emotion experiment of MAHNOB-HCI in {root} can be used: "
            f"{shorten(reasons, 1) or 'all are neutral sessions or of the other experiment'}",
            "A session needs session.xml, a rating, and a BDF file with events or a color video.",
        )
    clips_in_eeg = [row.eeg.clip for row in rows if row.eeg is not None]
    for sentence in summarize_files(
        [clip.sfreq_hz for clip in clips_in_eeg],
        sum(clip.exg for clip in clips_in_eeg),
        [row.video.onset_s for row in rows if row.video is not None and row.video.gaze is not None],
    ):
        findings.add(sentence)
    _compare_with_published(by_person, names, settings.participants, findings)
    return DatasetListing.of("MAHNOB-HCI", root, [row.columns for row in rows], findings)


def _session_folders(root: Path, findings: Findings) -> list[Path]:
    """Return the folders of the sessions, by their number."""
    for parent in (root.absolute(), root.absolute() / "Sessions"):
        try:
            children = sorted(parent.iterdir(), key=_by_number) if parent.is_dir() else []
        except OSError as error:
            problem = f"{parent} cannot be read: {error.strerror or error}."
            raise InputError(problem, "Check its permissions.") from error
        folders = [path for path in children if is_regular_file(path / SESSION_FILE)]
        for path in children if folders else ():
            if path not in folders and path.name.isdecimal() and path.is_dir():
                findings.add_missing(
                    f"Session {path.name}", f"It is left out: it has no {SESSION_FILE}.", COPY_AGAIN
                )
        if folders:
            return folders
    if is_regular_file(root / SESSION_FILE):
        raise InputError(
            f"{root} is one session of MAHNOB-HCI: expected the folder Sessions.",
            f"Give {root.parent}.",
        )
    raise InputError(
        f"{root} has no session of MAHNOB-HCI: expected folders such as Sessions/2 with the file "
        f"{SESSION_FILE}.",
        "Give the folder Sessions, or the folder that contains it.",
    )


def _by_number(path: Path) -> tuple[int, str]:
    """Return a key that sorts numbers without leading zeros by their value."""
    return len(path.name), path.name


def _read_sessions(folders: Sequence[Path], findings: Findings) -> list[Session]:
    sessions = []
    for folder in folders:
        try:
            session = read_session(folder)
        except InputError as error:
            findings.add_error(f"Session {folder.name}", error, "It is left out: {}")
            continue
        stated = session.text("sessionId")
        if session.number is not None and stated and stated != str(session.number):
            findings.add(SENTENCES["other_id"], [f"{folder.name} ({shorten([stated[:20]])})"])
        sessions.append(session)
    return sessions


def _select(sessions: Sequence[Session], findings: Findings) -> list[Session]:
    """Return the stimulus sessions of the emotion experiment; the others become findings."""
    selected = []
    others: Counter[str] = Counter()
    n_neutral = 0
    for session in sessions:
        what = f"Session {session.folder.name}"
        experiments, stimulus = session.experiments, session.text("isStim")
        if len(experiments) != 1:
            findings.add_missing(
                what, "It is left out: its experiment is unknown (experimentType, file name).", ""
            )
        elif EMOTION not in experiments:
            others[session.text("experimentType")[:40] or "no experimentType"] += 1
        elif stimulus not in ("0", "1"):
            findings.add_missing(
                what, "It is left out: expected isStim 0 or 1 in session.xml.", COPY_AGAIN
            )
        elif _contradicts(session, stimulus == "1"):
            findings.add_missing(
                what,
                "It is left out: isStim and the name of the BDF file disagree on whether a clip "
                "was shown.",
                COPY_AGAIN,
            )
        elif stimulus == "0":
            n_neutral += 1
        elif not participant_name(session):
            findings.add_missing(what, "It is left out: expected the id of a subject.", COPY_AGAIN)
        else:
            selected.append(session)
            if EMOTION not in (stated := session.text("experimentType")).casefold():
                findings.add(
                    SENTENCES["other_experiment"],
                    [f"{session.folder.name} ({stated[:40] or 'none'})"],
                )
    if n_neutral:
        findings.add(f"Neutral sessions, which have no clip, are left out: {n_neutral}.")
    if others:
        listed = ", ".join(f"{name}: {count}" for name, count in sorted(others.items()))
        findings.add(
            "Sessions of the other experiment, which have tags instead of emotions, are left out: "
            f"{others.total()} ({listed})."
        )
    return selected


def _contradicts(session: Session, stimulus: bool) -> bool:
    return session.eeg_name is not None and session.eeg_name.stimulus != stimulus


def _compare_with_published(
    by_person: dict[str, list[Session]],
    names: Sequence[str],
    participants: str,
    findings: Findings,
) -> None:
    """Name participants and sessions that are missing, and numbers that contradict each other."""
    for name in names:
        own = by_person[name]
        person = own[0].person
        for session in own:
            _check_numbers(session, findings)
        expected = PUBLISHED.get(person or 0)
        if expected is None:
            findings.add(SENTENCES["unknown_person"], [name])
        elif len(own) < expected:
            present = {session.index for session in own}
            first = 130 * ((person or 0) - 1)
            gaps = [str(first + k) for k in range(2, 41, 2) if k not in present]
            numbers = f" ({shorten(gaps, 6)})" if expected == 20 and gaps else ""
            findings.add_missing(
                f"{expected - len(own)} of the {expected} sessions of {name}{numbers}",
                "These published stimulus sessions are not in the folder, or are left out.",
                "Download them for all trials of the participant.",
            )
        elif len(own) > expected:
            findings.add(SENTENCES["more_sessions"], [f"{name} ({len(own)} instead of {expected})"])
        elif expected < 20:
            findings.add(SENTENCES["fewer_sessions"], [f"{name} ({expected})"])
    if participants:
        return
    present_persons = {own[0].person for own in by_person.values()}
    absent = [p for p, count in PUBLISHED.items() if count and p not in present_persons]
    if absent:
        findings.add_missing(
            shorten([f"P{person:02d}" for person in absent], _LISTED),
            "No stimulus session of these participants is in the folder.",
            "Download them to use all 27 participants.",
        )
    findings.add("P12, P15 and P26 have no complete stimulus session in the published data set.")


def _check_numbers(session: Session, findings: Findings) -> None:
    """Compare the number of a session with its participant, its parity and its BDF file."""
    label = session.folder.name
    if session.number is not None and session.person is not None:
        if session.index is None:
            findings.add(SENTENCES["other_person"], [f"{label} ({participant_name(session)})"])
        elif session.index % 2:
            findings.add(SENTENCES["odd_number"], [label])
    if session.eeg_name is not None and session.eeg_name.person != session.person:
        findings.add(SENTENCES["other_eeg_person"], [f"{label} ({session.eeg_filename[:60]})"])


def _number_trials(
    name: str, sessions: Sequence[Session], findings: Findings
) -> list[tuple[int, Session]]:
    """Return the sessions in order of presentation, with the numbers of their trials.

    The order is that of date and time in session.xml. If the numbers of the sessions have the same
    order, the trial is k / 2, which is the number in the name of the BDF file; otherwise trials are
    counted in the order of time.
    """
    by_number = sorted(sessions, key=lambda session: session.number or 0)
    halves = [s.index // 2 for s in by_number if s.index is not None and s.index % 2 == 0]
    if len(set(halves)) < len(sessions):
        halves = list(range(1, len(sessions) + 1))
    numbered = list(zip(halves, by_number, strict=True))
    known = {session.started for session in sessions if session.started is not None}
    if len(known) < len(sessions):
        findings.add(SENTENCES["no_time_order"], [name])
        return numbered
    by_time = sorted(sessions, key=lambda session: session.started or ())
    if by_time != by_number:
        findings.add(SENTENCES["other_order"], [name])
        return list(enumerate(by_time, start=1))
    for trial, session in numbered:
        if session.eeg_name is not None and session.eeg_name.trial != trial:
            findings.add(
                SENTENCES["other_trial"], [f"{session.folder.name} ({session.eeg_filename[:60]})"]
            )
    return numbered
