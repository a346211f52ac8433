"""The interface through which long work reports its progress.

Stages take a `Progress`. The command line passes one that draws bars or prints lines on stderr;
notebooks and tests may pass their own, or nothing, which is `SILENT`.
"""

from __future__ import annotations

from typing import Literal, Protocol

Level = Literal["detail", "step", "info", "warning"]


class Progress(Protocol):
    """A sink for the progress of named tasks, several of which may run at the same time."""

    def start(self, task: str, total: float | None = None, unit: str = "") -> None:
        """Start a task.

        Parameters
        ----------
        task
            Name of the task; starting it again resets it.
        total
            Total amount of work, in ``unit``; None if unknown.
        unit
            Unit of the amounts, in the plural, such as ``"trials"``.
        """

    def advance(self, task: str, by: float = 1.0) -> None:
        """Report that ``by`` more units of a task are done."""

    def done(self, task: str) -> None:
        """Report that a task has ended."""

    def note(self, message: str, level: Level = "info") -> None:
        """Show the user a message of one sentence.

        Parameters
        ----------
        message
            The sentence, with its period.
        level
            ``detail`` is shown only with ``--verbose``, ``warning`` even with ``--quiet``; ``step``
            reports progress, which is shown but not kept as a note of the result.
        """


class SilentProgress:
    """Discards everything."""

    def start(self, task: str, total: float | None = None, unit: str = "") -> None:
        """Do nothing."""

    def advance(self, task: str, by: float = 1.0) -> None:
        """Do nothing."""

    def done(self, task: str) -> None:
        """Do nothing."""

    def note(self, message: str, level: Level = "info") -> None:
        """Do nothing."""


SILENT: Progress = SilentProgress()
