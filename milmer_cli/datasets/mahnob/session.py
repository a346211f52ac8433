"""The file session.xml of MAHNOB-HCI: attributes and file names of one session.

The XML is untrusted: a document type declaration, which could define entities, is refused, the size
and the depth are limited, and file names may not leave the folder of the session.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from xml.parsers import expat

from milmer_cli.datasets.missing import COPY_AGAIN
from milmer_cli.datasets.table import finite_number, quoted
from milmer_cli.errors import InputError, first_line
from milmer_cli.input_files import is_regular_file, open_input

SESSION_FILE = "session.xml"
SESSIONS_PER_PARTICIPANT = 130
"""Session N = 130 (participant - 1) + k."""

EMOTION, TAGGING = "emotion", "tagging"
"""The two experiments, as file names and ``experimentType`` spell them."""

_MAX_BYTES = 2**20
_MAX_DEPTH = 20
_EEG_NAME = re.compile(r"Part_(\d+)_([SN])_Trial(\d+)_emotion\.bdf", re.IGNORECASE)


@dataclass(frozen=True)
class Track:
    """A recorded file of a session.

    Attributes
    ----------
    attributes
        ``type``, ``filename``, ``color``.
    gaze
        ``filename`` of its gaze annotation; empty if it has none.
    """

    attributes: Mapping[str, str]
    gaze: str = ""

    @property
    def filename(self) -> str:
        """Name of the file; empty without one."""
        return self.attributes.get("filename", "")


@dataclass(frozen=True)
class EegName:
    """What the name of a BDF file of the emotion experiment states.

    Attributes
    ----------
    person, trial
        Number of the participant, and of the trial.
    stimulus
        True for a stimulus session, False for a neutral one.
    """

    person: int
    trial: int
    stimulus: bool


@dataclass(frozen=True)
class Session:
    """One session of MAHNOB-HCI, as its session.xml describes it.

    Attributes
    ----------
    folder
        Its folder.
    attributes
        Attributes of the element ``session``, as text.
    subject
        ``id`` of the participant; empty if it is missing.
    tracks
        Its files.
    """

    folder: Path
    attributes: Mapping[str, str]
    subject: str
    tracks: tuple[Track, ...]

    @property
    def number(self) -> int | None:
        """Number of the session: name of the folder, or ``sessionId`` if that is no number."""
        stated = (self.folder.name, self.text("sessionId"))
        return next((int(text) for text in stated if re.fullmatch("[1-9][0-9]{0,5}", text)), None)

    @property
    def person(self) -> int | None:
        """Number of the participant; None if ``subject`` is no number."""
        return int(self.subject) if re.fullmatch("0*[1-9][0-9]{0,3}", self.subject) else None

    @property
    def index(self) -> int | None:
        """k, the number of the session within the participant; None if N is of another one."""
        if self.number is None or self.person is None:
            return None
        k = self.number - SESSIONS_PER_PARTICIPANT * (self.person - 1)
        return k if 1 <= k <= SESSIONS_PER_PARTICIPANT else None

    @property
    def started(self) -> tuple[int, ...] | None:
        """Date and time as numbers in the order of their size; None if one of them is missing."""
        date, time = (re.findall("[0-9]+", self.text(name)) for name in ("date", "time"))
        if not 1 <= len(date) <= 3 or not time or max(map(len, (*date, *time))) > 9:
            return None
        if len(date[0]) < 4:  # day, month, year
            date.reverse()
        return tuple(map(int, (*date, *time)))

    @property
    def experiments(self) -> set[str]:
        """Experiments that the attribute and the name of the BDF file state: at most one."""
        texts = (self.text("experimentType").casefold(), self.eeg_filename.casefold())
        return {name for name in (EMOTION, TAGGING) if any(name in text for text in texts)}

    @property
    def eeg_name(self) -> EegName | None:
        """What the name of the BDF file states; None if it has another form."""
        match = _EEG_NAME.fullmatch(self.eeg_filename)
        if match is None or max(len(match[1]), len(match[3])) > 9:
            return None
        return EegName(int(match[1]), int(match[3]), match[2].upper() == "S")

    @property
    def eeg_filename(self) -> str:
        """File name of the physiological signals; empty without one."""
        names = (track.filename for track in self._tracks("physiological"))
        return next(filter(None, names), "")

    @property
    def color_tracks(self) -> list[Track]:
        """Videos of color cameras; the other cameras are monochrome."""
        videos = self._tracks("video")
        return [track for track in videos if track.attributes.get("color", "").strip() == "1"]

    def text(self, name: str) -> str:
        """Return an attribute without surrounding spaces; empty if it is missing."""
        return self.attributes.get(name, "").strip()

    def value(self, name: str) -> float | None:
        """Return an attribute as a number; None if it is missing or no number."""
        try:
            return finite_number(self.text(name))
        except (ValueError, OverflowError):
            return None

    def file(self, name: str) -> Path:
        """Return the path of a file that session.xml names.

        Raises
        ------
        InputError
            There is no such file.
        """
        path = self.folder / name
        if not is_regular_file(path):
            raise InputError(f"There is no file {quoted(name)} in {self.folder}.", COPY_AGAIN)
        return path

    def _tracks(self, track_type: str) -> list[Track]:
        types = (track.attributes.get("type", "").strip().casefold() for track in self.tracks)
        return [track for track, own in zip(self.tracks, types, strict=True) if own == track_type]


def read_session(folder: Path) -> Session:
    """Read the session.xml of a session.

    Raises
    ------
    InputError
        The file cannot be read, is too large, is not the XML of a session, or names a file outside
        of its folder.
    """
    path = folder / SESSION_FILE
    try:
        with open_input(path) as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}.", COPY_AGAIN
        ) from error
    if len(content) > _MAX_BYTES:
        raise InputError(f"{path} has more than {_MAX_BYTES // 2**20} MiB.", COPY_AGAIN)
    collected = _SessionElements()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = collected.refuse_document_type
    parser.StartElementHandler = collected.start
    parser.EndElementHandler = collected.end
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise InputError(
            f"{path} is not the XML of a session: {first_line(error)}.", COPY_AGAIN
        ) from error
    tracks = tuple(Track(track, gaze) for track, gaze in collected.tracks)
    names = [name for track in tracks for name in (track.filename, track.gaze) if name]
    if outside := [name for name in names if not _is_file_name(name)]:
        raise InputError(
            f"{path} names a file outside of its folder: {quoted(outside[0])}.", COPY_AGAIN
        )
    return Session(folder, collected.session, collected.subject.strip(), tracks)


def _is_file_name(name: str) -> bool:
    """Whether a name has no folder, on any system, and no spaces around it."""
    flavors = (PurePosixPath(name), PureWindowsPath(name))
    plain = all(path.name == name == name.strip() for path in flavors)
    return plain and name not in (".", "..")  # a manifest cannot contain spaces around a path


@dataclass
class _SessionElements:
    """Collects the elements of session.xml while it is parsed."""

    session: Mapping[str, str] = field(default_factory=dict)
    subject: str = ""
    tracks: list[tuple[Mapping[str, str], str]] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)

    def refuse_document_type(self, *_: object) -> None:
        """Stop before any entity is defined or any other file is named."""
        raise ValueError("it has a document type declaration, which is refused")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Collect the attributes of an element."""
        self._names.append(name)
        if len(self._names) > _MAX_DEPTH:
            raise ValueError("its elements are nested too deeply")
        if self._names[0] != "session":
            raise ValueError(f"expected the element session, got {quoted(self._names[0])}")
        parents = self._names[1:]
        if not parents:
            self.session = attributes
        elif parents == ["subject"]:
            self.subject = attributes.get("id", "")
        elif parents == ["track"]:
            self.tracks.append((attributes, ""))
        elif parents == ["track", "annotation"]:
            track, gaze = self.tracks[-1]
            if attributes.get("type", "").strip().casefold() == "gaze":
                self.tracks[-1] = track, gaze or attributes.get("filename", "")

    def end(self, _: str) -> None:
        """Leave an element."""
        self._names.pop()
