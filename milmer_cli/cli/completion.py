"""Completion of words with ``=`` in bash, which splits them at this character.

For ``--set model.fusion=m`` bash states the words ``--set``, ``model.fusion``, ``=`` and ``m``, and
replaces only ``m``. The words are joined before typer reads them, and the part that bash keeps is
removed from what typer offers.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable

INSTRUCTION = "_MILMER_COMPLETE"
WORDS, INDEX = "COMP_WORDS", "COMP_CWORD"


def is_bash_completion() -> bool:
    """Whether the script of bash asks for completions."""
    return os.environ.get(INSTRUCTION) == "complete_bash" and WORDS in os.environ


def complete_in_bash(run: Callable[[], int]) -> str:
    """Return the completions that bash can use, one a line.

    Parameters
    ----------
    run
        Prints the completions of typer for `WORDS` and `INDEX` in the environment.
    """
    text = os.environ[WORDS]
    words = text.split("\n" if "\n" in text else " ")
    joined, index, kept = join_words(words, int(os.environ[INDEX]))
    os.environ |= {WORDS: "\n".join(joined), INDEX: str(index)}
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        run()
    lines = output.getvalue().splitlines()
    return "".join(f"{without_prefix(line, kept)}\n" for line in lines)


def join_words(words: list[str], index: int) -> tuple[list[str], int, str]:
    """Join the words that bash split at ``=``.

    Parameters
    ----------
    words
        The words of the command line.
    index
        Index of the word with the cursor.

    Returns
    -------
    tuple
        The words; the index of the one with the cursor; its beginning that bash does not replace.
    """
    joined: list[str] = []
    kept, at_cursor = "", 0
    for number, word in enumerate(words[: index + 1]):
        follows = number > 1 and (word == "=" or words[number - 1] == "=")
        start = joined.pop() if follows else ""
        joined.append(start + word)
        kept, at_cursor = start + ("=" if word == "=" else ""), len(joined) - 1
    return joined, at_cursor, kept


def without_prefix(completion: str, kept: str) -> str:
    """Remove the beginning that bash keeps; of ``--set=key=`` typer repeats only ``key=``."""
    for prefix in (kept, kept.partition("=")[2]):
        if prefix and completion.startswith(prefix):
            return completion[len(prefix) :]
    return completion
