"""Temperature scaling, fitted on the validation set (Guo et al., 2017, arXiv:1706.04599).

A model with two modalities is more confident with both than with one, so one temperature cannot
calibrate all segments: there is one for each set of modalities that a segment can have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import softmax

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.json_files import to_json
from milmer_cli.metrics.calibration import fit_temperature, reliability_diagram
from milmer_cli.models import MilmerModel
from milmer_cli.models.eeg_network import EegNetwork
from milmer_cli.settings.schema import Modalities

MIN_TEMPERATURE = 1.0
"""Calibration only lowers confidence: a small validation set may be classified without an error by
chance, and would then increase the confidence of the model without limit."""

Predict = Callable[[np.ndarray, Modalities], np.ndarray]
"""Probabilities, (n, n_classes), of some rows with only the given modalities as input."""


def calibrate(
    model: MilmerModel | EegNetwork, labeled: LabeledSegments, rows: np.ndarray, predict: Predict
) -> dict[str, float]:
    """Fit a temperature for each set of modalities, and store them in the model.

    The predicted classes do not change. Whoever loads the model gets calibrated probabilities.

    Parameters
    ----------
    model
        ``config.temperatures`` is set.
    labeled
        The segments and their labels.
    rows
        Rows of the validation set: never of the test set.
    predict
        Predicts some rows with the uncalibrated model.

    Returns
    -------
    dict
        Set of modalities (``both``, ``eeg``, ``face``) -> temperature; 1 if the validation set has
        no segment with these modalities. Only sets that the model can receive are included.
    """
    model.config.temperatures = {"both": 1.0, "eeg": 1.0, "face": 1.0}
    own: Modalities = model.config.modalities
    sets: tuple[Modalities, ...] = ("both", "eeg", "face") if own == "both" else (own,)
    found: dict[str, float] = {}
    for modalities in sets:
        kept = rows[_has(labeled, rows, modalities)]
        found[modalities] = MIN_TEMPERATURE
        if len(kept):
            logits = _logits(predict(kept, modalities))
            fitted = fit_temperature(labeled.labels[kept], logits)
            found[modalities] = max(MIN_TEMPERATURE, fitted)
    model.config.temperatures = {**model.config.temperatures, **found}
    return found


def segment_temperatures(
    temperatures: Mapping[str, float], labeled: LabeledSegments, rows: np.ndarray
) -> np.ndarray:
    """Return the temperature that each segment was divided by, (n,), by the data that it has."""
    if len(temperatures) == 1:
        return np.full(len(rows), next(iter(temperatures.values())))
    values = np.ones(len(rows))
    for modalities in ("eeg", "face", "both"):  # a segment with both has its own temperature
        values[_has(labeled, rows, modalities)] = temperatures[modalities]
    return values


def undo_calibration(probabilities: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Return the probabilities before calibration; ``temperature`` is (n,)."""
    probabilities = softmax(_logits(probabilities) * temperature[:, None], axis=1)
    return np.asarray(probabilities)


def calibration_facts(
    labels: np.ndarray,
    probabilities: np.ndarray,
    temperatures: Mapping[str, float],
    temperature: np.ndarray,
) -> dict[str, Any]:
    """Compute the reliability before and after calibration, as JSON values.

    Parameters
    ----------
    labels
        (n,) int, of the test set.
    probabilities
        (n, n_classes), of the test set, from the calibrated model.
    temperatures
        Temperatures of `calibrate`.
    temperature
        (n,) temperature of each segment; see `segment_temperatures`.
    """
    facts: dict[str, Any] = {"temperatures": dict(temperatures)}
    if not len(labels):
        return facts
    return facts | {
        "as_trained": to_json(
            reliability_diagram(labels, undo_calibration(probabilities, temperature))
        ),
        "calibrated": to_json(reliability_diagram(labels, probabilities)),
    }


def _has(labeled: LabeledSegments, rows: np.ndarray, modalities: Modalities) -> np.ndarray:
    """Whether each segment has all of the given modalities, (n,) bool."""
    eeg, face = labeled.segments.eeg_found[rows], labeled.segments.faces_found[rows] > 0
    return {"both": eeg & face, "eeg": eeg, "face": face}[modalities]


def _logits(probabilities: np.ndarray) -> np.ndarray:
    """Logits of probabilities, up to a constant per row, which cancels in softmax."""
    return np.log(np.clip(probabilities, np.finfo(np.float64).tiny, None))
