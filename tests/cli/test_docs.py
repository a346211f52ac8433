"""docs/cli.md names every command and every shared option, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from milmer_cli.cli.app import COMMANDS, _load_command

DOCS = Path(__file__).parents[2] / "docs"
CLI_PAGE = (DOCS / "cli.md").read_text(encoding="utf-8")


def flags(name: str) -> set[str]:
    """All flags of a command and its subcommands."""
    command = _load_command(name)
    commands = [command, *getattr(command, "commands", {}).values()]
    declared = {option for one in commands for p in one.params for option in p.opts}
    return {option for option in declared if option.startswith("--")} | {"--help"}


def test_cli_page_lists_every_command():
    rows = re.findall(r"^\| `milmer ([a-z-]+)` \|", CLI_PAGE, re.MULTILINE)
    assert rows == list(COMMANDS)


def test_cli_page_lists_every_shared_option():
    rows = re.findall(r"^\| `(--[a-z]+)", CLI_PAGE, re.MULTILINE)
    assert set(rows) == flags("info") - {"--help", "--report"}  # the only flag of its own


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda path: path.stem)
def test_pages_use_only_flags_that_exist(page):
    known = {option for name in COMMANDS for option in flags(name)}
    known |= {"--version", "--install-completion", "--show-completion"}
    lines = re.findall(r"^\s*(?:`)?milmer .*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    used = {flag for line in lines for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*", line)}
    assert used <= known
