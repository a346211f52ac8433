"""docs/cli.md names every command and every shared option, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from milmer_cli.cli import docs
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


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda path: path.stem)
def test_pages_use_only_flags_that_exist(page):
    known = {option for name in COMMANDS for option in flags(name)}
    known |= {"--version", "--install-completion", "--show-completion"}
    lines = re.findall(r"^\s*(?:`)?milmer .*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    used = {flag for line in lines for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*", line)}
    assert used <= known


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder in the place of the built site, and the addresses that the browser opens."""
    opened = []
    monkeypatch.setattr(docs, "SITE", tmp_path / "site")
    monkeypatch.setattr(docs.webbrowser, "open", lambda address: opened.append(address) or True)
    (tmp_path / "site").mkdir()
    return tmp_path / "site", opened


def test_docs_opens_the_start_page(milmer, site):
    folder, opened = site
    page = folder / "index.html"
    page.write_text("")
    outcome = milmer("docs")
    assert (outcome.code, outcome.out) == (0, f"{page}\n")
    assert opened == [page.as_uri()]


def test_docs_path_opens_nothing(milmer, site):
    folder, opened = site
    (folder / "index.html").write_text("")
    assert milmer("docs", "--path").out == f"{folder / 'index.html'}\n"
    document = milmer("docs", "--path", "--json").document
    page = str(folder / "index.html")
    assert document == {"format": 1, "page": page, "opened": False, "notes": []}
    assert opened == []


def test_docs_without_a_browser_warns(milmer, site, monkeypatch):
    folder, _ = site
    (folder / "index.html").write_text("")
    monkeypatch.setattr(docs.webbrowser, "open", lambda address: False)
    outcome = milmer("docs")
    assert outcome.code == 0
    assert "Warning: No browser was found" in outcome.err


def test_docs_that_are_not_built_state_how_to_build_them(milmer, site):
    outcome = milmer("docs")
    assert outcome.code == 2
    assert "python docs/build.py" in outcome.err
    assert site[1] == []
