"""The docstring of every package lists its modules, in backticks, one line each."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "milmer_cli"
PACKAGES = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))


def listed_names(folder: Path) -> list[str]:
    """Names in backticks at the beginning of the list items, before their first colon."""
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    text = ast.get_docstring(tree) or ""
    heads = re.findall(r"^- ((?:`[\w.]+`(?:, | and )?)+):", text, re.MULTILINE)
    return [name for head in heads for name in re.findall(r"`([\w.]+)`", head)]


def existing_names(folder: Path) -> set[str]:
    """Modules and sub-folders with content, without private ones."""
    names = set()
    for path in folder.iterdir():
        is_module = path.suffix == ".py" and path.stem != "__init__"
        is_folder = path.is_dir() and any(path.glob("*.*"))
        if (is_module or is_folder) and not path.name.startswith("__"):
            names.add(path.stem)
    return names


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_package_map_lists_exactly_the_modules_of_its_folder(folder):
    names = listed_names(folder)
    assert sorted(names) == sorted(existing_names(folder))
