"""README, .ci/run, constraints and CITATION agree with each other."""

import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from milmer_cli import __version__

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PINNED = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
}


def first_commands() -> list[str]:
    block = re.search(r"```sh\n(.*?)```", README, re.DOTALL)
    assert block is not None
    return block.group(1).splitlines()


def test_first_block_has_two_commands_that_install_and_run():
    demo, tests = first_commands()
    for command in (demo, tests):
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
        assert "-c constraints.txt" in command
    assert demo.endswith("&& .venv/bin/milmer demo")
    assert "'.[test]'" in tests


def test_ci_run_checks_the_code_then_runs_the_second_command_and_the_slow_tests():
    script = ROOT / ".ci" / "run"
    lines = script.read_text(encoding="utf-8").splitlines()
    work = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert work == [
        "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt '.[dev]'",
        ".venv/bin/ruff check",
        ".venv/bin/ruff format --check",
        ".venv/bin/mypy",
        first_commands()[1],
        ".venv/bin/python -m pytest -q -n auto -m slow",
    ]
    assert os.name == "nt" or os.access(script, os.X_OK)


def test_pre_commit_runs_the_checks_of_ci_run():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["name"] for hook in hooks] == [
        "ruff check",
        "ruff format",
        "mypy",
        "pytest",
        "pytest -m slow",
    ]


def test_citation_names_this_version_the_paper_and_the_data_set():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert [work["authors"][0]["family-names"] for work in citation["references"]] == [
        "Wang",
        "Koelstra",
    ]


# pyproject.toml, not the metadata of the package, which an editable install keeps as it was.
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("extra", ["", *PROJECT["optional-dependencies"]])
def test_constraints_pin_every_dependency_within_its_bounds(extra):
    lines = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    for requirement in map(Requirement, lines):
        if requirement.name == "milmer-cli":
            continue
        pin = PINNED[canonicalize_name(requirement.name)]
        assert pin in requirement.specifier, requirement
        assert not pin.local, f"{requirement.name} is pinned to one build"
        assert not any(part.operator == "==" for part in requirement.specifier), requirement


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bench/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_point_to_existing_files_and_headings(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http", "mailto")):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file), target


def test_benchmark_page_names_existing_scripts():
    text = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"python (bench/\w+\.py)", text)) <= {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "bench").glob("*.py")
    }
