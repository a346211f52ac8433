"""What the reader of a data set reports: missing inputs, and findings grouped over participants."""

from __future__ import annotations

from milmer_cli.datasets.missing import MissingInput
from milmer_cli.io import shorten

_LISTED = 6


class Findings:
    """Collects missing inputs and findings.

    Attributes
    ----------
    missing
        The missing inputs, in the order in which they were found.
    """

    def __init__(self) -> None:
        self.missing: list[MissingInput] = []
        self._places: dict[str, list[str]] = {}

    def add(self, sentence: str, place: str = "") -> None:
        """Add a finding; one sentence of several places is reported once.

        Parameters
        ----------
        sentence
            A complete sentence.
        place
            Participant or trial; empty if the finding is of the data set.
        """
        self._places.setdefault(sentence, []).extend([place] if place else [])

    def add_missing(self, what: str, why: str, fix: str = "") -> None:
        """Add a missing input; see `MissingInput`."""
        self.missing.append(MissingInput(what, why, fix))

    def sentences(self) -> tuple[str, ...]:
        """Return the findings."""
        return tuple(
            f"{shorten(list(dict.fromkeys(places)), _LISTED)}: {sentence}" if places else sentence
            for sentence, places in self._places.items()
        )


def list_trials(participant: str, trials: list[int]) -> str:
    """Name trials of a participant, as in ``subject01 trials 3, 17``."""
    return f"{participant} trial{'s' * (len(trials) > 1)} {shorten(trials, _LISTED)}"
