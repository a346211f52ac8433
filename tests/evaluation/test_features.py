"""Features of the segments of a small store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from milmer_cli.data.dataset import BagDataset
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.device import Device
from milmer_cli.evaluation.band_power import BANDS_HZ
from milmer_cli.evaluation.features import (
    EEG_FEATURES,
    FACE_TOKENS,
    FeatureInput,
    SegmentFeatures,
    compute_features,
)
from milmer_cli.training.fit_fold import new_model


@pytest.fixture(scope="module")
def inputs(prepared, small_settings, tmp_path_factory) -> FeatureInput:
    settings = small_settings()
    labeled = LabeledSegments.open(prepared, settings)
    out = tmp_path_factory.mktemp("features")
    return FeatureInput(labeled, settings, Device.from_settings(settings.run), out)


def test_compute_features_of_the_alpha_power_of_each_class(inputs):
    computed = compute_features("band power", inputs)
    segments = inputs.labeled.segments
    power = computed.values.reshape(len(segments), 4, len(BANDS_HZ))
    label = segments.stimulus % 4
    with_eeg = np.flatnonzero(segments.eeg_found)
    np.testing.assert_array_equal(power[with_eeg, :, 1].argmax(axis=1), label[with_eeg])
    # 20 uV at 10 Hz: 200 uV^2, most of it in the 5 Hz of the alpha band
    own = power[with_eeg, label[with_eeg], 1]
    np.testing.assert_allclose(10**own * 5, 200, rtol=0.35)
    assert np.isnan(power[~segments.eeg_found]).all()
    assert (~segments.eeg_found).sum() == 2
    assert computed.seconds > 0
    assert computed.seconds_alone > 0


@pytest.mark.parametrize("name", ["band power", "differential entropy", "covariance"])
def test_eeg_features_of_a_segment_depend_on_this_segment_only(name, inputs):
    with inputs.labeled.store.participant("s02") as participant:
        eeg = participant.eeg[:4].astype(np.float64)
        before = EEG_FEATURES[name](eeg, participant, inputs.settings)
        eeg[2:] = [np.full_like(eeg[2], 1e9), np.full_like(eeg[3], 1.0)]
        eeg[2, ::2] *= np.linspace(-1, 1, eeg.shape[-1])
        after = EEG_FEATURES[name](eeg, participant, inputs.settings)
    np.testing.assert_array_equal(before[:2], after[:2])
    assert not np.allclose(before[2], after[2])


@pytest.mark.parametrize("frozen", [True, False])
def test_mean_face_token_is_the_mean_over_the_found_faces(frozen, inputs):
    model = inputs.settings.model.model_copy(update={"freeze_backbone": frozen})
    settings = inputs.settings.model_copy(update={"model": model})
    labeled = inputs.labeled
    computed = compute_features(FACE_TOKENS, replace(inputs, settings=settings)).values
    with_faces = labeled.segments.faces_found > 0
    assert np.isnan(computed[~with_faces]).all()
    assert np.isfinite(computed[with_faces]).all()
    row = int(np.flatnonzero(with_faces)[5])
    bag = BagDataset(labeled, np.array([row]), "face")[0]
    network = new_model(labeled, settings, inputs.device).eval()
    tokens = network.encode_faces(bag["faces"][None], bag["faces_found"][None])[0]
    expected = tokens[bag["faces_found"]].mean(dim=(0, 1)).detach().numpy()
    # cached tokens are float16
    np.testing.assert_allclose(computed[row], expected, atol=2e-3)


def test_segment_features_compute_each_feature_once(inputs):
    features = SegmentFeatures(inputs)
    first = features.get("band power")
    other_seed = inputs.settings.model_copy(update={"seed": 7})
    assert features.get("band power", other_seed) is first
    tokens = features.get(FACE_TOKENS)
    assert features.get(FACE_TOKENS) is tokens
    # a backbone without pretrained weights depends on the seed
    changed = features.get(FACE_TOKENS, other_seed).values
    assert not np.allclose(changed, tokens.values, equal_nan=True)
