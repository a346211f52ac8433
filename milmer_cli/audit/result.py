"""Audit a table of predictions: leaks, scores under the inferred protocol, shortcut verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.audit.history import epoch_leak
from milmer_cli.audit.leaks import (
    Leak,
    SharedData,
    TestedFold,
    find_leaks,
    infer_protocol,
    normal_name,
    shared_data,
    tested_folds,
)
from milmer_cli.audit.predictions import PredictionTable, read_predictions
from milmer_cli.audit.shortcuts import compare_with_baselines, identity_baselines, verdict_of
from milmer_cli.audit.splits import SplitTable, match_splits, read_splits
from milmer_cli.errors import InputError, shorten
from milmer_cli.json_files import to_json
from milmer_cli.metrics import (
    GENERALIZES_TO,
    SAMPLED_AXES,
    ResamplingOptions,
    Scores,
    SegmentPredictions,
    headline,
    score,
)
from milmer_cli.metrics.calibration import ReliabilityDiagram, reliability_diagram
from milmer_cli.metrics.shortcuts import IDENTITIES, OVERALL
from milmer_cli.metrics.significance import Comparison

"""Version of the JSON document."""

UNKNOWN = "unknown"
"""Protocol of a table that does not say what the model was trained on."""

_ROUNDING = 0.011
"""Difference of two probabilities that were equal before they were rounded to two digits."""


@dataclass(frozen=True)
class AuditRequest:
    """What is audited.

    Attributes
    ----------
    predictions, splits, history
        CSV files; the last two may be None.
    names
        Column -> its name in the files, where the usual spellings do not fit.
    only
        ``model`` -> the value whose rows are audited.
    claimed
        Protocol that the authors claim; inferred if empty. If the table has a column of protocols
        in which it occurs, its rows are audited.
    """

    predictions: Path
    splits: Path | None = None
    history: Path | None = None
    names: Mapping[str, str] | None = None
    only: Mapping[str, str] | None = None
    claimed: str = ""


@dataclass(frozen=True, eq=False)
class AuditResult:
    """Result of an audit.

    Attributes
    ----------
    path
        The audited file.
    protocol
        Claimed or inferred protocol, or `UNKNOWN`.
    scores
        Scores with intervals and p-values.
    leaks
        All leaks that were found.
    training_known
        Whether the tables say what the model was trained on.
    comparisons
        The model against baselines that know only identities; empty if the classes of the training
        set are unknown.
    verdict
        What can explain the accuracy, in one sentence.
    reliability
        Reliability diagram; None if the table has no probabilities.
    """

    path: Path
    protocol: str
    scores: Scores
    leaks: tuple[Leak, ...]
    training_known: bool
    comparisons: tuple[Comparison, ...]
    verdict: str
    reliability: ReliabilityDiagram | None

    @property
    def leaky(self) -> bool:
        """Whether a leak was found."""
        return bool(self.leaks)

    @property
    def generalizes_to(self) -> str:
        """What the accuracy generalizes to."""
        if self.protocol == UNKNOWN:
            return "unknown: the table does not say what the model was trained on"
        if self.leaky and self.protocol != "segment":
            return "nobody, because of the leaks"
        return GENERALIZES_TO[self.protocol]

    @property
    def headline(self) -> str:
        """One line with accuracy, protocol, interval, majority rates and p-value."""
        unknown = self.protocol == UNKNOWN
        protocol = "trial" if unknown else self.protocol
        line = headline(self.scores, protocol, self.leaky)  # type: ignore[arg-type]
        line = line.partition("; generalizes")[0]
        if unknown:
            return f"protocol unknown: {line.partition(': ')[2]}"
        return f"{line}; generalizes to {self.generalizes_to}"

    def to_json(self) -> dict[str, Any]:
        """Values of the JSON document; undefined values are None."""
        scores = self.scores
        document = {
            "protocol": self.protocol,
            "n": {
                "segments": scores.n_segments,
                "trials": scores.n_trials,
                "participants": scores.n_participants,
                "stimuli": scores.n_stimuli,
            },
            "accuracy": {
                "value": scores.accuracy.value,
                "low": scores.accuracy.low,
                "high": scores.accuracy.high,
                "generalizes_to": self.generalizes_to,
            },
            "p_value": scores.chance.p_value,
            "p_value_trial": scores.chance.p_value_trial,
            "majority": {
                "overall": scores.majority.reference,
                "participant": scores.majority.participant,
                "stimulus": scores.majority.stimulus,
            },
            "chance": scores.chance.level,
            "auc": scores.segment["auc"].value if self.reliability else None,
            "calibration_error": self.reliability.error if self.reliability else None,
            "trial_accuracy": scores.trial["accuracy"],
            "baselines": self.comparisons,
            "undefined": scores.undefined,
            "leaks": self.leaks,
            "verdict": self.verdict,
            "headline": self.headline,
        }
        return dict(to_json(document))


def audit_predictions(request: AuditRequest, options: ResamplingOptions) -> AuditResult:
    """Audit a table of predictions.

    Parameters
    ----------
    request
        The files and how to read them.
    options
        Options of intervals and p-values; the sampled axes follow from the protocol.

    Raises
    ------
    InputError
        A file cannot be read, or the claimed protocol needs a column that the table lacks.
    """
    claim = {"protocol": request.claimed} if request.claimed else {}
    table = read_predictions(request.predictions, request.names, {**(request.only or {}), **claim})
    _check_table(table, request)
    splits = None
    if request.splits is not None:
        splits = read_splits(request.splits, request.names)
        _check_names(splits, table, ("participant", "session", "trial"), request)
        splits = match_splits(splits, table)
        _check_names(splits, table, ("stimulus",), request)
    folds = tested_folds(table, splits)
    _check_folds(folds, table, request)
    shared = shared_data(table, folds) if folds else None
    _check_stimuli(shared, request)
    protocol = request.claimed or (infer_protocol(shared, table) if shared else UNKNOWN)
    leaks = find_leaks(table, shared, protocol)
    if request.history is not None and (leak := epoch_leak(request.history, request.names)):
        leaks.append(leak)
    axes = SAMPLED_AXES["trial" if protocol == UNKNOWN else protocol]
    options = replace(options, axes=axes)
    baselines = {} if protocol == UNKNOWN else identity_baselines(table, folds, protocol)
    predictions = _segment_predictions(table, baselines)
    scores = score(predictions, options)
    comparisons = compare_with_baselines(table, predictions.probabilities, baselines, options)
    return AuditResult(
        path=request.predictions,
        protocol=protocol,
        scores=scores,
        leaks=tuple(leaks),
        training_known=bool(folds),
        comparisons=tuple(comparisons),
        verdict=verdict_of(protocol, leaks, comparisons, bool(folds), scores.too_few_trials),
        reliability=(
            reliability_diagram(table.truth, table.probabilities)
            if table.has_probabilities
            else None
        ),
    )


def _check_table(table: PredictionTable, request: AuditRequest) -> None:
    for column in ("session", "participant", "stimulus"):
        if column in request.claimed and not np.any(getattr(table, column) != ""):
            raise InputError(
                f"{request.predictions} has no column for the {column}: the {request.claimed} "
                "protocol cannot be checked.",
                f"Name it with --map {column}=NAME, or leave out --protocol.",
            )
    trials, first, number = np.unique(table.trial_id, return_index=True, return_inverse=True)
    for values, what in ((table.truth, "true classes"), (table.stimulus, "stimuli")):
        if np.any(mixed := values != values[first][number]):
            row = int(mixed.argmax())
            raise InputError(
                f"{request.predictions} has rows of different {what} in trial "
                f"{trials[number[row]]} (participant/trial), for example in the lines "
                f"{table.lines[first[number[row]]]} and {table.lines[row]}.",
                "All segments of a trial have the same class and stimulus. Name the column of "
                "trials with --map trial=NAME.",
            )


def _check_names(
    splits: SplitTable, table: PredictionTable, columns: Sequence[str], request: AuditRequest
) -> None:
    """Reject split tables that spell a name differently: nothing would seem shared."""
    for column in columns:
        if not (splits.has(column) and table.has(column)):
            continue
        names = getattr(table, column)
        known = {normal_name(name): str(name) for name in np.unique(names)}
        for name in np.setdiff1d(getattr(splits, column), names):
            if name and (other := known.get(normal_name(name))):
                raise InputError(
                    f"{request.splits} names a {column} {str(name)!r}, {request.predictions} "
                    f"names {other!r}.",
                    f"The column {column} must have the same names in both files.",
                )


def _check_folds(folds: list[TestedFold], table: PredictionTable, request: AuditRequest) -> None:
    without = [str(table.fold[f.rows[0]]) for f in folds if not len(f.training_rows)]
    if without:
        raise InputError(
            f"{request.splits} has no training set for {shorten(without)} in the column fold of "
            f"{request.predictions}.",
            "The values of the columns fold (and seed) must be the same in both files.",
        )


def _check_stimuli(shared: SharedData | None, request: AuditRequest) -> None:
    if shared is not None and "stimulus" in request.claimed and not shared.stimuli_known:
        raise InputError(
            f"{request.splits} has training trials without a stimulus: the {request.claimed} "
            "protocol cannot be checked.",
            "Add a column stimulus to the split table.",
        )


def _segment_predictions(
    table: PredictionTable, baselines: Mapping[str, np.ndarray]
) -> SegmentPredictions:
    fold = np.array([f"{s}/{f}" for s, f in zip(table.seed, table.fold, strict=True)])
    return SegmentPredictions(
        truth=table.truth,
        probabilities=_consistent(table),
        participant=table.participant,
        trial_id=table.trial_id,
        class_names=table.class_names,
        majority_class=baselines.get(OVERALL),
        participant_majority_class=baselines.get(IDENTITIES["participant"]),
        stimulus_majority_class=baselines.get(IDENTITIES["stimulus"]),
        stimulus=table.stimulus if np.any(table.stimulus != "") else None,
        session=table.session_id,
        fold=fold,
        repeat=table.seed,
    )


def _consistent(table: PredictionTable) -> np.ndarray:
    """Probabilities whose most likely class is the predicted one, as the table states both.

    Rounded probabilities can be tied, so the predicted class is raised to the highest probability
    if it is as high except for rounding.
    """
    probabilities = table.probabilities.copy()
    rows = np.flatnonzero(probabilities.argmax(axis=1) != table.predicted)
    predicted, highest = table.predicted[rows], probabilities[rows].max(axis=1)
    contradictory = probabilities[rows, predicted] < highest - _ROUNDING
    if not contradictory.any():
        probabilities[rows, predicted] = highest + 1e-9
        return probabilities
    raise InputError(
        f"{int(contradictory.sum())} rows predict another class than the one with the highest "
        "probability.",
        "Leave the column of the predicted class out with --map predicted=, or correct it.",
    )
