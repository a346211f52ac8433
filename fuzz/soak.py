"""Prepare, train and predict in a loop in one process; memory, files and handles must not grow.

    python fuzz/soak.py --minutes 60

Prints a row per tenth of the time. The result is wrong if the memory of the last quarter exceeds
that of the second quarter by more than 5 %, or if open files, threads, child processes or files in
the temporary folder increase.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from corpus import prepare_corpus
from milmer_cli.datasets.deap.recordings import DeapRecordings
from milmer_cli.settings import Settings, load_settings
from milmer_cli.stages.predict import load_model
from milmer_cli.stages.prepare import prepare
from milmer_cli.stages.train import train

MEMORY_GROWTH = 1.05


@dataclass(frozen=True)
class Usage:
    """What the process uses after a round; memory in MiB."""

    memory: float
    open_files: int
    threads: int
    children: int
    temporary_files: int


def measure(temporary: Path) -> Usage:
    """Return what this process uses now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return Usage(
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        sum(1 for _ in Path("/proc/self/fd").iterdir()),
        threading.active_count(),
        len(children),
        sum(1 for _ in temporary.rglob("*")),
    )


def run_round(corpus: Path, out: Path, settings: Settings) -> None:
    """Prepare the data set, train a model on it and predict a recording with the model."""
    prepare(DeapRecordings(corpus / "deap"), out / "store", settings)
    train(out / "store", out / "run", settings)
    model = load_model(out / "run")
    model.predict(corpus / "video" / "face.mp4", corpus / "eeg" / "recording.edf", duration_s=2.0)
    shutil.rmtree(out)


def problems(usages: Sequence[Usage]) -> list[str]:
    """Return what increased from the second to the last quarter of the rounds."""
    quarter = max(len(usages) // 4, 1)
    early, late = usages[quarter : 2 * quarter] or usages[:1], usages[-quarter:]
    before, after = (
        Usage(*map(statistics.median, zip(*map(astuple, part), strict=True)))
        for part in (early, late)
    )
    found = []
    if after.memory > MEMORY_GROWTH * before.memory:
        found.append(f"memory: {before.memory:.0f} -> {after.memory:.0f} MiB")
    for name in ("open_files", "threads", "children", "temporary_files"):
        if getattr(after, name) > getattr(before, name):
            found.append(f"{name}: {getattr(before, name)} -> {getattr(after, name)}")
    return found


def main() -> int:
    """Run the program; returns 1 if something grows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--out", type=Path, default=Path("fuzz-results"))
    arguments = parser.parse_args()
    corpus, out = prepare_corpus(arguments.out), arguments.out.resolve() / "soak"
    settings = load_settings(file=corpus / "settings.yaml")
    shutil.rmtree(out, ignore_errors=True)
    temporary = out / "temporary"
    temporary.mkdir(parents=True)
    tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
    print("| minutes | rounds | memory, MiB | files | threads | children | temporary files |")
    print("|---|---|---|---|---|---|---|")
    started, usages, printed = time.monotonic(), list[Usage](), 0
    while (minutes := (time.monotonic() - started) / 60) < arguments.minutes or not usages:
        run_round(corpus, out / "round", settings)
        usages.append(measure(temporary))
        if 10 * minutes / arguments.minutes >= printed:
            values = " | ".join(f"{value:.0f}" for value in astuple(usages[-1]))
            print(f"| {minutes:.0f} | {len(usages)} | {values} |", flush=True)
            printed += 1
    found = problems(usages)
    print("\n".join([f"{len(usages)} rounds, {len(found)} quantities grow", *found]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
