"""How well the model of a prediction performed on its test set, with the modalities used here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from milmer_cli.errors import InputError
from milmer_cli.formats import read_document
from milmer_cli.metrics.calibration import ReliabilityDiagram
from milmer_cli.prediction.abstention import EEG_ARTIFACT, FACES_UNUSABLE
from milmer_cli.prediction.modalities import Modalities
from milmer_cli.prediction.result import ModelSummary, SegmentPrediction
from milmer_cli.training.run_dir import METRICS, Run

_TRAIN_AGAIN = "Train again, or restore the file from a copy of the run."
_NAMES = {"eeg": "EEG", "face": "video"}


def summarize_model(run: Run, modalities: Modalities) -> ModelSummary:
    """Collect what a prediction reports about its model.

    Parameters
    ----------
    run
        Run of the model.
    modalities
        Modalities on which the predictions are based.

    Raises
    ------
    InputError
        metrics.json of the run is missing or damaged.
    """
    metrics = _metrics(run)
    try:
        return _summarize(run, modalities, metrics)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{run.path / METRICS} is damaged: {error!r}.", _TRAIN_AGAIN) from error


def check_metrics(run: Run) -> None:
    """Check that the summary of the model can be made, before the work that precedes it.

    Raises
    ------
    InputError
        metrics.json of the run is missing or damaged.
    """
    for modalities in get_args(Modalities):
        summarize_model(run, modalities)


def _summarize(run: Run, modalities: Modalities, metrics: Mapping[str, Any]) -> ModelSummary:
    calibration = metrics.get("calibration", {})
    reliability = None
    if "as_trained" in calibration:
        reliability = (
            ReliabilityDiagram.from_json(calibration["as_trained"]),
            ReliabilityDiagram.from_json(calibration["calibrated"]),
        )
    if modalities in ("both", run.settings.model.modalities):
        test_score = str(metrics["headline"])
        above_chance = (metrics.get("test") or {}).get("above_chance", False)
    else:
        alone = metrics.get("headline_per_modality", {}).get(modalities)
        above_chance = metrics.get("above_chance_per_modality", {}).get(modalities, False)
        test_score = f"with {_NAMES[modalities]} alone: {alone or 'not tested'}"
    return ModelSummary(
        run=str(run.path),
        test_score=test_score,
        test_scope=_test_scope(run) if metrics.get("test") else "",
        above_chance=bool(above_chance),
        label_rule=run.label_rule,
        settings=run.settings.model_dump(mode="json"),
        reliability=reliability,
        temperature=calibration.get("temperatures", {}).get(modalities),
    )


_NEW_PERSON = "for a new person, run `milmer evaluate --protocol participant`"


def _test_scope(run: Run) -> str:
    """Describe whose data the test set of a run contains."""
    count = len(run.environment["store"].get("participants", ()))
    same = f"the same {count} participants" if count > 1 else "the same participant"
    match run.protocol:
        case "segment":
            return f"other segments of the training trials, of {same} (LEAKY); {_NEW_PERSON}"
        case "trial":
            return f"new trials of {same}; {_NEW_PERSON}"
        case "session":
            return f"new recording sessions of {same}; {_NEW_PERSON}"
        case "stimulus":
            return f"new stimuli, shown to {same}; {_NEW_PERSON}"
        case "participant":
            return "participants that are not in the training set, with the same stimuli"
        case _:
            return "participants and stimuli that are not in the training set"


def single_modality_warnings(run: Run, modalities: Modalities, reason: str = "") -> Iterator[str]:
    """Yield a warning if a model of two modalities receives only one.

    Parameters
    ----------
    run, modalities
        As in `summarize_model`.
    reason
        Why the other modality is missing; by default that it is not given.
    """
    model = run.settings.model
    if model.modalities != "both" or modalities == "both":
        return
    missing = "video" if modalities == "eeg" else "EEG"
    reason = reason or f"No {missing} is given."
    if not model.modality_dropout:
        yield (
            f"{reason} This model was trained without modality dropout, so it has never received a "
            f"segment without {missing}, and its predictions are not reliable, whatever their "
            f"probabilities. {_score_alone(run, modalities)}"
        )
    else:
        yield (
            f"{reason} In training, {model.modality_dropout / 2:.0%} of the segments had no "
            f"{missing}. {_score_alone(run, modalities)}"
        )


def usable_modalities(
    run: Run, modalities: Modalities, segments: Sequence[SegmentPrediction]
) -> tuple[Modalities, list[str]]:
    """Determine which modalities contributed to the predictions.

    Returns
    -------
    modalities
        Without a modality that is unusable in all segments.
    warnings
        One for such a modality.
    """
    if modalities != "both":
        return modalities, []
    faces = [not FACES_UNUSABLE & set(segment.flags) for segment in segments]
    eeg = [EEG_ARTIFACT not in segment.flags for segment in segments]
    if not any(faces) and any(eeg):
        found = any(segment.faces_found for segment in segments)
        amount = (
            "Too few faces of the participant were" if found else "No face of the participant was"
        )
        reason = f"{amount} found in the video: the prediction is based on the EEG."
        return "eeg", list(single_modality_warnings(run, "eeg", reason))
    if not any(eeg) and any(faces):
        reason = (
            "The EEG has too many artifacts in all segments: the prediction is based on the video."
        )
        return "face", list(single_modality_warnings(run, "face", reason))
    return modalities, list(_partial_warnings(run, eeg, faces))


def _partial_warnings(run: Run, eeg: Sequence[bool], faces: Sequence[bool]) -> Iterator[str]:
    """Yield a warning if the prediction of some segments is based on one modality."""
    for modality, usable, other in (("EEG", eeg, faces), ("video", faces, eeg)):
        n_single = sum(b and not a for a, b in zip(usable, other, strict=True))
        if n_single and not run.settings.model.modality_dropout:
            yield (
                f"In {n_single} of {len(usable)} segments the {modality} is not usable. This model "
                "was trained without modality dropout, so these predictions are not reliable."
            )


def _score_alone(run: Run, modalities: Modalities) -> str:
    alone = _metrics(run).get("headline_per_modality", {}).get(modalities)
    if alone is None:
        return f"It was not tested with {_NAMES[modalities]} alone."
    return f"On its test set, {_NAMES[modalities]} alone gave: {alone}."


def _metrics(run: Run) -> dict[str, Any]:
    return read_document(run.path / METRICS, "run-metrics", ("headline",), _TRAIN_AGAIN)
