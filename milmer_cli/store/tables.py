"""coverage.csv: one row per trial with its segments, its faces and why faces are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.csv_cells import csv_text
from milmer_cli.io import atomic_write
from milmer_cli.store.index import PreparedStore
from milmer_cli.store.reader import PreparedParticipant
from milmer_cli.store.schema import COVERAGE_FILE

COVERAGE_COLUMNS = (
    "participant", "session", "trial", "stimulus", "condition", "segments", "eeg_segments",
    "faces_found", "faces_expected", "face_coverage", "detector", "median_score", "reason",
)  # fmt: skip


def write_coverage(store: PreparedStore) -> Path:
    """Write coverage.csv into the folder of a finished store and return its path."""
    rows = (row for name in store.participants for row in coverage_rows(store.participant(name)))
    path = store.folder / COVERAGE_FILE
    atomic_write(path, csv_text(chain([COVERAGE_COLUMNS], rows)))
    return path


def coverage_rows(p: PreparedParticipant) -> Iterator[Sequence[Any]]:
    """Yield the rows of a participant's trials, with the columns of `COVERAGE_COLUMNS`.

    ``reason`` counts why face images are missing, for example ``another face: 1; no face: 2``.
    """
    for trial in np.unique(p.trial):
        rows = p.trial == trial
        found = p.found[rows]
        n_found, n_expected = int(found.sum()), found.size
        scores = p.score[rows][found]
        scores = scores[np.isfinite(scores)]
        reasons = Counter(str(reason) for reason in p.reason[rows][~found])
        yield (
            p.participant,
            str(p.session[rows][0]),
            int(trial),
            int(p.stimulus[rows][0]),
            str(p.condition[rows][0]),
            int(rows.sum()),
            int(p.eeg_found[rows].sum()),
            n_found,
            n_expected,
            f"{n_found / n_expected:.4f}" if n_expected else "",
            p.detector,
            f"{np.median(scores):.4f}".rstrip("0").rstrip(".") if scores.size else "",
            "; ".join(f"{reason}: {count}" for reason, count in sorted(reasons.items())),
        )
