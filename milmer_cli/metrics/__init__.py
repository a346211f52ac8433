"""Metrics of predictions, their uncertainty, and comparisons. Uses only NumPy and SciPy.

Modules in data-flow order:

- `classification`: accuracy, F1, kappa, AUC, Brier score
- `calibration`: reliability diagram, expected calibration error, temperature scaling
- `trials`: mean probability of the segments of each trial
- `resampling`: what each protocol samples, and what its result generalizes to
- `intervals`: standard errors clustered by participant, stimulus or both
- `coverage_curve`: accuracy of the most confident predictions (risk-coverage curve)
- `permutation`: permutation test of accuracy against chance
- `results`: `Scores`, the result of scoring predictions, and its one-line `headline`
- `score`: `score`, which computes `Scores` from `SegmentPredictions`
- `significance`: paired comparisons of models, Holm's correction, equivalence
- `shortcuts`: baselines that know only identities, and the shortcut verdict

To add a metric: compute it in `classification`, add its name to `results.METRICS`, its value to
`score` and to `intervals.bootstrap_scores`, and its label to `milmer_cli.reports.text`.
"""

from milmer_cli.metrics.resampling import GENERALIZES_TO, SAMPLED_AXES, ResamplingOptions
from milmer_cli.metrics.results import (
    METRICS,
    Chance,
    ClassScores,
    Estimate,
    MajorityRates,
    ParticipantScores,
    Scores,
    format_p,
    headline,
)
from milmer_cli.metrics.score import SegmentPredictions, score

__all__ = [
    "GENERALIZES_TO",
    "METRICS",
    "SAMPLED_AXES",
    "Chance",
    "ClassScores",
    "Estimate",
    "MajorityRates",
    "ParticipantScores",
    "ResamplingOptions",
    "Scores",
    "SegmentPredictions",
    "format_p",
    "headline",
    "score",
]
