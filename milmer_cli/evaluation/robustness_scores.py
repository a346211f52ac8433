"""Scores of the predictions with missing modalities, deleted faces and removed electrodes."""

from __future__ import annotations

import numpy as np

from milmer_cli.evaluation.fold_predictions import FoldPredictions
from milmer_cli.evaluation.missing_electrodes import INTERPOLATED, MASKED, missing_levels
from milmer_cli.evaluation.robustness import (
    COMPLETE,
    CONDITIONS,
    DELETED_SHARES,
    RANDOM_DELETED,
    SELECTED_DELETED,
)
from milmer_cli.evaluation.robustness_curves import (
    AccuracyRange,
    DeletionCurve,
    ElectrodeCurve,
    average_over_shares,
)
from milmer_cli.inference.scoring import TestedSegments
from milmer_cli.metrics import Scores
from milmer_cli.metrics.resampling import ResamplingOptions
from milmer_cli.metrics.significance import compare_models
from milmer_cli.settings import Settings


def score_missing_modality(
    main: FoldPredictions, tested: TestedSegments, settings: Settings
) -> dict[str, Scores]:
    """Score the conditions on the segments with all modalities, so that they are comparable."""
    complete = main.robustness(COMPLETE)
    if complete is None or not complete.any():
        return {}
    conditions = {name: main.robustness(name) for name in CONDITIONS}
    return {
        name: tested.at(complete).score(probabilities[complete], settings)
        for name, probabilities in conditions.items()
        if probabilities is not None
    }


def deletion_curve(
    main: FoldPredictions, tested: TestedSegments, options: ResamplingOptions
) -> DeletionCurve | None:
    """Compare the deletion of the selected faces with random deletion; None without faces."""
    selected, random, complete = (
        main.robustness(name) for name in (SELECTED_DELETED, RANDOM_DELETED, COMPLETE)
    )
    if selected is None or random is None or complete is None or not complete.any():
        return None
    truth = tested.truth[complete]
    correct = random[complete] == truth[:, None, None]
    selected_correct = selected[complete] == truth[:, None]
    by_order = correct.mean(axis=0)  # (n_orders, n_shares)
    mean_correct = {
        RANDOM_DELETED: average_over_shares(correct.mean(axis=1), DELETED_SHARES),
        SELECTED_DELETED: average_over_shares(selected_correct, DELETED_SHARES),
    }
    at = tested.at(complete)
    (comparison,) = compare_models(
        {name: at.trials.mean(values[:, None])[:, 0] for name, values in mean_correct.items()},
        at.clusters.at(at.trials.first),
        RANDOM_DELETED,
        options,
    )
    return DeletionCurve(
        share=DELETED_SHARES,
        selected=selected_correct.mean(axis=0),
        random=by_order.mean(axis=0),
        random_low=by_order.min(axis=0),
        random_high=by_order.max(axis=0),
        comparison=comparison,
    )


def electrode_curve(main: FoldPredictions, tested: TestedSegments) -> ElectrodeCurve | None:
    """Compute the accuracy against the number of missing electrodes; None without EEG."""
    complete, masked = main.robustness(COMPLETE), main.robustness(MASKED)
    if complete is None or masked is None or not complete.any():
        return None
    truth = tested.truth[complete, None, None]
    store, names = tested.labeled.store, np.unique(tested.labeled.segments.participant)
    n_channels = max(len(store.participant(str(name)).channels) for name in names)
    interpolated = main.robustness(INTERPOLATED)
    return ElectrodeCurve(
        n_missing=missing_levels(n_channels),
        n_channels=n_channels,
        n_draws=masked.shape[1],
        n_segments=int(complete.sum()),
        masked=AccuracyRange.of((masked[complete] == truth).mean(axis=0)),
        interpolated=None
        if interpolated is None
        else AccuracyRange.of((interpolated[complete] == truth).mean(axis=0)),
    )
