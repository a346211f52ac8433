"""Comparison of the predictions of a manifest with its ratings."""

from __future__ import annotations

from dataclasses import dataclass


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
        if the model does not record its files.
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
                f"{text} The model does not record which files it was trained on: if these "
                "recordings are among them, this is not the accuracy for new recordings."
            )
        if self.trained_on:
            return (
                f"{text} {self.trained_on} of the {self.n} are in the training or validation set "
                "of the model, so this is not the accuracy for new recordings; `milmer evaluate` "
                "estimates that."
            )
        return text
