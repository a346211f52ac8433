"""Run the tests with the oldest allowed and with the newest versions of all dependencies.

    pip install uv
    python release/versions.py --oldest --newest
    python release/versions.py --oldest --newest --override torch==2.13.0+cpu    # without CUDA

Each environment is created in ``--out`` and kept. The versions must be compatible with each other
(``uv pip check``). If pip-audit is installed, it lists known vulnerabilities of the newest ones.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}
"""The oldest versions are those of the lower bounds in pyproject.toml."""


def create_environment(
    folder: Path, resolution: str, requirement: str, overrides: Sequence[str] = ()
) -> Path:
    """Create an environment and install a requirement with all its dependencies into it.

    Parameters
    ----------
    folder
        Replaced if it exists.
    resolution
        One of the values of `RESOLUTIONS`.
    requirement
        What is installed, such as a wheel or a folder with extras.
    overrides
        Requirements that replace those of any package.

    Returns
    -------
    Path
        The Python of the environment.

    Raises
    ------
    subprocess.CalledProcessError
        The installation failed, or the versions are not compatible with each other.
    """
    shutil.rmtree(folder, ignore_errors=True)
    python = folder / "bin" / "python"
    overridden = folder.with_suffix(".txt")
    folder.parent.mkdir(parents=True, exist_ok=True)
    overridden.write_text("\n".join(overrides) + "\n")
    uv = [sys.executable, "-m", "uv"]
    install = ["pip", "install", "--python", python, "--resolution", resolution]
    run(*uv, "venv", folder, "--python", sys.executable)
    run(*uv, *install, "--override", overridden, requirement)
    run(*uv, "pip", "check", "--python", python)
    return python


def run(*command: object, folder: Path = ROOT) -> None:
    """Print a command and run it in a folder.

    Raises
    ------
    subprocess.CalledProcessError
        It failed.
    """
    print("+", *command, flush=True)
    subprocess.run(list(map(str, command)), cwd=folder, check=True)


def run_tests(folder: Path, resolution: str, overrides: Sequence[str]) -> bool:
    """Create an environment, install Milmer into it and run the default tests."""
    try:
        python = create_environment(folder, resolution, f"{ROOT}[test]", overrides)
        run(python, "-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider", ROOT / "tests")
    except subprocess.CalledProcessError as error:
        print(error)
        return False
    return True


def audit(folder: Path) -> None:
    """Print known vulnerabilities of the packages of an environment, if pip-audit is installed."""
    if shutil.which("pip-audit") is None:
        print("pip-audit is not installed; known vulnerabilities were not looked up.")
        return
    for packages in folder.glob("lib/*/site-packages"):
        subprocess.run(["pip-audit", "--path", str(packages)], check=False)


def main() -> int:
    """Run the program; returns 1 if the tests fail with a set of versions."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--oldest", action="store_true")
    parser.add_argument("--newest", action="store_true")
    parser.add_argument("--override", action="append", default=[], help="version of a package")
    parser.add_argument("--out", type=Path, default=ROOT / "fuzz-results")
    arguments = parser.parse_args()
    passed = True
    for name, resolution in RESOLUTIONS.items():
        if getattr(arguments, name):
            folder = (arguments.out / f"venv-{name}").resolve()
            ok = run_tests(folder, resolution, arguments.override)
            print(f"{name}: {'passed' if ok else 'failed'}")
            passed &= ok
            if name == "newest":
                audit(folder)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
