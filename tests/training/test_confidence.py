"""Calibration: fitted on validation, kept in the model, never a reason for another answer."""

from __future__ import annotations

import numpy as np
import torch

from milmer_cli.metrics.calibration import negative_log_likelihood
from milmer_cli.model import MilmerConfig, MilmerModel
from milmer_cli.training.confidence import COLDEST, calibrate, calibration_facts
from milmer_cli.training.predictions import softmax


def small():
    torch.manual_seed(0)
    return MilmerModel(
        MilmerConfig(n_channels=4, n_samples=64, modalities="eeg", width=24, feedforward=32)
    ).eval()


def logits_of(model, eeg):
    with torch.inference_mode():
        return model(eeg=eeg).logits.double().numpy()


def test_an_overconfident_model_is_calmed_and_keeps_its_answers(tmp_path):
    model = small()
    with torch.no_grad():
        model.classifier.weight *= 20
    eeg = torch.randn(200, 4, 64)
    before = logits_of(model, eeg)
    truth = np.where(np.arange(200) % 2, before.argmax(axis=1), (before.argmax(axis=1) + 1) % 4)
    temperature = calibrate(model, truth, softmax(before))
    after = logits_of(model, eeg)
    assert temperature > 1.5
    np.testing.assert_allclose(after, before / temperature, rtol=1e-4, atol=1e-5)
    assert negative_log_likelihood(truth, after) < negative_log_likelihood(truth, before)
    model.save_pretrained(tmp_path)
    again = MilmerModel.from_pretrained(tmp_path).eval()
    assert again.config.calibration_temperature == temperature
    np.testing.assert_array_equal(logits_of(again, eeg), after)
    facts = calibration_facts(truth, softmax(after), temperature)
    assert facts["calibrated"]["error"] < facts["as_trained"]["error"]


def test_luck_on_a_few_segments_makes_no_model_certain():
    model = small()
    eeg = torch.randn(6, 4, 64)
    before = logits_of(model, eeg)
    assert calibrate(model, before.argmax(axis=1), softmax(before)) == COLDEST == 1.0


def test_without_validation_nothing_changes():
    model = small()
    weight = model.classifier.weight.clone()
    assert calibrate(model, np.zeros(0, int), np.zeros((0, 4))) == 1.0
    assert torch.equal(weight, model.classifier.weight)
