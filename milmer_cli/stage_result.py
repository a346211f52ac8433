"""The interface of the results of commands and stages: rows for people, plain values for programs.

The rows are printed by the command line and shown by ``repr`` and by notebooks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from html import escape
from typing import Any, ClassVar


class StageResult(ABC):
    """A result with rows of label and value.

    Data classes that implement it set ``repr=False``.

    Attributes
    ----------
    format_name
        Format of its JSON document, a key of `milmer_cli.formats.FORMATS`.
    """

    format_name: ClassVar[str]

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values."""

    @abstractmethod
    def summary(self) -> list[tuple[str, str]]:
        """Return rows of label and value, paths last."""

    def __repr__(self) -> str:
        """Return the type and the first row."""
        label, value = self.summary()[0]
        return f"<{type(self).__name__} | {label}: {value}>"

    def _repr_html_(self) -> str:
        """Return all rows as a table, for notebooks."""
        left = 'style="text-align: left"'
        rows = "".join(
            f'<tr><th scope="row" {left}>{escape(label)}</th><td {left}>{escape(value)}</td></tr>'
            for label, value in self.summary()
        )
        return f"<table><caption>{escape(type(self).__name__)}</caption>{rows}</table>"
