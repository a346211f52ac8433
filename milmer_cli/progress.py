"""How long work tells that it is alive, without knowing who listens.

Stages take a `Progress`; the command line passes one that draws bars or lines on stderr; a notebook
or a test passes nothing and gets `SILENT`.
"""

from __future__ import annotations

from typing import Literal, Protocol

Level = Literal["detail", "info", "warning"]


class Progress(Protocol):
    """A sink for the progress of named tasks. Tasks may run side by side."""

    def start(self, task: str, total: float | None = None, unit: str = "") -> None:
        """Begin ``task``; ``total`` is in ``unit`` (None when unknown)."""

    def advance(self, task: str, by: float = 1.0) -> None:
        """``by`` more units of ``task`` are done."""

    def done(self, task: str) -> None:
        """``task`` has ended."""

    def note(self, message: str, level: Level = "info") -> None:
        """Tell the user one sentence. ``detail`` shows only with --verbose, ``warning`` always."""


class SilentProgress:
    """Says nothing."""

    def start(self, task: str, total: float | None = None, unit: str = "") -> None:
        """Ignore it."""

    def advance(self, task: str, by: float = 1.0) -> None:
        """Ignore it."""

    def done(self, task: str) -> None:
        """Ignore it."""

    def note(self, message: str, level: Level = "info") -> None:
        """Ignore it."""


SILENT: Progress = SilentProgress()
