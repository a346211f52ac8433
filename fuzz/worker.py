"""Read mutants of several formats, and print one JSON line before and after each of them.

Started by `run.py`, so that a crash or a hang ends this process only.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import sys
import time
import traceback
import warnings
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np

from milmer_cli.errors import MilmerError
from mutate import mutate
from targets import Target, restore, targets

SENTINEL = "executed"
"""File that every payload creates in the corpus."""


def main() -> None:
    """Arguments: corpus, unchanged copy, seed, number of mutants, then NAME=FIRST per target."""
    corpus, original = Path(sys.argv[1]), Path(sys.argv[2])
    seed, n_mutants = int(sys.argv[3]), int(sys.argv[4])
    output = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries write to it
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    warnings.simplefilter("ignore")
    os.chdir(corpus)
    known = targets(original)
    for name, _, first in (argument.rpartition("=") for argument in sys.argv[5:]):
        target = known[name]
        restore(target, corpus, original)
        with contextlib.suppress(MilmerError):
            target.read(corpus / target.file, corpus)  # loads libraries
        for number in range(int(first), n_mutants):
            print(json.dumps({"name": name, "begin": number}), file=output, flush=True)
            ended = _try(name, target, corpus, original, seed, number)
            print(json.dumps(ended), file=output, flush=True)
        restore(target, corpus, original)


def mutant(name: str, target: Target, original: Path, seed: int, number: int) -> bytes:
    """Return the content of a mutant; the first ones are payloads that must not be executed."""
    payloads = list(_payloads(original.parent / SENTINEL))
    if number < len(payloads):
        return payloads[number]
    random = np.random.default_rng([seed, number, *name.encode()])
    return mutate((original / target.file).read_bytes(), random)


def _try(
    name: str, target: Target, corpus: Path, original: Path, seed: int, number: int
) -> dict[str, object]:
    path = corpus / target.file
    restore(target, corpus, original)
    content = mutant(name, target, original, seed, number)
    path.write_bytes(content)
    before, files = _reset_peak_memory(), set(_files(corpus, target))
    started, message, outcome = time.monotonic(), "", "accepted"
    try:
        target.read(path, corpus)
    except MilmerError as error:
        outcome, message = "refused", error.message
        if not message.strip():
            outcome = "no sentence"
    except MemoryError:
        outcome, message = "memory", traceback.format_exc()
    except BaseException:  # everything else would be a traceback for the user
        outcome, message = "traceback", traceback.format_exc()
    if (original.parent / SENTINEL).exists():
        outcome = "executed"
    if left := set(_files(corpus, target)) - files:
        outcome, message = "left files", ", ".join(sorted(left))
    growth = _peak_memory() - before
    if growth > 2 * 2**30:
        outcome, message = "memory", f"{growth / 2**30:.1f} GiB"
    seconds = time.monotonic() - started
    return {
        "name": name,
        "end": number,
        "outcome": outcome,
        "message": message,
        "seconds": seconds,
        "growth": growth,
    }


def _files(corpus: Path, target: Target) -> Iterator[str]:
    if not target.output:
        for path in (corpus / target.file).parent.iterdir():
            yield path.name


def _reset_peak_memory() -> int:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_memory()


def _peak_memory() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return 1024 * int(line.split()[1])
    return 0


class _Payload:
    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.sentinel}",)


def _payloads(sentinel: Path) -> Iterator[bytes]:
    """Yield contents that execute a command where a file is unpickled or evaluated."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.dumps({"data": _Payload(sentinel)}, protocol)
    yield pickle.dumps(_Payload(sentinel), 2)
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(_Payload(sentinel), 2))
        file.writestr("archive/version", "3")
    yield archive.getvalue()
    array = BytesIO()
    np.save(array, np.array([_Payload(sentinel)], object), allow_pickle=True)
    yield array.getvalue()
    yield f"!!python/object/apply:os.system ['touch {sentinel}']".encode()
    yield f"%!PS\n({sentinel}) (w) file closefile\n".encode()
    code = f"raise SystemExit(__import__('os').system('touch {sentinel}'))"
    classes = {"AutoConfig": "code.C", "AutoModel": "code.M"}
    yield json.dumps({"auto_map": classes, "model_type": "unknown", "code": code}).encode()


if __name__ == "__main__":
    main()
