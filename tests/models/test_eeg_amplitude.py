"""Amplitude features of the EEG: known-truth tasks, standardization, saved models."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from milmer_cli.errors import SettingsError
from milmer_cli.models import MilmerConfig, MilmerModel
from milmer_cli.models.eeg_amplitude import LIMIT, AmplitudeToken, band_bins

CHANNELS, SAMPLES, SFREQ = 32, 192, 64.0
KINDS = ["sd", "bands"]
Task = tuple[torch.Tensor, torch.Tensor]


def small_config(eeg_amplitude: str, num_labels: int = 4) -> MilmerConfig:
    return MilmerConfig(
        modalities="eeg",
        class_names=[f"class {number}" for number in range(num_labels)],
        n_channels=CHANNELS,
        n_samples=SAMPLES,
        sfreq_hz=SFREQ,
        band_hz=(1.0, 30.0),
        eeg_amplitude=eeg_amplitude,
        hidden_size=48,
        num_heads=4,
        dim_feedforward=64,
        num_layers=1,
        dropout=0.0,
        classifier_dropout=0.0,
    )


def pink_noise(n: int, generator: torch.Generator) -> torch.Tensor:
    """EEG-like noise, (n, channels, samples) microvolts: power falls with 1 / f."""
    spectrum = torch.fft.rfft(torch.randn(n, CHANNELS, SAMPLES, generator=generator))
    frequency = torch.arange(spectrum.shape[-1]).clamp(min=1)
    noise = torch.fft.irfft(spectrum / frequency.sqrt(), SAMPLES)
    return 10 * noise / noise.std()


def doubled_channels(n: int, seed: int) -> Task:
    """The class is the group of four channels whose amplitude is doubled."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (n,), generator=generator)
    eeg = pink_noise(n, generator)
    for group in range(4):
        eeg[labels == group, 4 * group : 4 * group + 4] *= 2
    return eeg, labels


def alpha_asymmetry(n: int, seed: int) -> Task:
    """10 Hz of equal total power on both sides: class 0 stronger left, class 1 stronger right."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (n,), generator=generator)
    phase = 2 * torch.pi * torch.rand(n, CHANNELS, 1, generator=generator)
    alpha = torch.sin(2 * torch.pi * 10 * torch.arange(SAMPLES) / SFREQ + phase)
    left = torch.arange(CHANNELS) < CHANNELS // 2
    stronger = left[None] == (labels == 0)[:, None]
    amplitude = torch.where(stronger, 8.0, 4.0)[..., None]
    # a common amplitude, which differs between segments, carries no class
    common = torch.exp(0.3 * torch.randn(n, 1, 1, generator=generator))
    return common * (pink_noise(n, generator) + amplitude * alpha), labels


def trained_accuracy(task: Callable[[int, int], Task], eeg_amplitude: str, classes: int) -> float:
    """Accuracy on new segments after five epochs of 512 segments."""
    torch.manual_seed(0)
    model = MilmerModel(small_config(eeg_amplitude, classes)).train()
    eeg, labels = task(512, 1)
    if eeg_amplitude != "none":
        model.amplitude.standardize(model.amplitude.features(eeg))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(5):
        for rows in torch.randperm(512).split(16):
            optimizer.zero_grad()
            model(eeg[rows], labels=labels[rows]).loss.backward()
            optimizer.step()
    eeg, labels = task(400, 2)
    with torch.no_grad():
        return (model.eval()(eeg).logits.argmax(1) == labels).float().mean().item()


@pytest.mark.parametrize("kind", KINDS)
def test_amplitude_of_channels_is_learnt_in_five_epochs(kind: str) -> None:
    assert trained_accuracy(doubled_channels, kind, 4) >= 0.95


def test_amplitude_of_channels_is_not_learnt_without_amplitude_features() -> None:
    assert trained_accuracy(doubled_channels, "none", 4) < 0.35


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "learnt"), [("bands", True), ("none", False)])
def test_asymmetry_of_alpha_power_is_learnt_from_the_bands(kind: str, learnt: bool) -> None:
    accuracy = trained_accuracy(alpha_asymmetry, kind, 2)
    assert accuracy >= 0.95 if learnt else accuracy < 0.65


def standardized_model(kind: str, **fields: Any) -> MilmerModel:
    torch.manual_seed(0)
    config = small_config(kind)
    for name, value in fields.items():
        setattr(config, name, value)
    model = MilmerModel(config).eval()
    model.amplitude.standardize(model.amplitude.features(doubled_channels(64, 1)[0]))
    return model


def test_features_of_a_sine_are_its_amplitude_in_its_band() -> None:
    model = standardized_model("bands")
    sine = 20 * torch.sin(2 * torch.pi * 10 * torch.arange(SAMPLES) / SFREQ)
    eeg = sine.expand(1, CHANNELS, SAMPLES) + 5  # a constant is no amplitude
    sd = AmplitudeToken(small_config("sd")).features(eeg)
    assert sd[0, 0].tolist() == pytest.approx([math.log(20 / math.sqrt(2))], abs=1e-3)
    low, high = model.amplitude.features(eeg), model.amplitude.features(2 * eeg)
    delta, theta, alpha, beta = high[0, 0].tolist()
    assert alpha > max(delta, theta, beta) + 10
    assert (high - low)[0, 0, 2].item() == pytest.approx(2 * math.log(2), abs=1e-3)


@pytest.mark.parametrize(
    ("band_hz", "sfreq_hz", "n_samples", "expected"),
    [
        ((1.0, 50.0), 128.0, 384, [(3, 12), (12, 24), (24, 39), (39, 90), (90, 135)]),
        ((4.0, 45.0), 128.0, 384, [(12, 24), (24, 39), (39, 90), (90, 135)]),
        ((1.0, 31.0), 64.0, 32, [(1, 2), (2, 4), (4, 7), (7, 15)]),
        ((9.0, 10.0), 128.0, 384, [(27, 30)]),  # narrower than every band
        ((0.1, 1.0), 128.0, 64, [(1, 33)]),  # narrower than a bin
    ],
)
def test_bands_are_limited_to_the_pass_band(
    band_hz: tuple[float, float],
    sfreq_hz: float,
    n_samples: int,
    expected: list[tuple[int, int]],
) -> None:
    config = MilmerConfig(band_hz=band_hz, sfreq_hz=sfreq_hz, n_samples=n_samples)
    assert band_bins(config) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_flat_and_loose_channels_give_finite_limited_features(kind: str) -> None:
    model = standardized_model(kind)
    eeg = doubled_channels(4, 3)[0]
    eeg[:, 0], eeg[:, 1] = 0.0, 1e5 * eeg[:, 1]
    assert model.amplitude.features(eeg).isfinite().all()
    largest = model.amplitude(eeg)[:, :2].abs().amax()
    assert largest <= LIMIT * model.amplitude.weight[:2].abs().sum(1).max() + 1e-4
    assert model(eeg).logits.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_channel_that_is_always_flat_has_features_of_zero(kind: str) -> None:
    model = standardized_model(kind)
    eeg = doubled_channels(16, 1)[0]
    eeg[:, 5] = 0.0
    model.amplitude.standardize(model.amplitude.features(eeg))
    assert model.amplitude(eeg)[:, 5].abs().max() == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channel_embedding", [True, False])
def test_standardization_ignores_masked_channels(kind: str, channel_embedding: bool) -> None:
    config = small_config(kind)
    config.channel_embedding = channel_embedding
    token = AmplitudeToken(config)
    token.reset_parameters()
    eeg = doubled_channels(64, 1)[0]
    found = torch.rand(eeg.shape[:2], generator=torch.Generator().manual_seed(0)) < 0.7
    found[:, 7] = False  # bad in all segments
    eeg[~found] *= 1e3
    eeg[0, 7] = torch.nan
    token.standardize(token.features(eeg), found)
    features = token.features(eeg)
    if channel_embedding:
        assert torch.equal(token.mean[7], torch.zeros_like(token.mean[7]))
        assert torch.equal(token.sd[7], torch.ones_like(token.sd[7]))
        sets = {row: features[found[:, channel], channel] for row, channel in enumerate(range(7))}
    else:
        sets = {0: features[found]}
    for row, expected in sets.items():
        torch.testing.assert_close(token.mean[row], expected.mean(0))
        torch.testing.assert_close(token.sd[row], expected.std(0, correction=0))


@pytest.mark.parametrize("kind", KINDS)
def test_content_of_segments_without_eeg_has_no_effect(
    kind: str, make_model: Callable[..., MilmerModel], batch: dict[str, torch.Tensor]
) -> None:
    model = make_model(eeg_amplitude=kind).eval()
    with torch.no_grad():
        expected = model(**batch)
        batch["eeg"][3] = torch.nan
        actual = model(**batch)
    assert torch.equal(expected.logits, actual.logits)
    model.train()(**batch).loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert model.amplitude.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_model_without_channel_embedding_remains_invariant_to_the_channel_order(kind: str) -> None:
    model = standardized_model(kind, channel_embedding=False)
    eeg = doubled_channels(8, 3)[0]
    with torch.no_grad():
        logits = model(eeg).logits
        assert torch.allclose(logits, model(eeg.flip(1)).logits, atol=1e-5)
        assert not torch.allclose(logits, model(2 * eeg).logits, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_model_has_the_standardization(kind: str, tmp_path: Path) -> None:
    model = standardized_model(kind)
    model.save_pretrained(tmp_path)
    loaded = MilmerModel.from_pretrained(tmp_path)
    eeg = doubled_channels(4, 3)[0]
    assert loaded.config.eeg_amplitude == kind
    assert loaded.amplitude.mean.abs().min() > 0
    with torch.no_grad():
        assert torch.equal(loaded.eval()(eeg).logits, model(eeg).logits)


def test_configuration_without_the_field_has_no_amplitude_features(tmp_path: Path) -> None:
    model = MilmerModel(small_config("none"))
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    fields = json.loads(path.read_text())
    for name in ("eeg_amplitude", "sfreq_hz", "band_hz"):
        fields.pop(name, None)
    path.write_text(json.dumps(fields))
    loaded = MilmerModel.from_pretrained(tmp_path)
    assert loaded.config.eeg_amplitude == "none"
    assert not any("amplitude" in name for name in loaded.state_dict())


def test_features_do_not_depend_on_half_precision() -> None:
    model = standardized_model("bands")
    eeg = doubled_channels(8, 3)[0]
    with torch.no_grad():
        expected = model.amplitude(eeg)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            actual = model.amplitude(eeg)
            assert model(eeg).logits.isfinite().all()
        lean = model.to(torch.bfloat16)(eeg).logits
    assert actual.dtype == torch.bfloat16
    assert torch.allclose(actual.float(), expected, atol=0.05)
    assert lean.isfinite().all()


def test_unknown_amplitude_is_rejected() -> None:
    with pytest.raises(
        SettingsError, match=r"model\.eeg_amplitude: expected one of none, sd, bands"
    ):
        MilmerConfig(eeg_amplitude="power")
