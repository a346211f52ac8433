"""Run each command on a disk that is too small, then enlarge the disk and run it again.

    sudo python fuzz/full_disk.py --points 10        # mounts a tmpfs: Linux, as root

A result is wrong if the command on the full disk does not end with exit code 1 and one sentence
about the disk, prints a traceback or leaves a partial file, or if the second run does not give the
files of a run with enough space.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from corpus import prepare_corpus
from kill import Command, commands, contents, finish, partial_files, read_log, start

FAILED = 1


def try_size(command: Command, disk: Path, n_bytes: int, expected: dict[str, str]) -> list[str]:
    """Return what is wrong with a command on a disk of a size, and after it was enlarged."""
    disk.mkdir(parents=True)
    size = f"size={max(n_bytes, 4096)}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(disk)], check=True)
    out, problems = disk / "out", []
    try:
        process = start(command, out, log=disk.with_suffix(".txt"))
        process.join()
        status = process.exitcode
        text = read_log(disk.with_suffix(".txt"))
        if status == FAILED and "disk is full" not in text and "space" not in text:
            problems.append(f"{n_bytes} bytes: no word about the disk: {text[-300:]}")
        if status not in (0, FAILED) or "Traceback" in text:
            problems.append(f"{n_bytes} bytes: exit status {status}: {text[-300:]}")
        problems += [f"{n_bytes} bytes: partial file {file}" for file in partial_files(out)]
        subprocess.run(["mount", "-o", "remount,size=4G", str(disk)], check=True)
        if problem := finish(command, out, disk.with_suffix(".txt")):
            problems.append(f"{n_bytes} bytes, run again: {problem}")
        elif contents(command, out) != expected:
            problems.append(f"{n_bytes} bytes, run again: other results")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    return problems


def main() -> int:
    """Run the program; returns 1 if a result is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--points", type=int, default=10, help="sizes of the disk per command")
    parser.add_argument("--commands", default="", help="separated by semicolons")
    parser.add_argument("--out", type=Path, default=Path("fuzz-results"))
    arguments = parser.parse_args()
    corpus, folder = prepare_corpus(arguments.out), arguments.out.resolve() / "full-disk"
    known, n_wrong = commands(corpus), 0
    print("| command | size of its output, kB | sizes of the disk | wrong |\n|---|---|---|---|")
    for name in [name for name in arguments.commands.split(";") if name] or list(known):
        command, place = known[name], folder / name.replace(" ", "-").replace(",", "")
        reference = place / "reference"
        if problem := finish(command, reference, place / "log.txt"):
            raise RuntimeError(f"{name}: {problem}")
        needed = sum(path.stat().st_size for path in reference.rglob("*") if path.is_file())
        expected = contents(command, reference)
        problems = []
        for point in range(arguments.points):
            n_bytes = needed * (point + 1) // (arguments.points + 1)
            problems += try_size(command, place / f"disk-{point}", n_bytes, expected)
        print(f"| {name} | {needed // 1000} | {arguments.points} | {len(problems)} |", flush=True)
        print("\n".join(problems), file=sys.stderr)
        n_wrong += len(problems)
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
