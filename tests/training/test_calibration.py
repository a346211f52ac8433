"""Temperature scaling: stored in the model, and without influence on the predicted class."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import softmax

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.metrics.calibration import negative_log_likelihood
from milmer_cli.models import MilmerConfig, MilmerModel
from milmer_cli.training.calibration import (
    MIN_TEMPERATURE,
    calibrate,
    calibration_facts,
    segment_temperatures,
    undo_calibration,
)


def small_model():
    torch.manual_seed(0)
    return MilmerModel(
        MilmerConfig(
            n_channels=4, n_samples=64, modalities="eeg", hidden_size=24, dim_feedforward=32
        )
    ).eval()


def compute_logits(model, eeg):
    with torch.inference_mode():
        return model(eeg=eeg).logits.double().numpy()


def labeled_segments(labels, eeg_found=None, faces_found=None):
    n = len(labels)
    segments = SimpleNamespace(
        eeg_found=np.ones(n, bool) if eeg_found is None else eeg_found,
        faces_found=np.zeros(n, int) if faces_found is None else faces_found,
    )
    return LabeledSegments(None, segments, labels, ())


def test_calibrate_lowers_the_confidence_and_keeps_the_predicted_classes(tmp_path):
    model = small_model()
    with torch.no_grad():
        model.classifier.weight *= 20
    eeg = torch.randn(200, 4, 64)
    before = compute_logits(model, eeg)
    labels = np.where(np.arange(200) % 2, before.argmax(axis=1), (before.argmax(axis=1) + 1) % 4)
    rows = np.arange(200)
    temperatures = calibrate(
        model, labeled_segments(labels), rows, lambda rows, _: softmax(before[rows], axis=1)
    )
    after = compute_logits(model, eeg)
    assert temperatures.keys() == {"eeg"}
    assert temperatures["eeg"] > 1.5
    np.testing.assert_allclose(after, before / temperatures["eeg"], rtol=1e-4, atol=1e-5)
    assert negative_log_likelihood(labels, after) < negative_log_likelihood(labels, before)
    model.save_pretrained(tmp_path)
    again = MilmerModel.from_pretrained(tmp_path).eval()
    assert again.config.temperatures["eeg"] == temperatures["eeg"]
    np.testing.assert_array_equal(compute_logits(again, eeg), after)
    each = segment_temperatures(temperatures, labeled_segments(labels), rows)
    facts = calibration_facts(labels, softmax(after, axis=1), temperatures, each)
    assert facts["calibrated"]["error"] < facts["as_trained"]["error"]
    undone = undo_calibration(softmax(after, axis=1), each)
    np.testing.assert_allclose(undone, softmax(before, axis=1), atol=1e-4)


def test_calibrate_never_increases_the_confidence():
    model = small_model()
    before = compute_logits(model, torch.randn(6, 4, 64))
    labeled = labeled_segments(before.argmax(axis=1))
    found = calibrate(model, labeled, np.arange(6), lambda rows, _: softmax(before[rows], axis=1))
    assert found == {"eeg": MIN_TEMPERATURE} == {"eeg": 1.0}


def test_calibrate_changes_nothing_without_a_validation_set():
    model = small_model()
    empty = labeled_segments(np.zeros(0, int))
    assert calibrate(model, empty, np.arange(0), lambda rows, _: np.zeros((0, 4))) == {"eeg": 1.0}
    assert set(model.config.temperatures.values()) == {1.0}


def test_calibrate_fits_one_temperature_per_set_of_modalities():
    """Predictions of a model that is right with both modalities and overconfident with one."""
    random = np.random.default_rng(0)
    n = 300
    labels = random.integers(0, 4, n)
    model = SimpleNamespace(config=SimpleNamespace(modalities="both", temperatures={}))
    labeled = labeled_segments(labels, np.arange(n) % 3 != 0, np.arange(n) % 3)

    def predict(rows, modalities):
        share = {"both": 1.0, "eeg": 0.5, "face": 0.3}[modalities]
        answer = np.where(random.random(len(rows)) < share, labels[rows], 3 - labels[rows])
        return softmax(4.0 * np.eye(4)[answer], axis=1)

    found = calibrate(model, labeled, np.arange(n), predict)
    assert found["both"] == 1.0
    assert 1.5 < found["eeg"] < found["face"]
    assert model.config.temperatures == found
    each = segment_temperatures(found, labeled, np.arange(n))
    assert each[0] == 1.0  # neither EEG nor faces
    assert set(each[1::3]) == set(each[2::3]) == {found["both"]}
    eeg_only = labeled_segments(labels, np.ones(n, bool), np.zeros(n, int))
    assert set(segment_temperatures(found, eeg_only, np.arange(n))) == {found["eeg"]}


@pytest.mark.parametrize(
    ("eeg_found", "faces_found", "temperature"),
    [(True, True, 2.0), (True, False, 3.0), (False, True, 5.0)],
)
def test_model_divides_the_logits_by_the_temperature_of_the_modalities(
    eeg_found, faces_found, temperature
):
    torch.manual_seed(0)
    config = MilmerConfig(
        n_channels=4, n_samples=64, num_instances=3, hidden_size=24, tokens_per_face=2,
        dim_feedforward=32, num_heads=4,
    )  # fmt: skip
    model = MilmerModel(config).eval()
    inputs = {
        "eeg": torch.randn(2, 4, 64),
        "face_tokens": torch.randn(2, 3, 2, 24),
        "eeg_found": torch.tensor([eeg_found, True]),
        "faces_found": torch.tensor([[faces_found] * 3, [True] * 3]),
    }
    with torch.inference_mode():
        before = model(**inputs).logits
        model.config.temperatures = {"both": 2.0, "eeg": 3.0, "face": 5.0}
        after = model(**inputs).logits
    expected = before / torch.tensor([[temperature], [2.0]])
    torch.testing.assert_close(after, expected)
