"""How far a trained model's confidence can be believed: fitted on validation, told on test."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from milmer_cli.metrics.calibration import apply_temperature, fit_temperature, reliability
from milmer_cli.model import MilmerModel

COLDEST = 1.0
"""Confidence is only ever lowered: the few trials of a validation part may all come out right by
luck, and would make a model certain."""


def calibrate(model: MilmerModel, truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Fit a temperature and divide the classifier by it, so that all who load the model have it.

    No answer changes, only how sure it is.

    Parameters
    ----------
    model
        Changed in place; its config keeps the number as ``calibration_temperature``.
    truth, probabilities
        (n,) classes and (n, n_classes) of the validation part: never of the test part.

    Returns
    -------
    float
        The temperature; 1 where there is nothing to fit it on.
    """
    temperature = 1.0
    if len(truth):
        temperature = max(COLDEST, fit_temperature(truth, _logits(probabilities)))
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter.div_(temperature)
    model.config.calibration_temperature = temperature
    return temperature


def calibration_facts(
    truth: np.ndarray, probabilities: np.ndarray, temperature: float
) -> dict[str, Any]:
    """Tell the reliability of calibrated probabilities, and of those before, as plain values.

    Parameters
    ----------
    truth, probabilities
        (n,) and (n, n_classes) of the test part, from the calibrated model.
    temperature
        What `calibrate` returned.
    """
    if not len(truth):
        return {"temperature": temperature}
    before = apply_temperature(_logits(probabilities), 1 / temperature)
    return {
        "temperature": temperature,
        "as_trained": reliability(truth, before).to_json(),
        "calibrated": reliability(truth, probabilities).to_json(),
    }


def _logits(probabilities: np.ndarray) -> np.ndarray:
    """Logits up to a constant a row, which changes nothing."""
    return np.log(np.clip(probabilities, np.finfo(np.float64).tiny, None))
