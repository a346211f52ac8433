"""Pretrained EEG encoders of braindecode, with random weights in their real format."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from milmer_cli.errors import SettingsError, WeightsError
from milmer_cli.models import eeg_encoder
from milmer_cli.models.eeg_encoder import load_eeg_encoder
from milmer_cli.models.eeg_network import EegShape

SHAPE = EegShape(("Fp1", "F3", "C3", "Cz", "C4", "Oz"), 256, 128.0)
SMALL = {
    "Labram": {"num_layers": 1, "num_heads": 2, "embed_dim": 200},
    "CBraMod": {"n_layer": 1, "nhead": 2, "dim_feedforward": 16},
    "BIOT": {"num_layers": 1, "num_heads": 2, "embed_dim": 16},
}


@pytest.fixture(scope="module")
def save_encoder(braindecode, made_once):
    """``save_encoder(name)``: folder of an encoder with random weights, as on the Hub."""

    def save(name: str) -> Path:
        def make(folder: Path) -> None:
            import braindecode.models

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.manual_seed(1)
                target = eeg_encoder.interpolating_class(getattr(braindecode.models, name))
                canonical = getattr(target, "_TARGET_CHS_INFO", None)
                n_chans = len(canonical) if canonical else 19
                network = getattr(braindecode.models, name)(
                    n_outputs=3, n_times=400, sfreq=200, n_chans=n_chans, **SMALL[name]
                )
                network(torch.zeros(1, n_chans, 400))  # initializes lazy modules
                network.save_pretrained(folder)

        return made_once(f"encoder-{name}", make)

    return save


def random_eeg(n=3):
    values = np.random.default_rng(0).normal(size=(n, 6, 256)) * 20
    return torch.from_numpy(values.astype(np.float32))


@pytest.mark.parametrize("name", list(SMALL))
def test_load_eeg_encoder_loads_the_weights_of_real_classes(save_encoder, name):
    folder = save_encoder(name)
    encoder = load_eeg_encoder(f"braindecode:{name}@{folder}", SHAPE)
    features = encoder(random_eeg())
    assert features.shape == (3, SMALL[name].get("embed_dim", 200))
    assert torch.isfinite(features).all()
    assert not torch.allclose(features[0], features[1])
    assert not any(p.requires_grad for p in encoder.parameters())
    again = load_eeg_encoder(f"braindecode:{name}@{folder}", SHAPE)
    assert torch.equal(again(random_eeg()), features)
    assert again.fingerprint == encoder.fingerprint


def copy_with(folder: Path, target: Path, weights=None, **config) -> Path:
    """Copy an encoder with other weights or entries of its configuration."""
    target.mkdir()
    values = json.loads((folder / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**values, **config}))
    state = weights if weights is not None else torch.load(folder / "pytorch_model.bin")
    torch.save(state, target / "pytorch_model.bin")
    return target


def test_load_eeg_encoder_ignores_the_classifier_but_requires_all_other_weights(
    save_encoder, tmp_path
):
    folder = save_encoder("CBraMod")
    state = torch.load(folder / "pytorch_model.bin")
    expected = load_eeg_encoder(f"braindecode:CBraMod@{folder}", SHAPE)(random_eeg())
    encoder = {key: value for key, value in state.items() if not key.startswith("final_layer")}
    assert len(encoder) < len(state)
    without_head = copy_with(folder, tmp_path / "head", encoder)
    loaded = load_eeg_encoder(f"braindecode:CBraMod@{without_head}", SHAPE)
    assert torch.equal(loaded(random_eeg()), expected)
    used = next(key for key in encoder if key.startswith("encoder"))
    damaged = copy_with(folder, tmp_path / "damaged", {**encoder, used: encoder[used][:1]})
    with pytest.raises(WeightsError, match=f"lack 1 of the weights of braindecode:CBraMod.*{used}"):
        load_eeg_encoder(f"braindecode:CBraMod@{damaged}", SHAPE)


def test_load_eeg_encoder_changes_features_with_weights_and_fingerprint(save_encoder, tmp_path):
    folder = save_encoder("CBraMod")
    state = torch.load(folder / "pytorch_model.bin")
    other = copy_with(folder, tmp_path / "other", {k: v * 1.5 for k, v in state.items()})
    first, second = (
        load_eeg_encoder(f"braindecode:CBraMod@{path}", SHAPE) for path in (folder, other)
    )
    assert first.fingerprint != second.fingerprint
    assert not torch.allclose(first(random_eeg()), second(random_eeg()))


def test_load_eeg_encoder_runs_no_code_that_the_configuration_names(save_encoder, tmp_path):
    folder = save_encoder("CBraMod")
    (tmp_path / "planted.py").write_text("raise AssertionError('imported')")
    for name in ("planted.Class", "os.system", "torch.nn.Module.cuda"):
        path = copy_with(folder, tmp_path / name, activation=name)
        with pytest.raises(WeightsError, match=f"names {name}: expected a class of torch.nn"):
            load_eeg_encoder(f"braindecode:CBraMod@{path}", SHAPE)
    endless = copy_with(folder, tmp_path / "endless", n_layer=10**9)
    with pytest.raises(WeightsError, match="expected numbers up to 100000, got 1000000000"):
        load_eeg_encoder(f"braindecode:CBraMod@{endless}", SHAPE)


def test_load_eeg_encoder_refuses_absent_weights_and_other_networks(braindecode, tmp_path):
    absent = "braindecode:Labram@braindecode/labram-pretrained"
    with pytest.raises(WeightsError, match="braindecode/labram-pretrained is neither a folder nor"):
        load_eeg_encoder(absent, SHAPE)
    with pytest.raises(SettingsError, match="braindecode:EEGNet is no encoder"):
        load_eeg_encoder(f"braindecode:EEGNet@{tmp_path}", SHAPE)


def test_load_eeg_encoder_uses_the_beginning_of_the_table_of_longer_segments(save_encoder):
    folder = save_encoder("Labram")  # for 2 s
    one_second = EegShape(SHAPE.channels, 128, 128.0)
    encoder = load_eeg_encoder(f"braindecode:Labram@{folder}", one_second)
    table = torch.load(folder / "pytorch_model.bin")["temporal_embedding"]
    assert table.shape == (1, 3, 200)
    assert torch.equal(encoder.network.temporal_embedding, table[:, :2])
    assert encoder(random_eeg()[..., :128]).shape == (3, 200)
    longer = EegShape(SHAPE.channels, 512, 128.0)
    with pytest.raises(WeightsError, match=r"another shape \(temporal_embedding\)"):
        load_eeg_encoder(f"braindecode:Labram@{folder}", longer)


def test_load_eeg_encoder_refuses_segments_that_the_class_cannot_split(save_encoder):
    shape = EegShape(SHAPE.channels, 160, 128.0)  # 1.25 s, not a multiple of patches of 1 s
    with pytest.raises(SettingsError, match="does not accept the EEG of the store, 6 channels and"):
        load_eeg_encoder(f"braindecode:CBraMod@{save_encoder('CBraMod')}", shape)


def test_rescale_converts_microvolts_to_the_unit_of_the_pretraining():
    eeg = np.array([[[0.0, 100.0, -300.0, 200.0], [0, 0, 0, 0]]], np.float32)
    assert eeg_encoder._rescale(eeg, "100 uV")[0, 0].tolist() == [0, 1, -3, 2]
    np.testing.assert_allclose(eeg_encoder._rescale(eeg, "mV")[0, 0], [0, 0.1, -0.3, 0.2])
    scaled = eeg_encoder._rescale(eeg, "percentile")
    np.testing.assert_allclose(scaled[0, 0] * 285, eeg[0, 0], rtol=1e-6)  # 95 % of |x|
    assert not scaled[0, 1].any()
    standardized = eeg_encoder._rescale(eeg, "standardize")
    assert standardized.mean() == pytest.approx(0, abs=1e-6)
    assert standardized.std() == pytest.approx(1, rel=1e-6)


def test_eeg_encoder_resamples_to_the_rate_of_the_pretraining(save_encoder):
    encoder = load_eeg_encoder(f"braindecode:CBraMod@{save_encoder('CBraMod')}", SHAPE)
    time, resampled = np.arange(256) / 128, np.arange(400) / 200
    sine = torch.from_numpy(np.sin(2 * np.pi * 7 * time).astype(np.float32)).expand(1, 6, -1)
    prepared = encoder.prepare(100 * sine)
    assert prepared.shape == (1, 6, 400)
    expected = np.sin(2 * np.pi * 7 * resampled)
    np.testing.assert_allclose(prepared[0, 0, 40:-40], expected[40:-40], atol=0.01)
