"""Exceptions with a message of one sentence and a hint.

`MilmerError` and its subclasses are the only exceptions that stages raise on purpose. The command
line prints ``message`` and ``hint`` and exits with ``exit_code``.
"""

from __future__ import annotations


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
