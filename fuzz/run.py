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
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

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
    seconds: float = 0.0

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


def fuzz(name: str, original: Path, n_mutants: int, seed: int, out: Path) -> Result:
    """Read the mutants of one format in worker processes, one after another."""
    result, first, started = Result(name), 0, time.monotonic()
    corpus = out / "work" / name.replace("/", "_") / "corpus"
    shutil.rmtree(corpus.parent, ignore_errors=True)
    shutil.copytree(original, corpus)
    while first < n_mutants:
        for ended in _read_mutants(name, corpus, original, seed, (first, n_mutants)):
            result.add(ended)
            first = int(ended["end"]) + 1  # type: ignore[call-overload]
            if ended["outcome"] not in FINE:
                _keep(name, original, seed, ended, out)
    shutil.rmtree(corpus.parent)
    result.seconds = time.monotonic() - started
    return result


def _read_mutants(
    name: str, corpus: Path, original: Path, seed: int, numbers: tuple[int, int]
) -> Iterator[dict[str, object]]:
    """Yield the outcomes of a worker until it ends; the last one may be a crash or a hang."""
    arguments = [sys.executable, HERE / "worker.py", name, corpus, original, seed, *numbers]
    environment = {
        "MPLCONFIGDIR": "/tmp", **os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(corpus.parent),
    }  # fmt: skip
    worker = subprocess.Popen(
        list(map(str, arguments)), stdout=subprocess.PIPE, text=True, env=environment
    )  # fmt: skip
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_forward, args=(worker.stdout, lines), daemon=True).start()
    begun, limit_s = numbers[0], _START_LIMIT_S
    with worker:
        while line := _next(lines, limit_s):
            event = json.loads(line)
            begun, limit_s = event.get("begin", begun), TIME_LIMIT_S
            if "end" in event:
                yield event
                begun = event["end"] + 1
        if line is None:
            worker.kill()
            yield {"end": begun, "outcome": "hang", "message": f"over {limit_s:g} s"}
        elif limit_s == _START_LIMIT_S:
            raise RuntimeError(f"The worker for {name} did not start.")
        elif begun < numbers[1]:
            message = f"exit status {worker.wait()}"
            yield {"end": begun, "outcome": "crash", "message": message}


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
    sys.path.insert(0, str(HERE))
    from targets import targets
    from worker import mutant

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
    out = arguments.out.resolve()
    original = out / "corpus"
    sys.path.insert(0, str(HERE))
    if not (original / "complete").exists():
        from corpus import build

        shutil.rmtree(original, ignore_errors=True)
        build(original)
        (original / "complete").touch()
    from targets import targets

    names = [name for name in arguments.formats.split(",") if name] or list(targets(original))
    print("| format | accepted | refused | findings | slowest, s | memory growth, MiB |")
    print("|---|---|---|---|---|---|")
    results = []
    with ThreadPoolExecutor(arguments.workers) as pool:
        calls = [
            pool.submit(fuzz, name, original, arguments.mutants, arguments.seed, out)
            for name in names
        ]
        for call in calls:
            results.append(call.result())
            print(results[-1].row, flush=True)
    findings = sum(len(result.findings) for result in results)
    print(f"\n{sum(sum(r.outcomes.values()) for r in results)} mutants, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
