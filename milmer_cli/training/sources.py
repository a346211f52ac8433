"""The parts of files in the sets of a run, for the bundle of its model."""

from __future__ import annotations

import numpy as np

from milmer_cli.bundle.sources import UsedTrial
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.splits import Fold


def used_trials(labeled: LabeledSegments, fold: Fold) -> list[UsedTrial]:
    """Return the trials of a fold; none for a store that does not record its sources."""
    segments = labeled.segments
    sets: dict[tuple[str, int], list[str]] = {}
    for name, rows in fold.sets():
        pairs = zip(segments.participant[rows], segments.trial[rows], strict=True)
        for participant, trial in sorted({(str(p), int(t)) for p, t in pairs}):
            sets.setdefault((participant, trial), []).append(name)
    names = [str(name) for name in np.unique(segments.participant)]
    sources = {name: labeled.store.participant(name).sources for name in names}
    return [
        UsedTrial(trial, tuple(own), sources[participant][trial])
        for (participant, trial), own in sorted(sets.items())
        if trial in sources[participant]
    ]
