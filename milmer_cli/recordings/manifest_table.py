"""The manifest as a table: its columns, its commented template, and all its mistakes at once."""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from milmer_cli.errors import InputError
from milmer_cli.recordings.trial import RATINGS

T = TypeVar("T")

RANGES = tuple(f"{name}_range" for name in RATINGS)
REQUIRED = ("participant", "trial", "stimulus")
COLUMNS = (
    *REQUIRED,
    *("session", "eeg", "eeg_onset_s", "video", "video_onset_s", "duration_s"),
    *RATINGS,
    *RANGES,
    *("label", "eog", "eeg_channels"),
)

_SHOWN = 50
_TEMPLATE = """\
# One row a trial. Lines that begin with # are ignored, and so are columns whose name does.
# participant    name, of letters, digits, . _ -
# session        which visit of the participant; empty where there was one
# trial          1, 2, ... in order of presentation
# stimulus       which clip: a number or a name; the same clip has the same one for everybody
# eeg            BDF, EDF, GDF, FIF, BrainVision (.vhdr) or EEGLAB (.set) file; empty for none
# eeg_onset_s    where in it the stimulus starts, in seconds; empty for 0
# video          any video file; empty for none. Paths are absolute, or start at this file's folder
# video_onset_s  where in it the stimulus starts, in seconds after its first frame; empty for 0
# duration_s     how long the stimulus lasted; empty for up to the end of the EEG file
# valence arousal dominance liking    as given; empty where not asked for
# valence_range ...                   their scale as lowest-highest, 1-9 where empty; kept as 1-9
# label          name of the class, instead of ratings
# eog            channels that show the eyes, differences as A-B, several with ; between them
# eeg_channels   EEG channels to use and their order, with ; between them; empty for all in common
participant,session,trial,stimulus,eeg,eeg_onset_s,video,video_onset_s,duration_s,valence,\
valence_range,arousal,arousal_range,eog
P01,1,1,joy_03,P01/eeg.bdf,30,P01/face_joy_03.avi,0,81.4,7,1-9,6,1-9,EXG1-EXG2;EXG3-EXG4
P01,1,2,fear_11,P01/eeg.bdf,142.5,,,66.0,2,1-9,8,1-9,EXG1-EXG2;EXG3-EXG4
P02,1,1,fear_11,,,P02/face_fear_11.mp4,2.5,66.0,35,0-100,80,0-100,
"""


def manifest_template() -> str:
    """Return a commented example of a manifest."""
    return _TEMPLATE


@dataclass(frozen=True)
class Row:
    """One trial as the table gives it; ``line`` is its line in the file."""

    line: int
    participant: str
    session: str
    trial: int
    stimulus: str
    eeg: Path | None
    eeg_onset_s: float
    video: Path | None
    video_onset_s: float
    duration_s: float | None
    ratings: tuple[float, float, float, float]
    label: str | None
    eog: tuple[str, ...]
    eeg_channels: tuple[str, ...]


@dataclass
class Mistakes:
    """What is wrong in a manifest, gathered so that it can be said at once."""

    path: Path
    found: dict[tuple[int, str], None] = field(default_factory=dict)

    def add(self, line: int, text: str) -> None:
        """Note a mistake in a line of the file, once."""
        self.found[line, text] = None

    def stop(self) -> None:
        """Raise InputError when there are mistakes."""
        if not self.found:
            return
        listed = [f"  row {line}: {text}" for line, text in sorted(self.found)]
        more = [f"  and {len(listed) - _SHOWN} more"] if len(listed) > _SHOWN else []
        count = f"{len(listed)} mistake{'s' * (len(listed) > 1)}"
        raise InputError(
            "\n".join([f"{self.path} has {count}:", *listed[:_SHOWN], *more]),
            "`milmer prepare --manifest-template` writes a commented example.",
        )


def read_table(path: Path, mistakes: Mistakes) -> list[Row]:
    """Read the rows of a manifest; what is wrong in them goes to ``mistakes``.

    Raises
    ------
    InputError
        The file cannot be read, or its header is wrong, so that rows have no meaning.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The manifest {path} cannot be read: {error}.", "Give a csv file in UTF-8."
        ) from error
    lines = ["" if line.lstrip().startswith("#") else line for line in text.splitlines()]
    first = next((line for line in lines if line.strip()), "")
    reader = csv.reader(lines, delimiter=";" if first.count(";") > first.count(",") else ",")
    header: list[str] = []
    rows = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = _header(cells, reader.line_num, mistakes)
            continue
        if len(cells) > len(header):
            mistakes.add(reader.line_num, f"has {len(cells)} cells and the header {len(header)}")
        given = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
        rows.append(_Reader(reader.line_num, given, path.parent, mistakes).row())
    if not header or not rows:
        mistakes.add(1, "there is no trial in it")
    return [row for row in rows if row is not None]


def _header(cells: list[str], line: int, mistakes: Mistakes) -> list[str]:
    header = [cell.strip().lower() for cell in cells]
    for name in header:
        if name and name not in COLUMNS and not name.startswith("#"):
            near = difflib.get_close_matches(name, COLUMNS, 1)
            mistakes.add(
                line, f"unknown column {name}" + (f"; did you mean {near[0]}?" if near else "")
            )
        if name and header.count(name) > 1:
            mistakes.add(line, f"column {name} comes twice")
    for name in REQUIRED:
        if name not in header:
            mistakes.add(line, f"column {name} is missing")
    if not {"eeg", "video"} & set(header):
        mistakes.add(line, "there is neither a column eeg nor a column video")
    if not {"label", *RATINGS} & set(header):
        mistakes.add(line, f"there is no column label and none of {', '.join(RATINGS)}")
    mistakes.stop()
    return header


@dataclass(frozen=True)
class _Reader:
    """Turns the cells of one row into values; notes what is wrong and goes on."""

    line: int
    cells: dict[str, str]
    folder: Path
    mistakes: Mistakes

    def row(self) -> Row | None:
        """Return the row, or None when it has no usable identity."""
        participant, stimulus = self._name(), self.cells.get("stimulus", "")
        trial = self._value("trial", _natural, None, "must be 1, 2, 3, ...")
        if not self.cells.get("trial"):
            self.mistakes.add(self.line, "trial is empty")
        if not stimulus:
            self.mistakes.add(self.line, "stimulus is empty")
        eeg, video = self._file("eeg"), self._file("video")
        if not self.cells.get("eeg") and not self.cells.get("video"):
            self.mistakes.add(self.line, "there is neither eeg nor video")
        duration = self._value("duration_s", _above_zero, None, "must be seconds above 0")
        if not self.cells.get("eeg") and not self.cells.get("duration_s"):
            self.mistakes.add(self.line, "duration_s is empty and there is no EEG file to end it")
        valence, arousal, dominance, liking = (self._rating(name) for name in RATINGS)
        onsets = [
            self._value(f"{kind}_onset_s", _zero_or_more, 0.0, "must be seconds, 0 or more")
            for kind in ("eeg", "video")
        ]
        if participant is None or trial is None:
            return None
        return Row(
            line=self.line,
            participant=participant,
            session=self.cells.get("session", ""),
            trial=trial,
            stimulus=stimulus,
            eeg=eeg,
            eeg_onset_s=onsets[0] or 0.0,
            video=video,
            video_onset_s=onsets[1] or 0.0,
            duration_s=duration,
            ratings=(valence, arousal, dominance, liking),
            label=self.cells.get("label") or None,
            eog=_listed(self.cells.get("eog", "")),
            eeg_channels=_listed(self.cells.get("eeg_channels", "")),
        )

    def _name(self) -> str | None:
        name = self.cells.get("participant", "")
        # it becomes the name of a file
        if re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
            return name
        self.mistakes.add(
            self.line, f"participant is {name!r} and must be of letters, digits, . _ -"
        )
        return None

    def _value(
        self, column: str, kind: Callable[[str], T], default: T | None, rule: str
    ) -> T | None:
        text = self.cells.get(column, "")
        if not text:
            return default
        try:
            return kind(text)
        except ValueError:
            self.mistakes.add(self.line, f"{column} is {text!r} and {rule}")
            return default

    def _file(self, column: str) -> Path | None:
        text = self.cells.get(column, "")
        if not text:
            return None
        path = self.folder / text
        if not path.is_file():
            self.mistakes.add(self.line, f"there is no {column} file {path}")
            return None
        return path

    def _rating(self, name: str) -> float:
        value = self._value(name, _finite, None, "must be a number")
        scale = self._value(f"{name}_range", _range, (1.0, 9.0), "must be as in 1-9 or 0-100")
        if value is None or scale is None:
            return math.nan
        low, high = scale
        if not low <= value <= high:
            self.mistakes.add(
                self.line,
                f"{name} is {value:g}, outside {low:g}-{high:g}; {name}_range gives its scale",
            )
            return math.nan
        return 1.0 + 8.0 * (value - low) / (high - low)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _zero_or_more(text: str) -> float:
    value = _finite(text)
    if value < 0:
        raise ValueError(text)
    return value


def _above_zero(text: str) -> float:
    value = _finite(text)
    if value <= 0:
        raise ValueError(text)
    return value


def _natural(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _range(text: str) -> tuple[float, float]:
    match = re.fullmatch(r"(-?[\d.]+)\s*(?:-|to|\.\.)\s*(-?[\d.]+)", text)
    if match is None or not float(match[1]) < float(match[2]):
        raise ValueError(text)
    return float(match[1]), float(match[2])


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())
