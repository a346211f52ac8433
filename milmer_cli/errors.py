"""Exceptions with a message of one sentence and a hint, and the parts of such messages.

`MilmerError` and its subclasses are the only exceptions that stages raise on purpose. The command
line prints ``message`` and ``hint`` and exits with ``exit_code``.
"""

from __future__ import annotations

from collections.abc import Sequence


class MilmerError(Exception):
    """The work failed.

    Parameters
    ----------
    message
        One sentence: what failed and where (file, row or setting).
    hint
        One sentence: what the user can do next; empty if nothing.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class InputError(MilmerError):
    """The call or its input is invalid: a missing file, a damaged recording, a wrong flag."""

    exit_code = 2


class SettingsError(InputError):
    """A setting is unknown, has the wrong type or is out of range."""


class WeightsError(InputError):
    """Pretrained weights are required, but are not on disk and cannot be downloaded."""


def first_line(error: Exception) -> str:
    """Return the first line of an exception's text for a message, or its type if it has none."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def shorten(names: Sequence[object], most: int = 8, separator: str = ", ") -> str:
    """List names for a message: ``a, b, c and 4 more``.

    Parameters
    ----------
    names
        What to list; an empty name is shown as ``(no name)``.
    most
        Names shown before the rest is counted.
    separator
        Text between two names.
    """
    shown = separator.join(str(name) or "(no name)" for name in names[:most])
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown
