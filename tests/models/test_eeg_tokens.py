"""EEG tokens: the channel embedding distinguishes the electrodes."""

from __future__ import annotations

import pytest
import torch

from milmer_cli.models import MilmerConfig, MilmerModel

CHANNELS, SAMPLES = 4, 32


def small_model(channel_embedding: bool) -> MilmerModel:
    torch.manual_seed(0)
    config = MilmerConfig(
        modalities="eeg",
        n_channels=CHANNELS,
        n_samples=SAMPLES,
        channel_embedding=channel_embedding,
        hidden_size=32,
        num_heads=4,
        dim_feedforward=64,
        dropout=0.0,
        classifier_dropout=0.0,
    )
    return MilmerModel(config)


def planted(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise on all channels and one slow wave of any phase; the class is the channel it is on."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CHANNELS, (n,), generator=generator)
    eeg = 10 * torch.randn(n, CHANNELS, SAMPLES, generator=generator)
    phase = 2 * torch.pi * torch.rand(n, 1, generator=generator)
    wave = 20 * torch.sin(2 * torch.pi * 3 * torch.arange(SAMPLES) / SAMPLES + phase)
    eeg[torch.arange(n), labels] += wave
    return eeg, labels


def test_channel_embedding_learns_the_channel_of_a_wave() -> None:
    model = small_model(channel_embedding=True).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    eeg, labels = planted(1024, seed=1)
    for _ in range(8):
        for rows in torch.arange(1024).split(64):
            optimizer.zero_grad()
            model(eeg[rows], labels=labels[rows]).loss.backward()
            optimizer.step()
    eeg, labels = planted(400, seed=2)
    with torch.no_grad():
        accuracy = (model.eval()(eeg).logits.argmax(1) == labels).float().mean().item()
    assert accuracy > 0.9


@pytest.mark.parametrize(("embedding", "same"), [(True, False), (False, True)])
def test_logits_depend_on_the_channel_order_only_with_the_embedding(
    embedding: bool, same: bool
) -> None:
    model = small_model(channel_embedding=embedding).eval()
    eeg, _ = planted(8, seed=3)
    with torch.no_grad():
        logits, shuffled = model(eeg).logits, model(eeg[:, [2, 0, 3, 1]]).logits
    assert torch.allclose(logits, shuffled, atol=1e-5) is same
