"""Missing data: masked content does not change the output and is never selected."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from milmer_cli.models import MilmerConfig, MilmerModel
from milmer_cli.models.inputs import drop_channels, drop_modality

Batch = dict[str, torch.Tensor]
FUSIONS = ("none", "mlp", "cross_attention")
SELECTIONS = ("none", "softmax", "amil", "attention_topk", "attention_weighted_topk")
MODES = [(s, f, "pooled") for s in SELECTIONS for f in FUSIONS]
MODES += [("attention_topk", "mlp", "published"), ("attention_weighted_topk", "none", "published")]


def run(model: MilmerModel, batch: Batch) -> dict[str, torch.Tensor]:
    """Outputs of evaluation, and outputs and gradients of one training step."""
    torch.manual_seed(3)
    with torch.no_grad():
        results = {f"eval {k}": v for k, v in model.eval()(**batch, output_attentions=True).items()}
    model.train().zero_grad()
    output = model(**batch)
    output.loss.backward()
    results |= {f"train {k}": v.detach() for k, v in output.items()}
    return results | {
        f"gradient {k}": p.grad for k, p in model.named_parameters() if p.grad is not None
    }


def channel_mask() -> torch.Tensor:
    """Three, one, all and two of the four channels of the segments of ``batch``."""
    rows = [[1, 1, 0, 1], [0, 1, 0, 0], [1, 1, 1, 1], [1, 0, 1, 0]]
    return torch.tensor(rows, dtype=torch.bool)


def assert_same_bits(model: MilmerModel, one: Batch, other: Batch) -> None:
    expected, got = run(model, one), run(model, other)
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert value.isfinite().all(), name
        assert torch.equal(value, got[name]), name


@pytest.mark.parametrize(("selection", "fusion", "scorer"), MODES)
def test_forward_ignores_masked_content(
    selection: str, fusion: str, scorer: str, make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model(selection=selection, fusion=fusion, scorer=scorer)
    other = {name: value.clone() for name, value in batch.items()}
    other["faces"][~batch["faces_found"]] = 255 - other["faces"][~batch["faces_found"]]
    other["eeg"][~batch["eeg_found"]] = torch.nan
    assert_same_bits(model, batch, other)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_forward_ignores_masked_tokens_that_are_nan(
    selection: str, make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model(selection=selection, backbone_config=None, hidden_size=24, tokens_per_face=5)
    del batch["faces"]
    batch["face_tokens"] = torch.randn(4, 6, 5, 24)
    other = {name: value.clone() for name, value in batch.items()}
    other["face_tokens"][~batch["faces_found"]] = torch.nan
    other["eeg"][~batch["eeg_found"]] = torch.inf
    assert_same_bits(model, batch, other)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_selection_ignores_missing_instances(
    selection: str, make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    for mode in (True, False):
        output = make_model(selection=selection).train(mode)(**batch)
        found = batch["faces_found"]
        assert (output.instance_weights[~found] == 0).all()
        torch.testing.assert_close(output.instance_weights.sum(1), found.any(1).float())
        if selection == "amil":
            assert output.selected_indices is None
            continue
        for chosen, allowed in zip(output.selected_indices, found, strict=True):
            real = chosen[chosen >= 0]
            assert allowed[real].all()
            assert len(set(real.tolist())) == len(real) == min(len(chosen), allowed.sum())


def test_forward_of_an_empty_bag_equals_forward_without_faces(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model().eval()
    batch["faces_found"][:] = False
    with torch.no_grad():
        masked = model(**batch)
        absent = model(eeg=batch["eeg"], eeg_found=batch["eeg_found"])
    torch.testing.assert_close(masked.logits, absent.logits, rtol=0, atol=1e-6)
    assert absent.instance_weights is None


def test_forward_of_missing_eeg_equals_forward_without_eeg(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model().eval()
    batch["eeg_found"][:] = False
    with torch.no_grad():
        masked = model(**batch).logits
        absent = model(faces=batch["faces"], faces_found=batch["faces_found"]).logits
    torch.testing.assert_close(masked, absent, rtol=0, atol=1e-6)


def test_forward_uses_both_modalities(make_model: Callable[..., MilmerModel], batch: Batch) -> None:
    model = make_model().eval()
    batch = {**batch, "eeg_found": torch.ones(4, dtype=torch.bool)}
    batch["faces_found"] = torch.ones(4, 6, dtype=torch.bool)
    with torch.no_grad():
        logits = model(**batch).logits
        for name in ("eeg", "faces"):
            other = {**batch, name: batch[name].flip(-1).flip(-2)}
            assert ((model(**other).logits - logits).abs().amax(1) > 1e-4).all(), name


def test_modality_dropout_drops_one_modality_in_training_only(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model(modality_dropout=0.9)
    dropped = kept = eeg_dropped = 0
    for seed in range(20):
        torch.manual_seed(seed)
        weights = model.train()(**batch).instance_weights[[0, 1]]  # the two with both modalities
        dropped += (weights.sum(1) == 0).sum().item()
        kept += (weights.sum(1) > 0).sum().item()
        eeg_found, faces_found = drop_modality(batch["eeg_found"], batch["faces_found"], 0.9)
        assert (eeg_found | faces_found.any(1)).all()
        eeg_dropped += (~eeg_found[[0, 1]]).sum().item()
        # a segment that has one modality keeps it
        assert model(**batch).instance_weights[3].sum() > 0
    assert 5 < dropped < 35  # 45 % of 40
    assert 5 < eeg_dropped < 35
    with torch.no_grad():
        assert (model.eval()(**batch).instance_weights[[0, 1]].sum(1) > 0).all()


@pytest.mark.parametrize("content", [torch.nan, torch.inf, -1e30, 1e4])
@pytest.mark.parametrize("amplitude", ["none", "sd", "bands"])
def test_forward_ignores_the_content_of_masked_channels(
    content: float, amplitude: str, make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model(eeg_amplitude=amplitude, channel_dropout=0.3)
    batch["channels_found"] = channel_mask()
    other = {**batch, "eeg": batch["eeg"].clone()}
    other["eeg"][~batch["channels_found"]] = content
    assert_same_bits(model, batch, other)


def test_forward_reads_every_channel_that_is_not_masked(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model().eval()
    batch["channels_found"] = channel_mask()
    with torch.no_grad():
        logits = model(**batch).logits
        for channel in range(4):
            other = {**batch, "eeg": batch["eeg"].clone()}
            other["eeg"][:, channel] = other["eeg"][:, channel].flip(-1)
            reads = batch["channels_found"][:, channel] & batch["eeg_found"]
            assert torch.equal((model(**other).logits != logits).any(1), reads)


def test_attention_to_masked_channels_is_zero(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model, found = make_model().eval(), channel_mask()
    with torch.no_grad():
        attention = model(**batch, channels_found=found, output_attentions=True).eeg_attention
    read = found & batch["eeg_found"][:, None]
    assert (attention[~read] == 0).all()
    assert (attention[read] > 0).all()


def test_all_channels_found_equals_no_channel_mask(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    assert_same_bits(make_model(), batch, {**batch, "channels_found": torch.ones(4, 4).bool()})


def test_segment_whose_channels_are_all_masked_equals_a_segment_without_eeg(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    temperatures = {"both": 2.0, "eeg": 3.0, "face": 0.5}
    model = make_model(modality_dropout=0.5, channel_dropout=0.5, temperatures=temperatures)
    masked = {**batch, "channels_found": torch.ones(4, 4).bool()}
    masked["channels_found"][0] = False
    without = {**masked, "channels_found": torch.ones(4, 4).bool()}
    without["eeg_found"] = torch.tensor([False, True, True, False])
    for mode in (False, True):
        torch.manual_seed(0)
        expected = model.train(mode)(**without)
        torch.manual_seed(0)
        assert torch.equal(model(**masked).logits, expected.logits)
    face_only = model.eval()(faces=batch["faces"], faces_found=batch["faces_found"]).logits
    torch.testing.assert_close(model(**masked).logits[0], face_only[0], rtol=0, atol=1e-6)


def test_channel_dropout_masks_a_share_of_the_channels_in_training_only(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    torch.manual_seed(0)
    found = torch.rand(2000, 32) < 0.8
    kept = drop_channels(found, 0.3)
    assert not (kept & ~found).any()
    assert 1 - kept.sum() / found.sum() == pytest.approx(0.3, abs=0.01)
    assert (drop_channels(torch.ones(2000, 2).bool(), 0.9).any(1)).all()
    assert drop_channels(found, 0.0) is found
    model, plain = make_model(channel_dropout=0.5), make_model()
    with torch.no_grad():
        assert torch.equal(model.eval()(**batch).logits, plain.eval()(**batch).logits)
        assert not torch.allclose(model.train()(**batch).logits, plain.train()(**batch).logits)


def test_forward_rejects_a_channel_mask_of_another_shape(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    with pytest.raises(ValueError, match=r"channels_found: expected the shape \(4, 4\)"):
        make_model()(**batch, channels_found=torch.ones(4, 3).bool())


def grouped_waves(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """16 channels with a noisy wave; the class is the group of four in which it is not inverted."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (n,), generator=generator)
    sign = torch.where(torch.arange(16) % 4 == labels[:, None], 1.0, -0.5)
    wave = torch.sin(2 * torch.pi * torch.arange(32) / 8)
    noise = torch.randn(n, 16, 32, generator=generator)
    return 10 * (noise + sign[..., None] * wave), labels


def accuracies_with_missing_channels(channel_dropout: float) -> list[float]:
    """Accuracy of a trained model on new segments with 0, 4 and 8 missing channels of 16."""
    torch.manual_seed(4)
    config = MilmerConfig(
        modalities="eeg",
        n_channels=16,
        n_samples=32,
        hidden_size=32,
        num_heads=4,
        dim_feedforward=32,
        num_layers=1,
        dropout=0.0,
        classifier_dropout=0.0,
        channel_dropout=channel_dropout,
    )
    model = MilmerModel(config).train()
    eeg, labels = grouped_waves(384, 5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(12):
        for rows in torch.randperm(384).split(32):
            optimizer.zero_grad()
            model(eeg[rows], labels=labels[rows]).loss.backward()
            optimizer.step()
    eeg, labels = grouped_waves(1000, 6)
    order = torch.rand(1000, 16, generator=torch.Generator().manual_seed(7)).argsort(1).argsort(1)
    with torch.no_grad():
        predicted = [model.eval()(eeg, channels_found=order >= n).logits for n in (0, 4, 8)]
    return [(logits.argmax(1) == labels).float().mean().item() for logits in predicted]


@pytest.mark.slow
def test_channel_dropout_reduces_the_loss_of_accuracy_with_missing_channels() -> None:
    without, dropout = (accuracies_with_missing_channels(rate) for rate in (0.0, 0.3))
    assert min(without[0], dropout[0]) > 0.99
    assert without[0] - without[1] > dropout[0] - dropout[1]
    assert without[0] - without[2] > dropout[0] - dropout[2] + 0.02
    assert dropout[2] > 0.95
