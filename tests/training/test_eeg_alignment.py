from __future__ import annotations

import numpy as np
import pytest

from helpers import write_labeled_store
from milmer_cli.data.eeg_alignment import align_eeg
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.device import Device
from milmer_cli.models import MilmerModel
from milmer_cli.models.backbones import load_weights
from milmer_cli.settings import load_settings
from milmer_cli.training.eeg_alignment import save_alignment
from milmer_cli.training.fit_fold import new_model
from milmer_cli.training.run_dir import save_model


@pytest.mark.parametrize("scope", ["inductive", "transductive"])
def test_save_alignment_keeps_the_reference_of_the_training_set(made_once, tmp_path, scope):
    settings = load_settings(
        overrides=[
            "model.backbone=scratch:micro",
            "model.modalities=eeg",
            "model.eeg_alignment=standardize",
            f"model.eeg_alignment_scope={scope}",
            "run.device=cpu",
        ]
    )
    labeled = LabeledSegments.open(made_once("labeled-store", write_labeled_store), settings)
    labeled = align_eeg(labeled, np.arange(10), settings.model)
    model = new_model(labeled, settings, Device.from_settings(settings.run))
    save_alignment(model, labeled)
    save_model(model, tmp_path / "model")
    loaded = load_weights(MilmerModel, tmp_path / "model")
    assert loaded.config.eeg_alignment_scope == scope
    if scope == "transductive":
        assert not hasattr(loaded, "eeg_reference")
        return
    reference = labeled.eeg_alignment.reference
    np.testing.assert_array_equal(loaded.eeg_reference.matrix, reference.matrix)
    np.testing.assert_array_equal(loaded.eeg_reference.offset, reference.offset)
    assert not np.array_equal(reference.matrix, np.eye(4))
