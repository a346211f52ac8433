"""What a reader of a prediction should know, told as soon as it is known and kept for the page."""

from __future__ import annotations

from milmer_cli.progress import Progress


class Remarks:
    """Sentences, each told once.

    Parameters
    ----------
    progress
        Whom to tell.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._warnings: list[str] = []
        self._notes: list[str] = []

    def note(self, *sentences: str) -> None:
        """Say what is worth knowing; what an earlier note says at more length is left out."""
        for sentence in sentences:
            if not any(said.startswith(sentence) for said in self._notes):
                self._notes.append(sentence)
                self._progress.note(sentence)

    def warn(self, *sentences: str) -> None:
        """Say what calls for a check."""
        for sentence in sentences:
            self._warnings.append(sentence)
            self._progress.note(sentence, "warning")

    @property
    def all(self) -> tuple[str, ...]:
        """Warnings, the latest first as they come from what was found in the end, then notes."""
        return (*reversed(self._warnings), *self._notes)
