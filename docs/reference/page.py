"""A generated page, and text that is the same in all of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """A generated page of the site.

    Attributes
    ----------
    name
        File name; the extension is ``.md`` or ``.rst``.
    title
        Title in the navigation.
    text
        Source of the page.
    listed
        Whether the start page lists it; otherwise another generated page does.
    """

    name: str
    title: str
    text: str
    listed: bool = True


def table_of_contents(names: list[str]) -> str:
    """Return a hidden table of contents of generated pages, in Markdown."""
    listed = "\n".join(name.rpartition(".")[0] for name in names)
    return f"```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
