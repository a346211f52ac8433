"""Change valid files of every format at random, and read them with Milmer's own functions.

    python fuzz/run.py --mutants 2000 --workers 2

A mutant is accepted or refused with one sentence. Everything else is a finding: a crash, a hang, a
traceback, growth of the memory, an executed payload, a file that was left behind. The result is a
table per format, and the mutants of all findings in the folder ``--out``.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from corpus import prepare_corpus
from targets import targets
from worker import mutant

HERE = Path(__file__).parent
TIME_LIMIT_S = 30.0
_START_LIMIT_S = 300.0
FINE = ("accepted", "refused")


@dataclass
class Result:
    """Outcomes of the mutants of one format."""

    name: str
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[dict[str, object]] = field(default_factory=list)
    slowest_s: float = 0.0
    growth: int = 0

    def add(self, ended: dict[str, object]) -> None:
        """Count the outcome of a mutant."""
        self.outcomes[str(ended["outcome"])] += 1
        self.slowest_s = max(self.slowest_s, float(ended.get("seconds", 0.0)))  # type: ignore[arg-type]
        self.growth = max(self.growth, int(ended.get("growth", 0)))  # type: ignore[call-overload]
        if ended["outcome"] not in FINE:
            self.findings.append(ended)

    @property
    def row(self) -> str:
        """One line of the table."""
        others = {name: n for name, n in self.outcomes.items() if name not in FINE}
        listed = ", ".join(f"{name} {n}" for name, n in others.items()) or "-"
        accepted, refused = self.outcomes["accepted"], self.outcomes["refused"]
        return (
            f"| {self.name} | {accepted} | {refused} | {listed} | {self.slowest_s:.1f} | "
            f"{self.growth / 2**20:.0f} |"
        )


def fuzz(
    names: Sequence[str], original: Path, n_mutants: int, seed: int, out: Path
) -> dict[str, Result]:
    """Read the mutants of some formats, one after another, in a worker that is replaced if lost."""
    results, first = {name: Result(name) for name in names}, dict.fromkeys(names, 0)
    work = Path(tempfile.mkdtemp(prefix="work-", dir=out))
    shutil.copytree(original, work / "corpus")
    while left := {name: number for name, number in first.items() if number < n_mutants}:
        for ended in _read_mutants(left, work / "corpus", original, seed, n_mutants):
            name = str(ended["name"])
            results[name].add(ended)
            first[name] = int(ended["end"]) + 1  # type: ignore[call-overload]
            if ended["outcome"] not in FINE:
                _keep(name, original, seed, ended, out)
            if first[name] >= n_mutants:
                print(results[name].row, flush=True)
    shutil.rmtree(work)
    return results


def _read_mutants(
    first: Mapping[str, int], corpus: Path, original: Path, seed: int, n_mutants: int
) -> Iterator[dict[str, object]]:
    """Yield the outcomes of a worker until it ends; the last one may be a crash or a hang."""
    jobs = [f"{name}={number}" for name, number in first.items()]
    arguments = [sys.executable, HERE / "worker.py", corpus, original, seed, n_mutants, *jobs]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(corpus.parent)}
    worker = subprocess.Popen(
        list(map(str, arguments)), stdout=subprocess.PIPE, text=True, env=environment
    )
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_forward, args=(worker.stdout, lines), daemon=True).start()
    begun: dict[str, object] | None = None
    with worker:
        while line := _next(lines, _START_LIMIT_S if begun is None else TIME_LIMIT_S):
            event = json.loads(line)
            begun = event if "begin" in event else None
            if "end" in event:
                yield event
        if begun is not None:
            hangs = line is None
            worker.kill()
            outcome = "hang" if hangs else "crash"
            message = f"over {TIME_LIMIT_S:g} s" if hangs else f"exit status {worker.wait()}"
            lost = {"name": begun["name"], "end": begun["begin"]}
            yield {**lost, "outcome": outcome, "message": message}
        elif worker.wait() != 0:
            raise RuntimeError(f"The worker for {', '.join(jobs)} failed between two mutants.")


def _forward(stream: IO[str] | None, lines: queue.Queue[str]) -> None:
    for line in stream or ():
        lines.put(line)
    lines.put("")


def _next(lines: queue.Queue[str], limit_s: float) -> str | None:
    """Return the next line, an empty one at the end, None after the time limit."""
    try:
        return lines.get(timeout=limit_s)
    except queue.Empty:
        return None


def _keep(name: str, original: Path, seed: int, ended: dict[str, object], out: Path) -> None:
    """Save the mutant of a finding and its message."""
    target = targets(original)[name]
    number = int(ended["end"])  # type: ignore[call-overload]
    stem = f"{name.replace('/', '_').replace(' ', '-')}-{number}"
    folder = out / "findings"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / (stem + Path(target.file).suffix)).write_bytes(
        mutant(name, target, original, seed, number)
    )
    (folder / (stem + ".txt")).write_text(f"{ended['outcome']}\n{ended['message']}\n")


def main() -> int:
    """Run the program; returns 1 if there are findings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--mutants", type=int, default=50, help="mutants of each format")
    parser.add_argument("--formats", default="", help="names of formats, separated by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("fuzz-results"))
    arguments = parser.parse_args()
    out, seed = arguments.out.resolve(), arguments.seed
    original = prepare_corpus(out)
    names = [name for name in arguments.formats.split(",") if name] or list(targets(original))
    print("| format | accepted | refused | findings | slowest, s | memory growth, MiB |")
    print("|---|---|---|---|---|---|")
    results: list[Result] = []
    with ThreadPoolExecutor(arguments.workers) as pool:
        calls = [
            pool.submit(fuzz, names[k :: arguments.workers], original, arguments.mutants, seed, out)
            for k in range(arguments.workers)
        ]
        for call in calls:
            results += call.result().values()
    findings = sum(len(result.findings) for result in results)
    print(f"\n{sum(sum(r.outcomes.values()) for r in results)} mutants, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
