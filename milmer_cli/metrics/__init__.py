"""Numbers about predictions, with what is needed to believe them. numpy and scipy only.

- `values`      one number each, over any resamples: accuracy, F1, kappa, AUC, Brier, calibration
- `resampling`  intervals over trials, clips or participants; chance by permutation and binomial
- `scores`      `Scores`, the one result type, and `headline`, its one line
- `scoring`     `score`: predictions -> `Scores`
- `comparison`  one model against another over folds, corrected for what folds share
- `calibration` reliability, and the temperature that mends it
"""

from milmer_cli.metrics.scores import (
    METRICS,
    Chance,
    ClassScores,
    Estimate,
    ParticipantScores,
    Scores,
    Unit,
    format_p,
    headline,
)
from milmer_cli.metrics.scoring import resampled_unit, score

__all__ = [
    "METRICS",
    "Chance",
    "ClassScores",
    "Estimate",
    "ParticipantScores",
    "Scores",
    "Unit",
    "format_p",
    "headline",
    "resampled_unit",
    "score",
]
