"""Score a model's predictions of `LabeledSegments`: the one call behind train and evaluate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.splits import Fold
from milmer_cli.data.stratified_groups import group_names, has_several_sessions
from milmer_cli.metrics import SAMPLED_AXES, ResamplingOptions, Scores, SegmentPredictions, score
from milmer_cli.metrics.intervals import Clusters
from milmer_cli.metrics.shortcuts import (
    IDENTITIES,
    OVERALL,
    identity_predictions,
    shared_identities,
)
from milmer_cli.metrics.trials import Trials
from milmer_cli.settings import Settings
from milmer_cli.settings.schema import Protocol


@dataclass(frozen=True, eq=False)
class TestedSegments:
    """The segments that the folds of one protocol test, one fold after the other.

    Attributes
    ----------
    labeled
        All segments and their labels.
    protocol
        What the training and test sets of the folds do not share.
    rows
        (n,) rows of the table of segments.
    fold, seed
        (n,) number of the fold (unique over seeds) and its seed.
    baselines
        Name -> (n,) class that is predicted from identities alone (see `metrics.shortcuts`).
    """

    __test__ = False  # not a test, whatever pytest makes of the name

    labeled: LabeledSegments
    protocol: Protocol
    rows: np.ndarray
    fold: np.ndarray
    seed: np.ndarray
    baselines: Mapping[str, np.ndarray]

    @classmethod
    def of(
        cls,
        labeled: LabeledSegments,
        protocol: Protocol,
        folds: Sequence[Fold],
        seeds: Sequence[int],
    ) -> TestedSegments:
        """Collect the test sets of some folds, each with the seed of its training."""
        segments = labeled.segments
        columns = {
            "trial": segments.trial_id,
            "session": segments.session_id,
            "participant": segments.participant,
            "stimulus": segments.stimulus,
        }
        several = has_several_sessions(segments, np.arange(len(segments)))
        known = {
            name: np.unique(columns[name], return_inverse=True)[1]
            for name in shared_identities(protocol, bool(several.any()))
        }
        sets = [(fold.train, fold.test) for fold in folds]
        sizes = [len(fold.test) for fold in folds]
        return cls(
            labeled=labeled,
            protocol=protocol,
            rows=np.concatenate([fold.test for fold in folds]),
            fold=np.repeat(np.arange(len(folds)), sizes),
            seed=np.repeat(list(seeds), sizes),
            baselines=identity_predictions(labeled.labels, known, sets, len(labeled.class_names)),
        )

    @property
    def truth(self) -> np.ndarray:
        """(n,) true classes."""
        return self.labeled.labels[self.rows]

    @property
    def clusters(self) -> Clusters:
        """Clusters along the axes that the protocol samples; stimuli if it samples none."""
        segments = self.labeled.segments
        axes = SAMPLED_AXES[self.protocol] or ("stimulus",)
        names: tuple[str, ...] = ("participant", *axes)
        columns = {name: group_names(segments, name)[self.rows] for name in names}
        return Clusters.along(axes, columns)

    @property
    def trials(self) -> Trials:
        """The trials of the tested segments, separately for each seed."""
        return Trials.of(self.labeled.segments.trial_id[self.rows], self.seed)

    def at(self, mask: np.ndarray) -> TestedSegments:
        """Return some of the tested segments."""
        baselines = {name: classes[mask] for name, classes in self.baselines.items()}
        return TestedSegments(
            self.labeled,
            self.protocol,
            self.rows[mask],
            self.fold[mask],
            self.seed[mask],
            baselines,
        )

    def score_by_condition(
        self, probabilities: np.ndarray, settings: Settings
    ) -> dict[str, Scores]:
        """Score the predictions of each experimental condition; empty without several of them.

        Parameters
        ----------
        probabilities, settings
            As in `score`.
        """
        condition = self.labeled.segments.condition[self.rows]
        names = np.unique(condition[condition != ""]).tolist()
        if len(names) < 2:
            return {}
        masks = {name: condition == name for name in names}
        return {
            name: self.at(mask).score(probabilities[mask], settings) for name, mask in masks.items()
        }

    def score(self, probabilities: np.ndarray, settings: Settings) -> Scores:
        """Score predictions, (n, n_classes), of the tested segments.

        Parameters
        ----------
        probabilities
            (n, n_classes).
        settings
            ``evaluate`` and ``seed`` determine the intervals and p-values.

        Raises
        ------
        MilmerError
            See `milmer_cli.metrics.score`.
        """
        segments = self.labeled.segments
        predictions = SegmentPredictions(
            truth=self.truth,
            probabilities=probabilities,
            participant=segments.participant[self.rows],
            trial_id=segments.trial_id[self.rows],
            class_names=self.labeled.class_names,
            majority_class=self.baselines[OVERALL],
            participant_majority_class=self.baselines.get(IDENTITIES["participant"]),
            stimulus_majority_class=self.baselines.get(IDENTITIES["stimulus"]),
            stimulus=segments.stimulus[self.rows],
            session=segments.session_id[self.rows],
            fold=self.fold,
            repeat=self.seed,
        )
        return score(predictions, ResamplingOptions.from_settings(settings, self.protocol))
