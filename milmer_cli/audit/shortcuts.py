"""Baselines that know only identities, and the verdict of an audit."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence

import numpy as np

from milmer_cli.audit.leaks import DESCRIPTIONS, Leak, TestedFold
from milmer_cli.audit.predictions import PredictionTable, class_numbers
from milmer_cli.audit.splits import SplitTable
from milmer_cli.audit.table import AuditTable
from milmer_cli.metrics import ResamplingOptions
from milmer_cli.metrics.intervals import Clusters
from milmer_cli.metrics.shortcuts import (
    explain,
    identity_predictions,
    shared_identities,
    verdict,
)
from milmer_cli.metrics.significance import Comparison, compare_models
from milmer_cli.metrics.trials import Trials

MODEL = "the model"


def identity_baselines(
    table: PredictionTable, folds: list[TestedFold], protocol: str
) -> dict[str, np.ndarray]:
    """Class that each baseline predicts for each row of the table; empty without training labels.

    Parameters
    ----------
    table
        The predictions.
    folds
        The folds. The class of a training trial is looked up in the table of predictions, where it
        may be tested in another fold, and in the column ``truth`` of the split table. Trials with
        an unknown class are left out.
    protocol
        Claimed or inferred protocol.
    """
    found: dict[str, np.ndarray] = {}
    for fold in folds:
        source, others = fold.source, fold.training_rows
        labels = _training_labels(table, source)[others]
        others, labels = others[labels >= 0], labels[labels >= 0]
        if not len(others):
            return {}
        train, test = np.arange(len(others)), len(others) + np.arange(len(fold.rows))
        columns = {
            "trial": (source.trial_id, table.trial_id),
            "session": (source.session_id, table.session_id),
            "participant": (source.participant, table.participant),
            "stimulus": (source.stimulus, table.stimulus),
        }
        known = {
            name: np.unique(
                np.concatenate([columns[name][0][others], columns[name][1][fold.rows]]),
                return_inverse=True,
            )[1]
            for name in shared_identities(protocol, table.has_several_sessions)
            if np.any(columns[name][1] != "")
        }
        hidden = np.concatenate([labels, np.zeros(len(fold.rows), np.int64)])
        predictions = identity_predictions(hidden, known, [(train, test)], len(table.class_names))
        for name, classes in predictions.items():
            found.setdefault(name, np.zeros(len(table.truth), np.int64))[fold.rows] = classes
    return found


def _training_labels(table: PredictionTable, source: AuditTable) -> np.ndarray:
    """(n,) class of each row of a table of splits or predictions; -1 if unknown."""
    known = dict(zip(table.trial_id, table.truth, strict=True))
    labels = np.array([known.get(name, -1) for name in source.trial_id])
    if isinstance(source, SplitTable):
        number = class_numbers(table.class_names)
        for row in np.flatnonzero((labels < 0) & (source.truth != "")):
            with contextlib.suppress(ValueError):
                labels[row] = number(source.truth[row])
    return labels


def compare_with_baselines(
    table: PredictionTable,
    probabilities: np.ndarray,
    baselines: Mapping[str, np.ndarray],
    options: ResamplingOptions,
) -> list[Comparison]:
    """Compare the model with each baseline of `identity_baselines`, over trials."""
    if not baselines:
        return []
    columns = {
        "participant": table.participant,
        "stimulus": table.stimulus,
        "session": table.session_id,
    }
    if not np.any(table.stimulus != ""):
        columns["stimulus"] = table.trial_id
    axes = options.axes or ("stimulus",)
    one_hot = np.eye(len(table.class_names))
    models = {MODEL: probabilities} | {name: one_hot[row] for name, row in baselines.items()}
    trials = Trials.of(table.trial_id, table.seed)
    return compare_models(
        {name: trials.correct(table.truth, values) for name, values in models.items()},
        Clusters.along(axes, {axis: names[trials.first] for axis, names in columns.items()}),
        MODEL,
        options,
    )


def verdict_of(
    protocol: str,
    leaks: Sequence[Leak],
    comparisons: Sequence[Comparison],
    training_known: bool,
    too_few_trials: str = "",
) -> str:
    """State in one sentence what can explain the accuracy; leaks come first."""
    if leaks:
        first = leaks[0]
        return (
            f"The accuracy is not that of new data: {first.count} "
            f"{DESCRIPTIONS[first.kind]} ({first.where})."
        )
    if not training_known:
        return (
            "The table does not say what the model was trained on, so neither leaks nor the "
            "identity of participants and stimuli can be excluded."
        )
    if not comparisons:
        return (
            "The true classes of the training set are unknown, so the identity of participants "
            "and stimuli cannot be excluded: add a column truth to the split table."
        )
    if too_few_trials:
        return f"No statement: {too_few_trials}."
    if all(math.isnan(found.p_value) for found in comparisons):
        return f"Too few clusters for a statement: {comparisons[0].undefined}."
    beaten = {found.second: found.better == MODEL for found in comparisons}
    return verdict([explain(protocol, beaten)])
