"""Kill each command at random times, run it again to its end, and compare with an unbroken run.

    python fuzz/kill.py --kills 50 --terminations 20

Commands are forked from a process that has imported Milmer, so that the signals arrive while the
command works and not while it is imported. A result is wrong if a file differs from that of the
unbroken run, a partial file is left, a process remains 10 s after the end of the command, or the
command prints a traceback.
"""

from __future__ import annotations

import argparse
import atexit
import ctypes
import hashlib
import multiprocessing
import os
import runpy
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from pathlib import Path

import numpy as np
import torch

from corpus import prepare_corpus

torch.set_num_threads(1)  # threads do not survive the forks of `start`

REMAINS_S = 10.0

# linux/capability.h and linux/prctl.h
_CAPABILITY_VERSION, _DAC_OVERRIDE, _DROP_FROM_BOUNDING_SET = 0x20080522, 1, 24


@dataclass(frozen=True)
class Command:
    """A command of Milmer.

    Attributes
    ----------
    arguments
        Without the output.
    compared
        Patterns of the files whose content must be that of the unbroken run.
    """

    arguments: tuple[str, ...]
    compared: tuple[str, ...]


def commands(corpus: Path) -> dict[str, Command]:
    """Return the commands on the corpus of `corpus.build`."""
    settings = ("--settings", str(corpus / "settings.yaml"))
    store = ("--prepared", str(corpus / "store"), *settings)
    deap = ("prepare", "--deap-root", str(corpus / "deap"), *settings)
    return {
        "prepare": Command(deap, ("*.h5",)),
        "prepare, 2 processes": Command((*deap, "--workers", "2"), ("*.h5",)),
        "finetune-swin": Command(
            ("finetune-swin", "--data", str(corpus / "deap" / "expressions"), *settings),
            ("model.safetensors", "history.csv"),
        ),
        "train": Command(
            ("train", *store), ("model/model.safetensors", "history.csv")
        ),
        "evaluate": Command(("evaluate", *store), ("predictions.csv",)),
        "predict --manifest": Command(
            ("predict", "--manifest", str(corpus / "tables" / "manifest.csv"),
             "--model", str(corpus / "run")),
            ("*/predictions.csv",),
        ),
    }  # fmt: skip


def start(command: Command, out: Path, log: Path) -> ForkProcess:
    """Start a command in a session of its own; what it prints goes to ``log``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    arguments = ("milmer", *command.arguments, "--out", str(out))
    process = multiprocessing.get_context("fork").Process(target=_run, args=(arguments, log))
    process.start()
    return process


def _run(arguments: tuple[str, ...], log: Path) -> None:
    """Run Milmer in this process and end it as Python ends."""
    os.setsid()
    obey_permissions()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = list(arguments)
    try:
        runpy.run_module("milmer_cli", run_name="__main__", alter_sys=True)
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()


def obey_permissions() -> None:
    """Let this process and its children obey the permissions of files, also as root."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; again for higher numbers
    failed = libc.capget(header, sets)
    for index in range(3):
        sets[index] &= ~(1 << _DAC_OVERRIDE)
    failed |= libc.prctl(_DROP_FROM_BOUNDING_SET, _DAC_OVERRIDE, 0, 0, 0)  # for new programs
    if failed | libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "the process cannot obey permissions")


def interrupt(command: Command, out: Path, after_s: float, number: int) -> Iterator[str]:
    """Start a command, send it a signal after a while, and yield what is wrong."""
    log = log_of(out)
    process = start(command, out, log)
    pid = process.pid or 0
    process.join(after_s)
    if process.is_alive():
        os.kill(pid, number)
    process.join(60)
    if process.is_alive():
        yield f"still runs 60 s after {signal.Signals(number).name}"
        process.kill()
    if (text := read_log(log)).find("Traceback") >= 0:
        yield text[text.index("Traceback") :][:3000]
    deadline = time.monotonic() + REMAINS_S
    while (remaining := session_processes(pid)) and time.monotonic() < deadline:
        time.sleep(0.2)
    if remaining:
        yield f"processes remain: {remaining}"
        for pid in remaining:
            os.kill(pid, signal.SIGKILL)


def session_processes(session: int) -> list[int]:
    """Return the processes of a session that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def log_of(out: Path) -> Path:
    """Return the file for the messages of the command that writes a folder."""
    return out.parent / "log.txt"


def read_log(log: Path) -> str:
    """Return what the last command printed."""
    return log.read_text(encoding="utf-8", errors="replace")


def finish(command: Command, out: Path, log: Path) -> str:
    """Run a command to its end; return what is wrong, or an empty string."""
    process = start(command, out, log)
    process.join()
    status = process.exitcode
    return "" if status == 0 else f"exit status {status}: {read_log(log)[-300:]}"


def contents(command: Command, out: Path) -> dict[str, str]:
    """Return the digests of the compared files by name; of a store, those of its data."""
    found = {}
    for pattern in command.compared:
        for path in sorted(out.glob(pattern)):
            found[str(path.relative_to(out))] = _digest(path)
    return found


def _digest(path: Path) -> str:
    if path.suffix != ".h5":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    import h5py

    sha = hashlib.sha256()
    with h5py.File(path) as file:
        datasets: list[str] = []
        file.visititems(
            lambda name, item: datasets.append(name) if isinstance(item, h5py.Dataset) else None
        )
        for name in datasets:
            sha.update(name.encode() + np.asarray(file[name][()]).tobytes())
    return sha.hexdigest()


def partial_files(out: Path) -> list[str]:
    """Return files under names that the program uses only while it writes."""
    return [str(path) for path in out.rglob("*") if path.name.endswith((".part", ".tmp"))]


def try_command(name: str, command: Command, n: dict[int, int], per_run: int, folder: Path) -> int:
    """Print one row of the table; return the number of wrong results."""
    shutil.rmtree(folder, ignore_errors=True)
    reference = folder / "unbroken" / "out"
    reference.parent.mkdir(parents=True)
    started = time.monotonic()
    if problem := finish(command, reference, log_of(reference)):
        raise RuntimeError(f"{name}: {problem}")
    duration_s, expected = time.monotonic() - started, contents(command, reference)
    random, problems, n_runs = np.random.default_rng(0), list[str](), 0
    for number, count in n.items():
        for first in range(0, count, per_run):
            out = folder / f"{number}-{first}" / "out"
            out.parent.mkdir()
            for _ in range(min(per_run, count - first)):
                after_s = float(random.uniform(0, duration_s))
                problems += filter(None, interrupt(command, out, after_s, number))
            problems += filter(None, [finish(command, out, log_of(out))])
            if contents(command, out) != expected:
                problems.append(f"{out}: other results")
            problems += [f"partial file {file}" for file in partial_files(out)]
            n_runs += 1
    counts = " and ".join(f"{count} {signal.Signals(number).name}" for number, count in n.items())
    print(f"| {name} | {duration_s:.0f} | {counts} | {n_runs} | {len(problems)} |", flush=True)
    for problem in problems:
        print(f"  {problem}", file=sys.stderr)
    return len(problems)


def main() -> int:
    """Run the program; returns 1 if a result is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50, help="SIGKILLs of each command")
    parser.add_argument("--terminations", type=int, default=20, help="SIGTERMs of each command")
    parser.add_argument("--per-run", type=int, default=5, help="signals before a run may finish")
    parser.add_argument("--commands", default="", help="separated by semicolons")
    parser.add_argument("--out", type=Path, default=Path("fuzz-results"))
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    known = commands(prepare_corpus(out))
    names = [name for name in arguments.commands.split(";") if name] or list(known)
    counts = {signal.SIGKILL: arguments.kills, signal.SIGTERM: arguments.terminations}
    print("| command | unbroken, s | signals | runs | wrong |\n|---|---|---|---|---|")
    wrong = sum(
        try_command(name, known[name], counts, arguments.per_run, out / "kill" / str(index))
        for index, name in enumerate(names)
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
