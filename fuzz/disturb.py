"""Disturb each command: a read-only output, input that disappears, two processes on one output.

    python fuzz/disturb.py --times 10

A result is wrong if a command prints a traceback, leaves a partial file, hangs, reports success
without the files of an undisturbed run, or damages the result of the other process.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkProcess
from pathlib import Path

import numpy as np

from corpus import prepare_corpus
from kill import Command, commands, contents, finish, partial_files, read_log, start

LIMIT_S = 120.0
REFUSED = 2


@dataclasses.dataclass(frozen=True)
class Trial:
    """A command, its duration and results when it is not disturbed, and when it is disturbed."""

    command: Command
    duration_s: float
    expected: dict[str, str]
    fraction: float
    folder: Path
    corpus: Path

    @property
    def out(self) -> Path:
        """Output of the command."""
        return self.folder / "out"

    def wait(self, process: ForkProcess, log: Path) -> Iterator[str]:
        """Wait for the end of a process, and yield what is wrong with its end."""
        process.join(LIMIT_S)
        if process.is_alive():
            process.kill()
            process.join()
            yield f"still runs after {LIMIT_S:g} s"
        if (text := read_log(log)).find("Traceback") >= 0:
            yield text[text.index("Traceback") :][:3000]


def make_read_only(trial: Trial) -> Iterator[str]:
    """Make the output read-only while the command works, and writable again."""
    log = trial.folder.with_suffix(".txt")
    process = start(trial.command, trial.out, log=log)
    time.sleep(trial.fraction * trial.duration_s)
    modes = remove_permissions(trial.folder)
    yield from trial.wait(process, log)
    complete = contents(trial.command, trial.out) == trial.expected
    if process.exitcode == 0 and not complete:
        yield "success without the result"
    for path, mode in modes.items():
        path.chmod(mode)
    if problem := finish(trial.command, trial.out, log):
        yield f"run again: {problem}"
    elif contents(trial.command, trial.out) != trial.expected:
        yield "run again: other results"


def remove_permissions(folder: Path) -> dict[Path, int]:
    """Make a folder and everything in it read-only; return the permissions before."""
    modes: dict[Path, int] = {}
    for parent, _, files in os.walk(folder):
        for path in (Path(parent), *(Path(parent, file) for file in files)):
            with contextlib.suppress(FileNotFoundError):  # the command renamed or removed it
                mode = path.stat().st_mode & 0o7777
                path.chmod(mode & ~0o222)
                modes[path] = mode
    return modes


def remove_input(trial: Trial) -> Iterator[str]:
    """Remove the input while the command works, and restore it."""
    corpus, log = trial.folder / "corpus", trial.folder / "log.txt"
    shutil.copytree(trial.corpus, corpus)
    arguments = tuple(
        text.replace(str(trial.corpus), str(corpus)) for text in trial.command.arguments
    )
    command = dataclasses.replace(trial.command, arguments=arguments)
    process = start(command, trial.out, log=log)
    time.sleep(trial.fraction * trial.duration_s)
    removed = corpus.with_name("removed")
    corpus.rename(removed)
    yield from trial.wait(process, log)
    yield from (f"partial file {file}" for file in partial_files(trial.out))
    shutil.rmtree(corpus, ignore_errors=True)  # a command may have written face tokens there
    removed.rename(corpus)
    if problem := finish(command, trial.out, log):
        yield f"run again: {problem}"
    elif contents(command, trial.out) != trial.expected:
        yield "run again: other results"


def start_twice(trial: Trial) -> Iterator[str]:
    """Start the command again while it works: one of the two is refused, the other is right."""
    logs = [trial.folder / f"{number}.txt" for number in (1, 2)]
    processes = [start(trial.command, trial.out, log=logs[0])]
    time.sleep(trial.fraction * trial.duration_s)
    processes.append(start(trial.command, trial.out, log=logs[1]))
    for process, log in zip(processes, logs, strict=True):
        yield from trial.wait(process, log)
    codes = [process.exitcode for process in processes]
    if 0 not in codes or not {0, REFUSED}.issuperset(codes):
        yield f"exit codes {codes}: {read_log(logs[1])[-300:]}"
    if contents(trial.command, trial.out) != trial.expected:
        yield "other results"
    yield from (f"partial file {file}" for file in partial_files(trial.out))


DISTURBANCES: dict[str, Callable[[Trial], Iterator[str]]] = {
    "read-only output": make_read_only,
    "input disappears": remove_input,
    "two processes": start_twice,
}


def main() -> int:
    """Run the program; returns 1 if a result is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--times", type=int, default=10, help="moments of each disturbance")
    parser.add_argument("--commands", default="", help="separated by semicolons")
    parser.add_argument("--out", type=Path, default=Path("fuzz-results"))
    arguments = parser.parse_args()
    corpus, folder = prepare_corpus(arguments.out), arguments.out.resolve() / "disturb"
    shutil.rmtree(folder, ignore_errors=True)
    known, n_wrong = commands(corpus), 0
    print("| command | disturbance | times | wrong |\n|---|---|---|---|")
    for name in [name for name in arguments.commands.split(";") if name] or list(known):
        command, place = known[name], folder / name.replace(" ", "-").replace(",", "")
        started = time.monotonic()
        if problem := finish(command, place / "reference" / "out", place / "log.txt"):
            raise RuntimeError(f"{name}: {problem}")
        duration_s = time.monotonic() - started
        expected = contents(command, place / "reference" / "out")
        for disturbance, disturb in DISTURBANCES.items():
            problems = []
            for number, fraction in enumerate(np.linspace(0.05, 0.95, arguments.times)):
                trial_folder = place / f"{disturbance.replace(' ', '-')}-{number}"
                trial_folder.mkdir(parents=True)
                trial = Trial(command, duration_s, expected, float(fraction), trial_folder, corpus)
                problems += [f"{fraction:.2f}: {problem}" for problem in disturb(trial)]
                shutil.rmtree(trial_folder, ignore_errors=True)
            print(f"| {name} | {disturbance} | {arguments.times} | {len(problems)} |", flush=True)
            print("\n".join(problems), file=sys.stderr)
            n_wrong += len(problems)
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
