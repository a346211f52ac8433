"""The README's promises: two commands, what they install under, and links that lead somewhere."""

import os
import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

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


def test_the_first_block_holds_two_commands_that_each_install_and_run():
    demo, tests = first_commands()
    for command in (demo, tests):
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
        assert "-c constraints.txt" in command
    assert demo.endswith("&& .venv/bin/milmer demo")
    assert "'.[test]'" in tests


def test_the_checks_run_the_second_command_and_nothing_else():
    script = ROOT / ".ci" / "run"
    lines = script.read_text(encoding="utf-8").splitlines()
    work = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert work == [first_commands()[1]]
    assert os.name == "nt" or os.access(script, os.X_OK)


@pytest.mark.parametrize("extra", ["", "test", "dev"])
def test_everything_that_is_installed_is_pinned_within_its_bounds(extra):
    for line in metadata.requires("milmer-cli") or ():
        requirement = Requirement(line)
        if requirement.name == "milmer-cli":
            continue
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        pin = PINNED[canonicalize_name(requirement.name)]
        assert pin in requirement.specifier, requirement
        assert not pin.local, f"{requirement.name} is pinned to one build"
        assert not any(part.operator == "==" for part in requirement.specifier), requirement


def test_links_to_files_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)", README):
        if not target.startswith("http"):
            assert (ROOT / target).is_file(), target
