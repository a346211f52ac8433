"""Classifiers of features: scikit-learn pipelines, fitted on training rows only."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from milmer_cli.errors import MilmerError

CALIBRATION_FOLDS = 3
"""Folds over groups of training rows that calibrate a classifier without probabilities."""
Splits = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class FittedClassifier:
    """A classifier after fitting.

    Attributes
    ----------
    pipeline
        The fitted pipeline.
    frequencies
        (n_classes,) class frequencies of the training rows, for rows without features.
    """

    pipeline: Pipeline
    frequencies: np.ndarray

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the probabilities of rows, (n, n_classes) float64.

        Rows with NaN get the class frequencies of the training rows.
        """
        probabilities = np.tile(self.frequencies, (len(features), 1))
        complete = complete_rows(features)
        if complete.any():
            probabilities[complete] = 0.0
            columns = np.ix_(complete, self.pipeline.classes_)
            probabilities[columns] = self.pipeline.predict_proba(features[complete])
        return probabilities

    @property
    def arrays(self) -> list[np.ndarray]:
        """All fitted arrays."""
        return [self.frequencies, *_fitted_arrays(self.pipeline)]


def fit_classifier(
    name: str, features: np.ndarray, targets: np.ndarray, groups: np.ndarray, n_classes: int
) -> FittedClassifier:
    """Fit a classifier; features are standardized with the mean and deviation of the same rows.

    Parameters
    ----------
    name
        A key of `CLASSIFIERS`.
    features
        (n_train, ...) features of the training rows; rows with NaN are ignored.
    targets
        (n_train,) classes from 0.
    groups
        (n_train,) rows of one group stay together where a classifier is calibrated.
    n_classes
        Number of classes.

    Raises
    ------
    MilmerError
        The training rows with features contain fewer than two classes, or there are no features.
    """
    complete = complete_rows(features)
    features, targets, groups = features[complete], targets[complete], groups[complete]
    frequencies = np.bincount(targets, minlength=n_classes) / max(len(targets), 1)
    if np.count_nonzero(frequencies) < 2:
        raise MilmerError(
            f"{name}: expected at least 2 classes in the training set, got "
            f"{np.count_nonzero(frequencies)} in its {len(targets)} segments with features.",
            "Use fewer folds, or --baselines none.",
        )
    if not features.shape[1]:
        raise MilmerError(
            f"{name}: expected features, got none: no frequency band is within the passband.",
            "Prepare with a wider passband, or leave this baseline out of --baselines.",
        )
    pipeline = CLASSIFIERS[name](targets, groups)
    with warnings.catch_warnings():
        # such a class has the covariance of the other classes
        warnings.filterwarnings("ignore", "Only one sample available")
        warnings.filterwarnings("ignore", "Convergence not reached")  # a Riemannian mean, nearly
        pipeline.fit(features, targets)
    return FittedClassifier(pipeline, frequencies)


def predict_lda(
    features: np.ndarray,
    targets: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    n_classes: int,
) -> np.ndarray:
    """Fit LDA on the training rows of a table and predict its test rows, (n_test, n_classes).

    Parameters
    ----------
    features, targets
        (n_segments, n_features) and (n_segments,); see `fit_classifier`.
    train, test
        (n_train,) and (n_test,) rows.
    n_classes
        Number of classes.
    """
    fitted = fit_classifier("LDA", features[train], targets[train], train, n_classes)
    return fitted.predict(features[test])


def complete_rows(features: np.ndarray) -> np.ndarray:
    """Return which rows have no NaN or infinite feature, (n,) bool."""
    return np.asarray(np.isfinite(features).all(axis=tuple(range(1, features.ndim))))


def calibration_splits(targets: np.ndarray, groups: np.ndarray) -> Splits:
    """Split training rows by groups, so that every class is in each training part.

    If no class can be split so, a single split trains and tests on all rows.

    Parameters
    ----------
    targets, groups
        (n,) class and group of each row.
    """
    classes = np.unique(targets)
    for n_folds in range(CALIBRATION_FOLDS, 1, -1):
        if min(len(np.unique(groups[targets == label])) for label in classes) < n_folds:
            continue
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class")
            splits = list(StratifiedGroupKFold(n_folds).split(targets, targets, groups))
        if all(len(np.unique(targets[train])) == len(classes) for train, _ in splits):
            return splits
    everything = np.arange(len(targets))
    return [(everything, everything)]


def _lda(targets: np.ndarray, groups: np.ndarray) -> Pipeline:
    classifier = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    return make_pipeline(StandardScaler(), classifier)


def _svm(targets: np.ndarray, groups: np.ndarray) -> Pipeline:
    """Calibrate by Platt scaling on groups that the SVM was not fitted on."""
    inner = make_pipeline(StandardScaler(), SVC(kernel="rbf"))
    splits = calibration_splits(targets, groups)
    return make_pipeline(CalibratedClassifierCV(inner, cv=splits, ensemble=False))


def _logistic_regression(targets: np.ndarray, groups: np.ndarray) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))


def _tangent_space(targets: np.ndarray, groups: np.ndarray) -> Pipeline:
    from pyriemann.tangentspace import TangentSpace  # here: an optional dependency

    pipeline = _logistic_regression(targets, groups)
    return make_pipeline(TangentSpace(metric="riemann"), *(step for _, step in pipeline.steps))


CLASSIFIERS: Mapping[str, Callable[[np.ndarray, np.ndarray], Pipeline]] = {
    "LDA": _lda,
    "SVM": _svm,
    "logistic regression": _logistic_regression,
    "tangent space + logistic regression": _tangent_space,
}
"""Functions of the targets and groups of the training rows that build an unfitted pipeline."""


def _fitted_arrays(value: Any) -> Iterator[np.ndarray]:
    """Yield the numbers in the fitted attributes of an estimator, in a fixed order."""
    if isinstance(value, np.ndarray | np.floating) and value.dtype.kind in "fiu":
        yield np.asarray(value)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _fitted_arrays(item)
    elif isinstance(value, Pipeline):
        yield from _fitted_arrays([step for _, step in value.steps])
    elif isinstance(value, BaseEstimator):  # fitted attributes end in an underscore
        yield from _fitted_arrays(
            [v for name, v in sorted(vars(value).items()) if name.strip("_") + "_" == name]
        )
    elif type(value).__module__ == "sklearn.calibration":  # one calibrated classifier
        yield from _fitted_arrays([v for _, v in sorted(vars(value).items())])
