"""Dockerfile, milmer.def and the conda recipe agree with README and pyproject.toml."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from milmer_cli import __version__

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
DEFINITION = (ROOT / "milmer.def").read_text(encoding="utf-8")
CONDA = yaml.safe_load((ROOT / "release" / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

INSTALL = re.search(r"^(python3 -m venv .*?) && \.venv/bin/milmer demo$", README, re.MULTILINE)[1]
SYSTEM_PACKAGES = set(re.search(r"`apt-get install ([^`]*)`", README)[1].split())
CPU_INDEX = re.search(r"`--extra-index-url ([^`]*)`", README)[1]
SECRET = re.compile(r"token|password|passwd|secret|api_?key|credential|://[^/\s]*@", re.IGNORECASE)


def docker_steps() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile with their arguments; continued lines are joined."""
    lines = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines()]


def arguments(instruction: str) -> list[str]:
    return [value for name, value in docker_steps() if name == instruction]


def sections() -> dict[str, list[str]]:
    """Lines of each section of milmer.def, without indentation; the header is section ``""``."""
    result: dict[str, list[str]] = {"": []}
    name = ""
    for line in DEFINITION.splitlines():
        if line.startswith("%"):
            name = line[1:].strip()
            result[name] = []
        elif line.strip() and not line.startswith("#"):
            result[name].append(line.strip())
    return result


def installed_packages(command: str) -> set[str]:
    """Packages that the ``apt-get install`` in a command installs."""
    words = shlex.split(re.search(r"apt-get install ([^&;]*)", command)[1])
    return {word for word in words if not word.startswith("-")}


def test_dockerfile_installs_with_the_command_of_the_readme():
    assert INSTALL in arguments("RUN")
    assert arguments("ENTRYPOINT") == ['["/opt/milmer/.venv/bin/milmer"]']
    assert arguments("WORKDIR")[0] == "/opt/milmer"


def test_definition_installs_with_the_command_of_the_readme():
    post = sections()["post"]
    assert post[post.index(INSTALL) - 1] == "cd /opt/milmer"
    assert sections()["runscript"] == ['exec /opt/milmer/.venv/bin/milmer "$@"']
    assert sections()["test"] == ["/opt/milmer/.venv/bin/milmer --help"]


def test_dockerfile_selects_the_base_by_one_argument():
    assert arguments("ARG") == ["DEVICE=cpu"]
    images = arguments("FROM")
    assert [image.partition(" AS ")[2] for image in images] == ["cpu", "cuda", ""]
    assert images[1].startswith("nvidia/cuda:")
    assert images[2] == "${DEVICE}"
    cpu = DOCKERFILE[DOCKERFILE.index("AS cpu") : DOCKERFILE.index("AS cuda")]
    assert f"ENV PIP_EXTRA_INDEX_URL={CPU_INDEX}\n" in cpu
    assert DOCKERFILE.count(CPU_INDEX) == 1  # not for CUDA


def test_definition_selects_the_base_by_one_argument():
    parts = sections()
    assert parts[""] == ["Bootstrap: docker", "From: {{ BASE }}"]
    assert parts["arguments"] == ["BASE=ubuntu:24.04"]
    start = parts["post"].index('case "{{ BASE }}" in')
    assert parts["post"][start + 1 : start + 4] == [
        "nvidia/*) ;;",
        f"*) export PIP_EXTRA_INDEX_URL={CPU_INDEX} ;;",
        "esac",
    ]
    assert start < parts["post"].index(INSTALL)


def test_both_use_the_same_images():
    images = set(re.findall(r"(?:ubuntu:|nvidia/cuda:)[\w.-]+", DOCKERFILE))
    assert images == set(re.findall(r"(?:ubuntu:|nvidia/cuda:)[\w.-]+", DEFINITION))
    page = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
    assert set(re.findall(r"nvidia/cuda:[\w.-]+", page)) <= images


def test_both_install_the_system_packages_of_the_readme():
    (apt,) = [command for command in arguments("RUN") if "apt-get" in command]
    assert len(SYSTEM_PACKAGES) == 2
    assert installed_packages(apt) == SYSTEM_PACKAGES | {"python3", "python3-venv"}
    assert installed_packages("\n".join(sections()["post"]).split("rm -rf")[0]) == (
        installed_packages(apt)
    )


def test_copied_files_exist_and_suffice_to_build_the_package():
    needed = {"pyproject.toml", "constraints.txt", "milmer_cli", PROJECT["readme"], "LICENSE"}
    copied = [value.split() for value in arguments("COPY")]
    assert {name for names in copied for name in names[:-1]} == needed
    assert {line.split()[0] for line in sections()["files"]} == needed
    for source, target in (line.split() for line in sections()["files"]):
        assert (ROOT / source).exists()
        assert target == f"/opt/milmer/{source}"


def test_build_context_contains_only_what_is_copied():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copied = {name for value in arguments("COPY") for name in value.split()[:-1]}
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied


def test_container_does_not_run_as_root():
    steps = [name for name, _ in docker_steps()]
    (user,) = arguments("USER")
    assert f"useradd --create-home --uid 10001 {user}" in arguments("RUN")
    assert user not in ("root", "0")
    last_run = max(index for index, name in enumerate(steps) if name in ("RUN", "COPY"))
    assert steps.index("USER") > last_run


@pytest.mark.parametrize("name", ["Dockerfile", "milmer.def", ".dockerignore"])
def test_definitions_contain_no_secrets_and_no_downloads_of_scripts(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not SECRET.search(text)
    assert not re.search(r"\b(curl|wget|ADD|chmod|sudo)\b", text)


# names in conda-forge that differ from those of PyPI
CONDA_NAMES = {
    "dlib-bin": "dlib",
    "huggingface-hub": "huggingface_hub",
    "matplotlib": "matplotlib-base",
    "mne": "mne-base",
    "opencv-python": "py-opencv",
    "torch": "pytorch",
}


def test_conda_recipe_has_the_dependencies_of_the_package():
    (python, *run) = CONDA["requirements"]["run"]
    assert python == "python >=${{ python_min }}"
    expected = [Requirement(text) for text in PROJECT["dependencies"]]
    assert sorted(run) == sorted(
        f"{CONDA_NAMES.get(requirement.name, requirement.name)} {requirement.specifier}"
        for requirement in expected
    )
    (build,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert build.replace(">=", " >=") in CONDA["requirements"]["host"]


def test_conda_recipe_has_the_version_and_the_command_of_the_package():
    assert CONDA["context"]["version"] == __version__
    assert CONDA["package"]["name"] == PROJECT["name"]
    (command,) = [f"{name} = {target}" for name, target in PROJECT["scripts"].items()]
    assert CONDA["build"]["python"]["entry_points"] == [command]
    assert CONDA["about"]["summary"] == PROJECT["description"]
    folder = ROOT / "release" / "conda" / CONDA["source"]["path"]
    assert folder.resolve() == ROOT.resolve()
