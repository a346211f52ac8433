"""Build and try a release, and tag it.

    pip install '.[dev,docs]' uv twine
    python release/release.py 0.1.0                 # build and try; the repository is unchanged
    python release/release.py 0.1.0 --tag           # also date the changelog, commit and tag

The wheel and the sdist of the last commit are built with the documentation site, checked with
twine, and installed into empty environments with the oldest and the newest dependencies, where a
recording is generated, prepared and predicted. CHECKLIST.md lists what a person does before and
after.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from versions import RESOLUTIONS, ROOT, create_environment, run

UNRELEASED = "## {} (unreleased)"
RELEASED = "## {} - {}"
SMOKE_TEST = Path(__file__).with_name("smoke_test.py")


def require_version(version: str) -> None:
    """Check that all files state this version, and that there is something to release.

    Raises
    ------
    SystemExit
        A file states another version, or the changelog has no unreleased section of it.
    """
    stated = {
        "milmer_cli/__init__.py": f'__version__ = "{version}"',
        "CITATION.cff": f"version: {version}",
        "CHANGELOG.md": UNRELEASED.format(version),
    }
    for name, expected in stated.items():
        if expected not in (ROOT / name).read_text(encoding="utf-8").splitlines():
            raise SystemExit(f"{name}: expected the line {expected!r}. Commit it first.")


def require_clean_repository(version: str) -> None:
    """Check that nothing is uncommitted, and that the tag is new.

    Raises
    ------
    SystemExit
        There are uncommitted changes, or the tag exists.
    """
    if changes := git("status", "--porcelain"):
        raise SystemExit(f"There are uncommitted changes. Commit or remove them:\n{changes}")
    if git("tag", "--list", f"v{version}"):
        raise SystemExit(f"The tag v{version} exists already. Choose a new version.")


def git(*arguments: str) -> str:
    """Return the output of git."""
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def build(out: Path) -> list[Path]:
    """Build the site, the wheel and the sdist from a clone of the last commit.

    Returns
    -------
    list of Path
        The wheel and the sdist.
    """
    clone, distributions = out / "clone", out / "dist"
    for folder in (clone, distributions):
        shutil.rmtree(folder, ignore_errors=True)
    run("git", "clone", "-q", ROOT, clone)
    run(sys.executable, "docs/build.py", folder=clone)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", distributions, folder=clone)
    files = sorted(distributions.iterdir())
    run(sys.executable, "-m", "twine", "check", "--strict", *files)
    return files


def try_installations(wheel: Path, out: Path, overrides: list[str]) -> None:
    """Install the wheel into empty environments, and use it in an empty folder."""
    for name, resolution in RESOLUTIONS.items():
        python = create_environment(out / name, resolution, str(wheel), overrides)
        folder = out / f"{name}-smoke-test"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        run(python, "-I", SMOKE_TEST, folder=folder)


def write_date(version: str) -> None:
    """Replace "unreleased" by the date, in the changelog and for citations."""
    date = time.strftime("%Y-%m-%d")
    changelog, citation = ROOT / "CHANGELOG.md", ROOT / "CITATION.cff"
    text = changelog.read_text(encoding="utf-8")
    text = text.replace(UNRELEASED.format(version), RELEASED.format(version, date))
    changelog.write_text(text, encoding="utf-8")
    text = re.sub(r"^date-released: .*\n", "", citation.read_text(encoding="utf-8"), flags=re.M)
    line = f"version: {version}\n"
    citation.write_text(text.replace(line, f"{line}date-released: {date}\n"), encoding="utf-8")


def tag(version: str) -> None:
    """Commit the date, and tag the commit."""
    write_date(version)
    git("commit", "-qam", f"Release {version}")
    git("tag", "-a", f"v{version}", "-m", f"Milmer {version}")


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("version")
    parser.add_argument("--tag", action="store_true", help="date, commit and tag the release")
    parser.add_argument("--override", action="append", default=[], help="version of a package")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "release")
    arguments = parser.parse_args()
    version, out = arguments.version, arguments.out.resolve()
    require_version(version)
    require_clean_repository(version)
    out.mkdir(parents=True, exist_ok=True)
    files = build(out)
    (wheel,) = (path for path in files if path.suffix == ".whl")
    try_installations(wheel, out, arguments.override)
    if arguments.tag:
        tag(version)
    print(
        f"\n{version} is built in {out / 'dist'}. Continue with {SMOKE_TEST.parent}/CHECKLIST.md."
    )


if __name__ == "__main__":
    main()
