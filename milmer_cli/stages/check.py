"""What a data set holds, before anything is made of it: ``milmer prepare --check``."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.data.labels import LEFT_OUT, class_names, classes
from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.recordings.inventory import FILMED, Missing, ParticipantInventory, inventory
from milmer_cli.recordings.manifest import ManifestRecordings
from milmer_cli.recordings.probe import VideoProbe, probe_video
from milmer_cli.recordings.trial import Trial
from milmer_cli.settings.schema import DataSettings, Settings

_SHOWN = 6
_NONE = "-"


@dataclass(frozen=True)
class CheckResult:
    """What was found.

    Attributes
    ----------
    title
        What was looked at.
    columns, rows
        A table in words, one row a participant, the last one for all together.
    missing
        What is missing, what cannot be done without it, and what to do; of all participants.
    notes
        What else a user should know.
    usable
        Whether anything can be prepared.
    facts
        The same and more as plain values.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    missing: tuple[Missing, ...]
    notes: tuple[str, ...]
    usable: bool
    facts: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dict(self.facts)

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value: what is missing, what is noteworthy."""
        rows = [("missing", f"{m.what}. {m.why} {m.fix}".strip()) for m in self.missing]
        rows += [("note", note) for note in self.notes]
        return [*rows, ("can be used", "yes" if self.usable else "no")]


def check_deap(root: Path, settings: Settings, progress: Progress = SILENT) -> CheckResult:
    """Look at DEAP below ``root``: headers, stimulus marks, labels, first and last video frames.

    Parameters
    ----------
    root
        Any folder above DEAP's files.
    settings
        Section ``data``: source, participants, and the rule of the classes.
    progress
        Advanced by participants.

    Raises
    ------
    InputError
        ``root`` or the ratings file cannot be used at all.
    """
    data = settings.data
    found = inventory(root, data.source, data.participants, probe_video, progress)
    counts = {
        person.participant: _Counts(person.ratings.values(), (), data)
        for person in found.participants
    }
    names = class_names(data.target)
    columns = ("", "raw", "preproc.", "ratings", "videos", "video", "usable", "EEG", "faces")
    rows = [
        (*_deap_row(person), *counts[person.participant].cells) for person in found.participants
    ]
    whole = {missing.why for missing in found.missing}
    per_participant = (
        missing
        for person in found.participants
        for missing in person.missing
        if not any(_says_as_much(why, missing) for why in whole)
    )
    return CheckResult(
        f"DEAP below {root}",
        (*columns, *names, "no class"),
        (*rows, _total(rows)),
        (*found.missing, *_grouped(per_participant)),
        (*found.notes, *_deap_notes(found.participants), *_tie_notes(counts.values(), data)),
        found.usable,
        found.to_json() | {"classes": {name: own.to_json() for name, own in counts.items()}},
    )


def check_manifest(path: Path, settings: Settings, progress: Progress = SILENT) -> CheckResult:
    """Look at the recordings of a manifest: its rows, EEG headers, first and last video frames.

    Parameters
    ----------
    path
        The manifest.
    settings
        Section ``data``: participants, and the rule of the classes.
    progress
        Advanced by participants.

    Raises
    ------
    InputError
        The manifest has mistakes; all are told at once.
    """
    data = settings.data
    recordings = ManifestRecordings(path, data.participants)
    people = {name: recordings.trials(name) for name in recordings.participants()}
    named = np.array([trial.label or "" for trials in people.values() for trial in trials])
    columns = ("", "trials", "EEG", "Hz", "videos", "seconds")
    progress.start("check", len(people), "participants")
    rows, counts, missing, usable = [], {}, [], False
    for name, trials in people.items():
        own = {t.video.path: _problem(t.video.path) for t in trials if t.video}
        whole = [t for t in trials if t.has_eeg or (t.video and not own[t.video.path])]
        usable = usable or bool(whole)
        counts[name] = _Counts(
            [t.ratings for t in whole], [t.label or "" for t in whole], data, named
        )
        seconds = sorted(trial.duration_s for trial in trials)
        row = (
            name,
            str(len(trials)),
            str(sum(trial.has_eeg for trial in trials)),
            " ".join(f"{rate:g}" for rate in recordings.rates(name)) or _NONE,
            str(sum(bool(t.video and not own[t.video.path]) for t in trials)),
            f"{seconds[0]:.0f}" + (f"-{seconds[-1]:.0f}" if seconds[-1] - seconds[0] >= 1 else ""),
        )
        rows.append((*row, *counts[name].cells))
        missing += [
            Missing(file.name, problem, "Copy it again.")
            for file, problem in own.items()
            if problem
        ]
        missing += _manifest_missing(name, trials)
        progress.advance("check")
    progress.done("check")
    facts = {
        "manifest": str(path),
        "channels": list(recordings.channels or ()),
        "participants": [
            dict(zip(("participant", *columns[1:]), row, strict=False)) for row in rows
        ],
        "missing": [asdict(entry) for entry in missing],
        "notes": recordings.notes(),
        "usable": usable,
        "classes": {name: own.to_json() for name, own in counts.items()},
    }
    return CheckResult(
        f"Manifest {path}",
        (*columns, *class_names(data.target, named), "no class"),
        (*rows, _total(rows)),
        tuple(_grouped(missing)),
        (*recordings.notes(), *_tie_notes(counts.values(), data), *_label_notes(named, data)),
        usable,
        facts,
    )


class _Counts:
    """Trials of a participant by class."""

    def __init__(
        self,
        ratings: Iterable[Sequence[float]],
        labels: Sequence[str],
        data: DataSettings,
        named: np.ndarray | None = None,
    ) -> None:
        table = np.array([list(row) for row in ratings], np.float32).reshape(-1, 4)
        own = np.array(list(labels), dtype=str)
        self.names = class_names(data.target, named)
        if data.target == "label":
            numbers = {name: number for number, name in enumerate(self.names)}
            found = np.array([numbers.get(str(name), LEFT_OUT) for name in own], int)
        else:
            found = classes(table, data)
        self.by_class = [int((found == number).sum()) for number in range(len(self.names))]
        self.left_out = int((found == LEFT_OUT).sum())
        # a rating of 5 is as common as it is undecided: how many hang on the rule
        self.tied = int((table[:, :2] == np.float32(data.threshold)).any(axis=1).sum())

    @property
    def cells(self) -> tuple[str, ...]:
        return tuple(str(count) for count in (*self.by_class, self.left_out))

    def to_json(self) -> dict[str, int]:
        return {**dict(zip(self.names, self.by_class, strict=True)), "no class": self.left_out}


def _deap_row(person: ParticipantInventory) -> tuple[str, ...]:
    def words(kinds: Sequence[str]) -> str:
        found = [facts for facts in person.eeg if facts.kind in kinds]
        cells = (
            f"{facts.kind} broken" if facts.problem
            else f"{facts.kind} {facts.sfreq_hz:g} Hz" if facts.sfreq_hz
            else facts.kind
            for facts in found
        )  # fmt: skip
        return ", ".join(cells) or _NONE

    rates = [video.fps for video in person.videos if video.fps]
    lengths = [video.duration_s for video in person.videos if video.duration_s]
    kind = (
        f"{statistics.median(rates):.4g} fps, {statistics.median(lengths):.0f} s"
        if rates and lengths
        else _NONE
    )
    videos = f"{len(person.videos)}/{person.videos_expected}"
    return (
        person.participant,
        words(["bdf"]),
        words(["dat", "mat"]),
        str(person.ratings_rows),
        videos if person.videos_expected or person.videos else _NONE,
        kind,
        str(person.usable_trials),
        str(person.eeg_trials),
        str(person.video_trials),
    )


def _says_as_much(whole: str, missing: Missing) -> bool:
    """Whether what is missing of everybody makes it idle to name it for one participant."""
    pairs = {
        "Nothing can be used: ": "Nothing of this participant can be used: ",
        "Only faces can be used.": "This participant has no EEG.",
        "Only EEG can be used.": "These trials have no faces.",
    }
    return any(
        whole.startswith(everybody) and missing.why.startswith(one)
        for everybody, one in pairs.items()
    )


def _deap_notes(people: Sequence[ParticipantInventory]) -> list[str]:
    notes = []
    never = [
        f"{person.participant} trial{'s' * (len(trials) > 1)} {', '.join(map(str, trials))}"
        for person in people
        if (trials := person.videos_never_published)
    ]
    if never:
        notes.append(f"DEAP itself has no video of {'; '.join(never)}.")
    unfilmed = [
        person.participant
        for person in people
        if int(person.participant[1:]) not in FILMED and not person.videos
    ]
    if unfilmed:
        notes.append(f"DEAP has no face videos of {_listed(unfilmed)}: EEG only.")
    kinds = {person.source for person in people if person.source}
    if len(kinds) > 1:
        notes.append(
            f"EEG would be read from {' and '.join(sorted(kinds))}, which were cleaned "
            "differently; --source picks one."
        )
    return notes


def _tie_notes(counts: Iterable[_Counts], data: DataSettings) -> list[str]:
    tied = sum(own.tied for own in counts)
    if not tied or data.target == "label":
        return []
    rule = {
        "low": "counts as low",
        "high": "counts as high",
        "drop": "leaves the trial out where the target needs it",
        "published": "is treated as in the published code",
    }[data.ties]
    return [
        f"{tied} trial{'s have' if tied > 1 else ' has'} a valence or arousal of exactly "
        f"{data.threshold:g}: "
        f"it {rule} (data.ties={data.ties})."
    ]


def _label_notes(named: np.ndarray, data: DataSettings) -> list[str]:
    if data.target == "label" or not (named != "").any():
        return []
    names, counts = np.unique(named[named != ""], return_counts=True)
    listed = ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
    return [f"Classes are named ({listed}): train on them with --set data.target=label."]


def _manifest_missing(name: str, trials: Sequence[Trial]) -> list[Missing]:
    unrated = [t.trial for t in trials if np.isnan(t.ratings[:2]).any() and not t.label]
    no_eeg = [t.trial for t in trials if not t.has_eeg]
    no_video = [t.trial for t in trials if not t.video]
    kinds = (
        (unrated, "Without valence and arousal, or a label, a trial cannot be trained on."),
        (no_eeg, "No EEG: these trials have faces only."),
        (no_video, "No video: these trials have EEG only."),
    )
    return [
        Missing(f"{name} trial{'s' * (len(lacking) > 1)} {_listed(map(str, lacking))}", why, "")
        for lacking, why in kinds
        if lacking
    ]


def _problem(path: Path, probe: Callable[[Path], VideoProbe] = probe_video) -> str:
    """Say why a video cannot be used; empty when it can."""
    try:
        facts = probe(path)
    except InputError as error:
        return error.message
    return "" if facts.first_decodable else f"The first frame of {path} cannot be decoded."


def _grouped(missing: Iterable[Missing]) -> list[Missing]:
    """Say once what holds for many."""
    groups: dict[tuple[str, str], list[str]] = {}
    for entry in missing:
        groups.setdefault((entry.why, entry.fix), []).append(entry.what)
    return [Missing(_listed(what, "; "), why, fix) for (why, fix), what in groups.items()]


def _listed(names: Iterable[str], comma: str = ", ") -> str:
    listed = list(names)
    more = f"{comma}and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return comma.join(listed[:_SHOWN]) + more


def _total(rows: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Add up the columns of numbers."""
    cells = ["all"]
    for column in list(zip(*rows, strict=True))[1:]:
        parts = [cell.split("/") for cell in column if cell != _NONE]
        whole = parts and all(part.isdigit() for cell in parts for part in cell)
        sums = (
            [sum(int(cell[at]) for cell in parts) for at in range(len(parts[0]))] if whole else []
        )
        cells.append("/".join(map(str, sums)))
    return tuple(cells)
