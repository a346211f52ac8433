"""The wheel and the sdist: their files, and the wheel in an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from helpers import run_python

ROOT = Path(__file__).parents[1]
README_EXAMPLE = re.search(
    r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
)
MISUSE = "reveal_type(result.to_json())\nmodel.predict(video=3)\n"


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """Folder with the wheel and the sdist."""
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    done = run_python("-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def package_files() -> set[str]:
    files = (ROOT / "milmer_cli").rglob("*")
    return {
        path.relative_to(ROOT).as_posix()
        for path in files
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.slow
def test_wheel_and_sdist_contain_the_whole_package(distributions):
    expected = package_files()
    assert {"milmer_cli/py.typed", "milmer_cli/settings/presets/demo.yaml"} <= expected
    (wheel,) = distributions.glob("*.whl")
    assert expected <= set(zipfile.ZipFile(wheel).namelist())
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert expected | {"README.md", "LICENSE", "CITATION.cff", "pyproject.toml"} <= names


@pytest.fixture(scope="module")
def environment(distributions, tmp_path_factory):
    """Python of an environment that contains the wheel; its dependencies are those of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    (wheel,) = distributions.glob("*.whl")
    target = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    subprocess.run(
        [sys.executable, "-m", "pip", f"--python={python}", "install", "-q", "--no-deps", wheel],
        check=True,
    )
    dependencies = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (Path(target) / "dependencies.pth").write_text("\n".join(dependencies))
    return python


def _run(python: Path, *command: str) -> str:
    """Run a command outside of the checkout and return its standard output."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=python.parent, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_wheel_runs_in_an_environment_of_its_own(environment):
    where = _run(
        environment, str(environment), "-c", "import milmer_cli; print(milmer_cli.__file__)"
    )
    assert Path(where.strip()).is_relative_to(environment.parents[1])
    script = str(environment.with_name("milmer"))
    assert "finetune-swin" in _run(environment, script, "--help")
    assert "scratch:micro" in _run(environment, script, "settings", "show", "--preset", "demo")


@pytest.mark.slow
def test_wheel_is_typed(environment, tmp_path):
    pytest.importorskip("mypy")
    assert README_EXAMPLE is not None
    (tmp_path / "client.py").write_text(README_EXAMPLE.group(1) + MISUSE)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--python-executable", environment, "client.py"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    revealed, error, _ = done.stdout.splitlines()
    assert 'Revealed type is "dict[str, Any]"' in revealed.replace("builtins.", "").replace(
        "typing.", ""
    )
    assert ": error: Argument" in error
