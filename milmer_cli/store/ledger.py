"""Tables beside the store for whoever wants to know what happened to every face."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.store.atomic import written_aside
from milmer_cli.store.index import PreparedStore
from milmer_cli.store.layout import COVERAGE, LEDGER
from milmer_cli.store.participant import PreparedParticipant

FACE_COLUMNS = (
    "participant", "trial", "segment", "instance", "time_s", "found", "score",
    "left", "top", "right", "bottom", "reason",
)  # fmt: skip
COVERAGE_COLUMNS = (
    "participant", "trial", "stimulus", "segments", "eeg_segments", "faces_found",
    "faces_wanted", "face_coverage", "detector", "median_score", "reasons",
)  # fmt: skip


def write_ledger(store: PreparedStore) -> tuple[Path, Path]:
    """Write one row a face image, and one row a trial.

    Parameters
    ----------
    store
        A finished store; the tables go into its folder. They can be made again at any time.

    Returns
    -------
    tuple of Path
        The table of faces and the table of trials.
    """
    people = [store.participant(name) for name in store.participants]
    faces, trials = store.folder / LEDGER, store.folder / COVERAGE
    _write(faces, FACE_COLUMNS, (row for p in people for row in _face_rows(p)))
    _write(trials, COVERAGE_COLUMNS, (row for p in people for row in coverage_rows(p)))
    return faces, trials


def coverage_rows(p: PreparedParticipant) -> Iterator[Sequence[Any]]:
    """Give one row a trial, with the columns of `COVERAGE_COLUMNS`."""
    for trial in np.unique(p.trial):
        rows = p.trial == trial
        found, wanted = int(p.found[rows].sum()), int(p.found[rows].size)
        scores = p.score[rows][p.found[rows]]
        scores = scores[np.isfinite(scores)]
        reasons = p.reason[rows][~p.found[rows]]
        counts = sorted((str(why), int((reasons == why).sum())) for why in set(reasons.tolist()))
        yield (
            p.participant,
            int(trial),
            int(p.stimulus[rows][0]),
            int(rows.sum()),
            int(p.eeg_found[rows].sum()),
            found,
            wanted,
            f"{found / wanted:.4f}" if wanted else "",
            p.detector,
            _number(float(np.median(scores))) if scores.size else "",
            "; ".join(f"{why}: {count}" for why, count in counts),
        )


def _face_rows(p: PreparedParticipant) -> Iterator[Sequence[Any]]:
    starts = {trial: int(np.flatnonzero(p.trial == trial)[0]) for trial in np.unique(p.trial)}
    for row in range(len(p)):
        for instance in range(p.instances):
            at = (row, instance)
            yield (
                p.participant,
                int(p.trial[row]),
                row - starts[p.trial[row]],
                instance,
                _number(p.time[at]),
                int(p.found[at]),
                _number(p.score[at]),
                *(_number(edge) for edge in p.box[at]),
                p.reason[at],
            )


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.4f}".rstrip("0").rstrip(".")


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with (
        written_aside(path) as aside,
        aside.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
