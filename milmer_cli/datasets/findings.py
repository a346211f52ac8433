"""What the reader of a data set reports: missing inputs, and findings grouped over places."""

from __future__ import annotations

from collections.abc import Iterable

from milmer_cli.datasets.missing import MissingInput
from milmer_cli.errors import InputError, shorten

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
        self._places: dict[str, dict[str, None]] = {}

    def add(self, sentence: str, places: Iterable[object] = ()) -> None:
        """Add a finding; one sentence of several places is reported once.

        Parameters
        ----------
        sentence
            A complete sentence. ``{}`` at its beginning, or else the last one, is replaced by the
            list of places; other ones can be text of files, and are kept.
        places
            Participants, trials or files; none if the finding is of the data set.
        """
        self._places.setdefault(sentence, {}).update(dict.fromkeys(map(str, places)))

    def add_trials(self, sentence: str, participant: str, trials: list[int]) -> None:
        """Add a finding on trials of a participant, unless there are none."""
        if trials:
            self.add(f"{{}}: {sentence}", [list_trials(participant, trials)])

    def add_missing(self, what: str, why: str, fix: str = "") -> None:
        """Add a missing input; see `MissingInput`."""
        self.missing.append(MissingInput(what, why, fix))

    def add_error(self, what: str, error: InputError, why: str = "{}") -> None:
        """Add a file that cannot be read; ``{}`` in ``why`` is replaced by the message."""
        message = error.message.replace("\n", " ")
        self.add_missing(what, why.replace("{}", message), error.hint)

    def sentences(self) -> tuple[str, ...]:
        """Return the findings, in the order in which they were found."""
        return tuple(
            _with_places(sentence, list(places)) if places else sentence
            for sentence, places in self._places.items()
        )

    def last(self) -> str:
        """Return what is missing last, or the last finding, as a reason for an error."""
        if self.missing:
            return f"{self.missing[-1].what}: {self.missing[-1].why}"
        return (self.sentences() or ("it has no EEG file.",))[-1]


def _with_places(sentence: str, places: list[str]) -> str:
    """Replace the ``{}`` of a sentence by places."""
    split = sentence.partition if sentence.startswith("{}") else sentence.rpartition
    before, _, after = split("{}")
    return f"{before}{shorten(places, _LISTED)}{after}"


def list_trials(participant: str, trials: list[int]) -> str:
    """Name trials of a participant, as in ``subject01 trials 3, 17``."""
    return f"{participant} trial{'s' * (len(trials) > 1)} {shorten(trials, _LISTED)}"
