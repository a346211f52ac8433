"""Late fusion: combine the probabilities of a model of the EEG and one of the faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import softmax

from milmer_cli.evaluation.classifiers import FittedClassifier, fit_classifier

MIN_PROBABILITY = 1e-6
"""Smallest probability of which a logarithm is taken: one model alone cannot rule out a class."""

Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Combines the probabilities of two models, each (n, n_classes)."""


def mean(eeg: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Return the mean of the probabilities."""
    return (eeg + face) / 2


def log_mean(eeg: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Return the geometric mean of the probabilities, normalized."""
    return np.asarray(softmax((_log(eeg) + _log(face)) / 2, axis=1))


RULES: Mapping[str, Rule] = {"mean": mean, "log-mean": log_mean}
"""Rules without parameters; `fit_stacking` fits another one."""


def fit_stacking(
    eeg: np.ndarray, face: np.ndarray, labels: np.ndarray, n_classes: int
) -> FittedClassifier:
    """Fit multinomial logistic regression on the log-probabilities of both models.

    Parameters
    ----------
    eeg, face
        (n, n_classes) calibrated probabilities of segments with both modalities, which neither
        model was trained on: of the validation set.
    labels
        (n,) classes.
    n_classes
        Number of classes.

    Raises
    ------
    MilmerError
        There are fewer than two classes.
    """
    groups = np.arange(len(labels))
    return fit_classifier("logistic regression", _stacked(eeg, face), labels, groups, n_classes)


def stacking(fitted: FittedClassifier) -> Rule:
    """Return the rule of a fitted stacking."""
    return lambda eeg, face: fitted.predict(_stacked(eeg, face))


def combine(
    rule: Rule, eeg: np.ndarray, face: np.ndarray, has_eeg: np.ndarray, has_faces: np.ndarray
) -> np.ndarray:
    """Combine the probabilities of some segments, (n, n_classes).

    Parameters
    ----------
    rule
        Combines segments with both modalities; others get the probabilities of their modality.
    eeg, face
        (n, n_classes) probabilities of the model of each modality.
    has_eeg, has_faces
        (n,) bool, which modalities each segment has.
    """
    combined = np.where(has_eeg[:, None], eeg, face)
    both = has_eeg & has_faces
    if both.any():
        combined[both] = rule(eeg[both], face[both])
    return combined


def _stacked(eeg: np.ndarray, face: np.ndarray) -> np.ndarray:
    return np.hstack([_log(eeg), _log(face)])


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, MIN_PROBABILITY))
