"""Pages of the site that are generated from the program.

- `commands`: one page per command, from the metadata of its flags
- `settings`: all settings, from their schema
- `api`: the public Python API, from its docstrings

To add an object to the Python API: add its name to ``PAGES`` in `api`.
"""

from __future__ import annotations

from pathlib import Path

from reference.api import api_pages
from reference.commands import command_pages
from reference.settings import settings_page


def generate(folder: Path) -> dict[str, str]:
    """Write the generated pages, and return their titles by file name, in order.

    Parameters
    ----------
    folder
        An existing folder, into which the pages are written.
    """
    pages = [*command_pages(), settings_page(), *api_pages()]
    for page in pages:
        (folder / page.name).write_text(page.text, encoding="utf-8")
    return {page.name: page.title for page in pages if page.listed}
