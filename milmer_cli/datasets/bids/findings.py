"""Findings that several files share, one sentence each."""

from __future__ import annotations

from collections.abc import Iterable

from milmer_cli.datasets.missing import MissingInput
from milmer_cli.errors import InputError
from milmer_cli.io import shorten

_LISTED = 5


class Findings:
    """Collects what is found in a data set, and what is missing."""

    def __init__(self) -> None:
        self.missing: list[MissingInput] = []
        self._items: dict[str, dict[str, None]] = {}

    def add(self, sentence: str, items: Iterable[object] = ()) -> None:
        """Add a sentence without its full stop, and the files or trials to which it applies."""
        self._items.setdefault(sentence, {}).update(dict.fromkeys(map(str, items)))

    def add_missing(self, what: str, why: str, fix: str) -> None:
        """Add a file or a trial that is missing or cannot be used."""
        self.missing.append(MissingInput(what, why, fix))

    def add_error(self, what: str, error: InputError) -> None:
        """Add a file that cannot be read."""
        self.add_missing(what, error.message.replace("\n", " "), error.hint)

    def sentences(self) -> tuple[str, ...]:
        """Return the sentences, in the order in which they were added."""
        return tuple(
            f"{sentence} ({shorten(list(items), _LISTED)})." if items else f"{sentence}."
            for sentence, items in self._items.items()
        )

    def last(self) -> str:
        """Return what was left out last, or the last finding, as a reason for an error."""
        if self.missing:
            return f"{self.missing[-1].what}: {self.missing[-1].why}"
        return (self.sentences() or ("it has no EEG file.",))[-1]
