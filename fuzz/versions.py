"""Run the tests with the oldest allowed and with the newest versions of all dependencies.

    python fuzz/versions.py --oldest --newest

Each environment is created in ``--out`` and kept. `pip check` must find no conflict; pip-audit, if
it is installed, lists known vulnerabilities.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def oldest_versions() -> list[str]:
    """Return the constraints of the lower bounds in pyproject.toml, such as ``numpy==1.26``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [
        *project["dependencies"],
        *(line for extra in ("test", "cluster", "gpu") for line in extras[extra]),
    ]
    pins = []
    for requirement in map(Requirement, lines):
        for bound in requirement.specifier:
            if bound.operator == ">=":
                pins.append(f"{requirement.name}=={bound.version}.*")
    return sorted(set(pins))


def run_tests(folder: Path, constraints: list[str]) -> bool:
    """Create an environment, install Milmer into it and run the default tests."""
    python = folder / "bin" / "python"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "constraints.txt"
    file.write_text("\n".join(constraints) + "\n")
    install = [python, "-m", "pip", "install", "-q", "--upgrade", "-c", file, f"{ROOT}[test]"]
    for command in (
        [sys.executable, "-m", "venv", folder],
        install,
        [python, "-m", "pip", "check"],
        [python, "-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider", ROOT / "tests"],
    ):
        print("+", *command, flush=True)
        if subprocess.run(list(map(str, command)), cwd=ROOT, check=False).returncode:
            return False
    return True


def main() -> int:
    """Run the program; returns 1 if the tests fail with a set of versions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--oldest", action="store_true")
    parser.add_argument("--newest", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "fuzz-results")
    arguments = parser.parse_args()
    passed = True
    for name, chosen, constraints in (
        ("oldest", arguments.oldest, oldest_versions()),
        ("newest", arguments.newest, []),
    ):
        if chosen:
            ok = run_tests((arguments.out / f"venv-{name}").resolve(), constraints)
            print(f"{name}: {'passed' if ok else 'failed'}")
            passed &= ok
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
