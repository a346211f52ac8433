"""The tutorials run, and write the figures that their pages show."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "tutorials" / "run.py"
MAX_FIGURE_BYTES = 80_000
spec = importlib.util.spec_from_file_location("run_tutorial", SCRIPT)
assert spec is not None
assert spec.loader is not None
tutorials = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tutorials)


def test_every_page_is_run():
    pages = sorted(path.stem for path in SCRIPT.parent.glob("*.md"))
    assert sorted(tutorials.PAGES) == pages


@pytest.mark.parametrize("name", tutorials.PAGES)
def test_figures_of_a_page_exist_and_are_small(name):
    figures = tutorials.figure_paths(tutorials.page_path(name))
    assert figures
    assert [path.name for path in figures.values() if path.stat().st_size > MAX_FIGURE_BYTES] == []


def page(folder, text):
    path = folder / "page.md"
    path.write_text(text, encoding="utf-8")
    (folder / "work").mkdir()
    return path, folder / "work"


def test_blocks_run_in_order_in_one_namespace_and_one_folder(tmp_path):
    text = "```python\nnumber = 1\n```\ntext\n```sh\nmilmer version\n```\n"
    text += "```python\nopen(f'{number}.txt', 'w').close()\n```\n```text\nnot run\n```\n"
    path, folder = page(tmp_path, text)
    tutorials.run_page(path, folder)
    assert [entry.name for entry in folder.iterdir()] == ["1.txt"]


@pytest.mark.parametrize("comment", ["", "  # exit code 1"])
def test_command_with_another_exit_code_than_stated_stops_the_page(tmp_path, comment):
    path, folder = page(tmp_path, f"```sh\nmilmer inspect missing{comment}\n```\n")
    with pytest.raises(RuntimeError, match=re.escape("exit code 2: milmer inspect missing")):
        tutorials.run_page(path, folder)


def test_command_with_the_stated_exit_code_is_accepted(tmp_path):
    path, folder = page(tmp_path, "```sh\nmilmer inspect missing  # exit code 2\n```\n")
    tutorials.run_page(path, folder)


def test_command_of_another_program_is_refused(tmp_path):
    path, folder = page(tmp_path, "```sh\ntouch file\n```\n")
    with pytest.raises(ValueError, match="expected a milmer command, got 'touch file'"):
        tutorials.run_page(path, folder)
    assert list(folder.iterdir()) == []


def test_page_that_does_not_write_its_figure_is_refused(tmp_path):
    path, folder = page(tmp_path, "![a figure](../images/tutorials/missing.png)\n")
    with pytest.raises(RuntimeError, match=r"did not write missing\.png"):
        tutorials.run_page(path, folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", tutorials.PAGES)
def test_page_runs(name, tmp_path):
    path = tutorials.page_path(name)
    tutorials.run_page(path, tmp_path)
    for figure in tutorials.figure_paths(path):
        assert (tmp_path / figure).read_bytes().startswith(b"\x89PNG")
