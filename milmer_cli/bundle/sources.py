"""Read and write ``sources.json``: the parts of files with which a model was trained and tested.

With it, `milmer predict` recognizes a recording that the model was trained on, also after it was
renamed or copied. The file contains digests of contents and times, and no names of files or
participants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from milmer_cli.errors import InputError
from milmer_cli.formats import check_version
from milmer_cli.json_files import require_object
from milmer_cli.store.sources import TrialSource


@dataclass(frozen=True)
class UsedTrial:
    """A trial in a set of a model.

    Attributes
    ----------
    trial
        Number of the trial.
    sets
        ``training``, ``validation``, ``test``: the sets that contain segments of the trial.
    source
        The parts of files that it was prepared from.
    """

    trial: int
    sets: tuple[str, ...]
    source: TrialSource


def sources_to_json(used: Sequence[UsedTrial]) -> dict[str, Any]:
    """Return the contents of sources.json, in an order that does not depend on participants."""
    trials = [{"trial": own.trial, "sets": list(own.sets), **own.source.to_json()} for own in used]
    return {
        "trials": sorted(trials, key=lambda values: (values["eeg"], values["video"], str(values)))
    }


def sources_from_json(document: Any, where: str, hint: str) -> list[UsedTrial]:
    """Convert the result of `sources_to_json` back.

    Raises
    ------
    InputError
        The document is damaged; ``where`` and ``hint`` are parts of the message.
    """
    trials = require_object(document, where, ("trials",), hint)["trials"]
    check_version(where, "bundle-sources", document)
    try:
        return [
            UsedTrial(
                int(values.pop("trial")),
                _sets_of(values.pop("sets")),
                TrialSource.from_json(values),
            )
            for values in trials
        ]
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise InputError(f"{where} is damaged: {error!r}.", hint) from error


def _sets_of(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(name, str) for name in values):
        raise TypeError("sets must be a list of names")
    return tuple(values)
