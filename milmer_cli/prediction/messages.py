"""Warnings and notes about one prediction: reported at once and kept for the result."""

from __future__ import annotations

from milmer_cli.progress import Progress


class Messages:
    """Collect messages and forward each of them once to a progress sink.

    Parameters
    ----------
    progress
        Receives every message when it is added.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._warnings: list[str] = []
        self._notes: list[str] = []

    def note(self, *sentences: str) -> None:
        """Add information; a sentence with which an earlier note begins is skipped."""
        for sentence in sentences:
            if not any(note.startswith(sentence) for note in self._notes):
                self._notes.append(sentence)
                self._progress.note(sentence)

    def warn(self, *sentences: str) -> None:
        """Add warnings: what the user must check; a repeated warning is skipped."""
        for sentence in sentences:
            if sentence not in self._warnings:
                self._warnings.append(sentence)
                self._progress.note(sentence, "warning")

    @property
    def all(self) -> tuple[str, ...]:
        """Warnings, the latest first because those about the results come last; then notes."""
        return (*reversed(self._warnings), *self._notes)
