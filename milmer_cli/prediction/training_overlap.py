"""Whether a recording is part of the data with which the model was trained and tested."""

from __future__ import annotations

from collections.abc import Sequence

from milmer_cli.bundle.sources import UsedTrial
from milmer_cli.digests import content_digest
from milmer_cli.eeg.io import EegBlock, signal_digests
from milmer_cli.errors import shorten
from milmer_cli.prediction.request import Request
from milmer_cli.prediction.timing import StimulusTiming
from milmer_cli.store.sources import TrialSource

_CONSEQUENCES = {
    "training": "its prediction is not an example of the performance on new recordings",
    "validation": "the epoch and the calibration were selected with it",
    "test": "it is part of the test score of the model",
}
"""Set -> what it means for a recording, in the order of severity."""


def prediction_source(
    request: Request, block: EegBlock | None, timing: StimulusTiming
) -> TrialSource:
    """Return the parts of files that are predicted, by content.

    Parameters
    ----------
    request
        The files that are used.
    block
        The opened EEG; None without EEG.
    timing
        Position of the stimulus.
    """
    return TrialSource(
        timing.duration_s,
        () if block is None else signal_digests(block.raw),
        timing.eeg_onset_s,
        "" if request.video is None else content_digest(request.video),
        timing.video_onset_s,
    )


def sets_of(source: TrialSource, used: Sequence[UsedTrial]) -> tuple[str, ...]:
    """Return the sets of a model that contain a part of a prediction."""
    own = {name for trial in used if trial.source.overlaps(source) for name in trial.sets}
    return tuple(name for name in _CONSEQUENCES if name in own)


def overlap_warnings(source: TrialSource, used: Sequence[UsedTrial]) -> list[str]:
    """Return a warning if a prediction is of data with which the model was trained or tested.

    Parameters
    ----------
    source
        What is predicted.
    used
        The trials of the model; see `Bundle.sources`.
    """
    same = [trial for trial in used if trial.source.overlaps(source)]
    if same:
        sets = sets_of(source, same)
        places = [f"the {name} set ({_list_trials(same, name)})" for name in sets]
        listed = " and ".join(filter(None, [", ".join(places[:-1]), places[-1]]))
        reasons = [_CONSEQUENCES[name] for name in sets]
        return [f"This recording is in {listed} of the model: {'; '.join(reasons)}."]
    others = [trial for trial in used if trial.source.shares_files_with(source)]
    learned = [trial for trial in others if set(trial.sets) & {"training", "validation"}]
    if learned:
        return [
            "Other parts of this recording are in the training or validation set of the model "
            f"({_list_trials(learned)}), so the participant is not new to it."
        ]
    return []


def _list_trials(used: Sequence[UsedTrial], of_set: str = "") -> str:
    """List the numbers of trials, as in ``trials 1, 3``."""
    trials = sorted({own.trial for own in used if not of_set or of_set in own.sets})
    return f"trial{'s' * (len(trials) > 1)} {shorten(trials)}"
