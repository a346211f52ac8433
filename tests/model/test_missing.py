"""What is missing changes no bit of what comes out, and can never be chosen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from milmer_cli.model import MilmerModel

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


def assert_same_bits(model: MilmerModel, one: Batch, other: Batch) -> None:
    expected, got = run(model, one), run(model, other)
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert value.isfinite().all(), name
        assert torch.equal(value, got[name]), name


@pytest.mark.parametrize(("selection", "fusion", "scorer"), MODES)
def test_masked_content_changes_no_bit(
    selection: str, fusion: str, scorer: str, make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model(selection=selection, fusion=fusion, scorer=scorer)
    other = {name: value.clone() for name, value in batch.items()}
    other["faces"][~batch["faces_found"]] = 255 - other["faces"][~batch["faces_found"]]
    other["eeg"][~batch["eeg_found"]] = torch.nan
    assert_same_bits(model, batch, other)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_masked_tokens_change_no_bit_even_if_nan(
    selection: str, make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model(selection=selection, backbone_config=None, width=24, tokens_per_face=5)
    del batch["faces"]
    batch["face_tokens"] = torch.randn(4, 6, 5, 24)
    other = {name: value.clone() for name, value in batch.items()}
    other["face_tokens"][~batch["faces_found"]] = torch.nan
    other["eeg"][~batch["eeg_found"]] = torch.inf
    assert_same_bits(model, batch, other)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_missing_instances_weigh_nothing_and_are_never_chosen(
    selection: str, make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    for mode in (True, False):
        output = make_model(selection=selection).train(mode)(**batch)
        found = batch["faces_found"]
        assert (output.instance_weights[~found] == 0).all()
        torch.testing.assert_close(output.instance_weights.sum(1), found.any(1).float())
        if selection == "amil":
            assert output.chosen is None
            continue
        for chosen, allowed in zip(output.chosen, found, strict=True):
            real = chosen[chosen >= 0]
            assert allowed[real].all()
            assert len(set(real.tolist())) == len(real) == min(len(chosen), allowed.sum())


def test_a_bag_without_faces_is_a_segment_without_face_modality(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model().eval()
    batch["faces_found"][:] = False
    with torch.no_grad():
        masked = model(**batch, output_attentions=True)
        absent = model(eeg=batch["eeg"], eeg_found=batch["eeg_found"])
    torch.testing.assert_close(masked.logits, absent.logits, rtol=0, atol=1e-6)
    assert (masked.face_attention == 0).all()
    assert absent.instance_weights is None


def test_absent_eeg_is_no_eeg(make_model: Callable[..., MilmerModel], batch: Batch) -> None:
    model = make_model().eval()
    batch["eeg_found"][:] = False
    with torch.no_grad():
        masked = model(**batch).logits
        absent = model(faces=batch["faces"], faces_found=batch["faces_found"]).logits
    torch.testing.assert_close(masked, absent, rtol=0, atol=1e-6)


def test_both_modalities_count(make_model: Callable[..., MilmerModel], batch: Batch) -> None:
    model = make_model().eval()
    batch = {**batch, "eeg_found": torch.ones(4, dtype=torch.bool)}
    batch["faces_found"] = torch.ones(4, 6, dtype=torch.bool)
    with torch.no_grad():
        logits = model(**batch).logits
        for name in ("eeg", "faces"):
            other = {**batch, name: batch[name].flip(-1).flip(-2)}
            assert ((model(**other).logits - logits).abs().amax(1) > 1e-4).all(), name


def test_modality_dropout_takes_one_modality_in_training_only(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model(modality_dropout=0.9)
    dropped = kept = 0
    for seed in range(20):
        torch.manual_seed(seed)
        weights = model.train()(**batch).instance_weights[[0, 1]]  # the two with both modalities
        dropped += (weights.sum(1) == 0).sum().item()
        kept += (weights.sum(1) > 0).sum().item()
        # a segment that has one modality keeps it
        assert model(**batch).instance_weights[3].sum() > 0
    assert 5 < dropped < 35  # 45 % of 40
    with torch.no_grad():
        assert (model.eval()(**batch).instance_weights[[0, 1]].sum(1) > 0).all()
