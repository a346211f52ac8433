"""Run a tutorial: its blocks in order, in one namespace and one folder.

    python docs/tutorials/run.py ladder              # in a temporary folder
    python docs/tutorials/run.py ladder --figures    # and renew the figures of the page

Blocks of ``python`` are executed. Each line of a block of ``sh`` is a ``milmer`` command, which
runs in this process and must succeed, unless the line ends with ``# exit code N``.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from milmer_cli.cli.app import run

FOLDER = Path(__file__).parent
PAGES = ("own-data", "fusion", "ladder", "prediction")
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
IMAGE = re.compile(r"!\[[^\]]*\]\((\.\./images/tutorials/([\w-]+\.png))\)")
EXIT_CODE = re.compile(r"# exit code (\d+)$")


def page_path(name: str) -> Path:
    """Return the path of a tutorial's page."""
    return FOLDER / f"{name}.md"


def figure_paths(page: Path) -> dict[str, Path]:
    """Return the figures of a page: file name, which the code writes -> path of the image."""
    text = page.read_text(encoding="utf-8")
    return {name: (page.parent / path).resolve() for path, name in IMAGE.findall(text)}


def commands(block: str) -> Iterator[tuple[list[str], int]]:
    """Yield the arguments and the expected exit code of each command of a ``sh`` block.

    Raises
    ------
    ValueError
        A line is not a ``milmer`` command.
    """
    for line in filter(str.strip, block.replace("\\\n", " ").splitlines()):
        program, *arguments = shlex.split(line, comments=True) or [""]
        if program != "milmer":
            raise ValueError(f"expected a milmer command, got {line!r}")
        stated = EXIT_CODE.search(line)
        yield arguments, int(stated[1]) if stated else 0


def run_page(page: Path, folder: Path) -> None:
    """Run all blocks of a page in an empty folder; ``folder`` then contains its figures.

    Raises
    ------
    RuntimeError
        A command ended with another exit code than stated, or a figure was not written.
    """
    namespace: dict[str, Any] = {"__name__": page.stem}
    with contextlib.chdir(folder):
        for number, block in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8")), 1):
            _run_block(*block.groups(), f"{page.name}, block {number}", namespace)
    if missing := [name for name in figure_paths(page) if not (folder / name).is_file()]:
        raise RuntimeError(f"{page.name} did not write {', '.join(missing)}")


def _run_block(language: str, block: str, where: str, namespace: dict[str, Any]) -> None:
    if language == "python":
        exec(compile(block, where, "exec"), namespace)
        return
    for arguments, expected in commands(block):
        sys.stdout.write(f"$ {shlex.join(['milmer', *arguments])}\n")
        sys.stdout.flush()
        if (code := run(arguments)) != expected:
            raise RuntimeError(f"{where}: exit code {code}: milmer {shlex.join(arguments)}")


def renew_figures(page: Path, folder: Path) -> None:
    """Copy the figures that a page wrote to the documentation, with 64 colors."""
    for name, path in figure_paths(page).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(folder / name) as image:
            image.convert("RGB").quantize(64).save(path, optimize=True)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Run a tutorial.")
    parser.add_argument("page", choices=PAGES)
    parser.add_argument("--figures", action="store_true", help="renew the figures of the page")
    arguments = parser.parse_args()
    page = page_path(arguments.page)
    start, cpu_start = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as name:
        run_page(page, Path(name))
        if arguments.figures:
            renew_figures(page, Path(name))
    seconds, cpu = time.monotonic() - start, time.process_time() - cpu_start
    sys.stderr.write(f"{page.name}: {seconds:.0f} s, {cpu:.0f} s of processor time\n")


if __name__ == "__main__":
    main()
