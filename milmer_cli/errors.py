"""What can go wrong, as one sentence that says what, where and what to do next.

`MilmerError` and its kinds are the only exceptions a stage raises on purpose. The command line
prints ``message`` and ``hint`` and ends with ``exit_code``; a notebook sees an ordinary exception.
"""

from __future__ import annotations


class MilmerError(Exception):
    """The work failed.

    Parameters
    ----------
    message
        One sentence: what went wrong and where (name the file, the row, the setting).
    hint
        One sentence: what the user can do next. Empty when there is nothing to do.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class InputError(MilmerError):
    """The call or what it was given is wrong: a missing file, a broken recording, a bad flag."""

    exit_code = 2


class SettingsError(InputError):
    """A setting is unknown, of the wrong kind or out of range."""


class WeightsError(InputError):
    """Pretrained weights are needed and are neither on disk nor to be downloaded."""
