"""Comparison of the predictions of a manifest with its ratings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from milmer_cli.prediction.batch import SummaryRow

_TRAINED_ON = {"training", "validation"}


@dataclass(frozen=True)
class RatingComparison:
    """Agreement of predictions with the classes that the ratings of a manifest give.

    Attributes
    ----------
    n
        Number of recordings with a rating and a prediction.
    correct
        Number of them whose predicted class is that of the rating.
    majority_class, majority
        Most frequent class of these ratings, and its number.
    abstained
        Number of further recordings with a rating whose prediction is an abstention.
    trained_on
        Number of the ``n`` recordings that are in the training or validation set of the model; None
        if the run does not record its files.
    """

    n: int
    correct: int
    majority_class: str
    majority: int
    abstained: int
    trained_on: int | None

    @property
    def accuracy(self) -> float:
        """Share of the recordings whose predicted class is that of the rating."""
        return self.correct / self.n

    @property
    def majority_rate(self) -> float:
        """Accuracy of predicting the most frequent class of these ratings for all of them."""
        return self.majority / self.n

    @property
    def sentences(self) -> str:
        """The result, what it is compared with, and what it does not show."""
        text = (
            f"{self.accuracy:.1%} of {self.n} rated recordings have the class of their "
            f"rating. Predicting the most frequent class of these ratings, {self.majority_class}, "
            f"for all of them would give {self.majority_rate:.1%}."
        )
        if self.abstained:
            text += f" Not counted: {self.abstained} with an abstention."
        if self.trained_on is None:
            return (
                f"{text} The run does not record which files it was trained on: if these "
                "recordings are among them, this is not the accuracy for new recordings."
            )
        if self.trained_on:
            return (
                f"{text} {self.trained_on} of the {self.n} are in the training or validation set "
                "of the model, so this is not the accuracy for new recordings; `milmer evaluate` "
                "estimates that."
            )
        return text


def compare_with_ratings(
    rows: Mapping[str, SummaryRow], rated: Mapping[str, str]
) -> RatingComparison | None:
    """Compare predictions with ratings.

    Parameters
    ----------
    rows
        Name of a recording -> its prediction.
    rated
        Name of a recording -> the class of its rating, for those that have one.

    Returns
    -------
    RatingComparison or None
        None if no recording has both.
    """
    pairs = {name: row for name, row in rows.items() if name in rated and not row.error}
    predicted = {name: row for name, row in pairs.items() if row.label}
    if not predicted:
        return None
    counts = Counter(rated[name] for name in predicted)
    majority_class, majority = counts.most_common(1)[0]
    sets = [row.sets for row in predicted.values()]
    known = [own for own in sets if own is not None]
    return RatingComparison(
        n=len(predicted),
        correct=sum(row.label == rated[name] for name, row in predicted.items()),
        majority_class=majority_class,
        majority=majority,
        abstained=len(pairs) - len(predicted),
        trained_on=sum(bool(_TRAINED_ON & set(own)) for own in known) if known else None,
    )
