"""Read and write ``sources.json``: the parts of files in the sets of a run.

With it, `milmer predict` recognizes a recording that the model was trained on, also after it was
renamed or copied. The file contains digests of contents, and no names and paths of files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.splits import Fold
from milmer_cli.errors import InputError
from milmer_cli.formats import read_document, write_document
from milmer_cli.store.sources import TrialSource

_TRAIN_AGAIN = "Train again, or restore the file from a copy of the run."


@dataclass(frozen=True)
class UsedTrial:
    """A trial in a set of a run.

    Attributes
    ----------
    participant, trial
        Name of the participant; number of the trial.
    sets
        ``training``, ``validation``, ``test``: the sets that contain segments of the trial.
    source
        The parts of files that it was prepared from.
    """

    participant: str
    trial: int
    sets: tuple[str, ...]
    source: TrialSource


def write_sources(path: Path, labeled: LabeledSegments, fold: Fold) -> None:
    """Write the trials of a fold; nothing for a store that does not record its sources."""
    trials = [
        {
            "participant": used.participant,
            "trial": used.trial,
            "sets": list(used.sets),
            **used.source.to_json(),
        }
        for used in _used_trials(labeled, fold)
    ]
    if trials:
        write_document(path, "run-sources", {"trials": trials})


def _used_trials(labeled: LabeledSegments, fold: Fold) -> Iterator[UsedTrial]:
    segments = labeled.segments
    sets: dict[tuple[str, int], list[str]] = {}
    for name, rows in fold.sets():
        pairs = zip(segments.participant[rows], segments.trial[rows], strict=True)
        for participant, trial in sorted({(str(p), int(t)) for p, t in pairs}):
            sets.setdefault((participant, trial), []).append(name)
    names = [str(name) for name in np.unique(segments.participant)]
    sources = {name: labeled.store.participant(name).sources for name in names}
    for (participant, trial), own in sorted(sets.items()):
        if trial in sources[participant]:
            yield UsedTrial(participant, trial, tuple(own), sources[participant][trial])


def read_sources(path: Path) -> list[UsedTrial]:
    """Read the trials that `write_sources` wrote.

    Raises
    ------
    InputError
        The file cannot be read or is damaged.
    """
    document = read_document(path, "run-sources", ("trials",), _TRAIN_AGAIN)
    try:
        return [
            UsedTrial(
                str(values.pop("participant")),
                int(values.pop("trial")),
                tuple(values.pop("sets")),
                TrialSource.from_json(values),
            )
            for values in document["trials"]
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error!r}.", _TRAIN_AGAIN) from error
