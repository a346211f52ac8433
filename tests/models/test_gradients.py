"""Gradients: the two-pass gradient is exact, and a frozen backbone does not change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from milmer_cli.models import MilmerModel

Batch = dict[str, torch.Tensor]
SELECTORS = [
    ("none", "pooled"),
    ("softmax", "pooled"),
    ("softmax", "published"),
    ("attention_topk", "pooled"),
    ("attention_topk", "published"),
    ("attention_weighted_topk", "pooled"),
    ("attention_weighted_topk", "published"),
]


def step(model: MilmerModel, batch: Batch) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    model.zero_grad()
    model(**batch).loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("num_select", [1, 3])
def test_forward_gives_every_parameter_of_the_default_a_gradient(
    num_select: int, make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model(num_select=num_select).train()
    gradients = step(model, batch)
    still = [
        name
        for name, _ in model.named_parameters()
        if name not in gradients or not gradients[name].abs().max() > 0
    ]
    assert still == []


@pytest.mark.parametrize(("selection", "scorer"), SELECTORS)
def test_two_pass_gradient_equals_the_one_pass_gradient(
    selection: str, scorer: str, make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model(selection=selection, scorer=scorer).train()
    model.images_per_pass = 5
    two_pass = step(model, batch)
    model.two_pass = False
    one_pass = step(model, batch)
    assert two_pass.keys() == one_pass.keys()
    for name, gradient in one_pass.items():
        torch.testing.assert_close(two_pass[name], gradient, rtol=1e-4, atol=1e-5, msg=name)


def test_two_pass_gradient_in_bfloat16_reaches_every_parameter(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model().train()
    with torch.autocast("cpu", torch.bfloat16):
        gradients = step(model, batch)
    assert gradients.keys() == {name for name, _ in model.named_parameters()}


def test_selection_in_bfloat16_equals_float32(
    make_model: Callable[..., MilmerModel],
) -> None:
    model = make_model(backbone_config=None, hidden_size=24, tokens_per_face=16).eval()
    generator = torch.Generator().manual_seed(2)
    alike = torch.randn(64, 1, 16, 24, generator=generator)
    tokens = alike + 0.01 * torch.randn(64, 6, 16, 24, generator=generator)
    with torch.no_grad():
        full = model(face_tokens=tokens)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(face_tokens=tokens)
    assert torch.equal(half.selected_indices, full.selected_indices)


def test_two_pass_scoring_restores_the_modes_of_the_backbone(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model().train()
    model.backbone.embeddings.eval()
    step(model, batch)
    assert not model.backbone.embeddings.training
    assert model.backbone.encoder.training


def test_two_pass_gradient_passes_only_selected_faces_backward(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model().train()
    passes = []
    model.backbone.register_forward_hook(
        lambda module, args, output: passes.append(
            (len(args[0]), output.last_hidden_state.requires_grad, module.training)
        )
    )
    model(**batch)
    found = int(batch["faces_found"].sum())  # 6 + 2 + 0 + 6
    assert passes == [(found, False, False), (3 + 2 + 0 + 3, True, True)]


def test_forward_without_scores_encodes_only_selected_faces(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model(selection="softmax").train()
    seen = []
    model.backbone.register_forward_hook(lambda module, args, output: seen.append(len(args[0])))
    model(**batch)
    assert seen == [3 + 2 + 0 + 3]


def test_freeze_backbone_keeps_evaluation_mode_and_no_gradient(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model()
    model.freeze_backbone()
    model.train()
    assert model.training
    assert not model.backbone.training
    gradients = step(model, batch)
    assert gradients
    assert not [name for name in gradients if name.startswith("backbone.")]


def test_forward_of_face_tokens_equals_that_of_faces(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model().eval()
    with torch.no_grad():
        tokens = torch.stack(
            [model.backbone(model._pixel_values(bag)).last_hidden_state for bag in batch["faces"]]
        )
        live = model(**batch).logits
        faces = batch.pop("faces")
        stored = model(**batch, face_tokens=tokens).logits
        halved = model(**batch, face_tokens=tokens.half()).logits
    assert faces.dtype == torch.uint8
    torch.testing.assert_close(stored, live, rtol=0, atol=1e-5)
    torch.testing.assert_close(halved, live, rtol=0, atol=1e-2)


def test_training_overfits_one_batch(make_model: Callable[..., MilmerModel]) -> None:
    model = make_model().train()
    torch.manual_seed(0)
    batch = {
        "eeg": 20 * torch.randn(8, 4, 32),
        "faces": torch.randint(0, 256, (8, 6, 32, 32, 3), dtype=torch.uint8),
        "labels": torch.arange(8) % 4,
    }
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(40):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()
    assert (model.eval()(**batch).logits.argmax(1) == batch["labels"]).all()


def test_selection_noise_varies_the_instances_in_training_only(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model()
    with torch.no_grad():
        used = [model.eval()(**batch).selected_indices.tolist() for _ in range(3)]
        tried = [model.train()(**batch).selected_indices[0].tolist() for _ in range(20)]
        model.selection.noise = 0.0
        best = model(**batch).selected_indices.tolist()
    assert used == [used[0]] * 3
    assert best == used[0]
    assert {instance for choice in tried for instance in choice} == set(range(6))


def test_gates_of_equal_scores_are_one(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    selection = make_model(selection="attention_weighted_topk").selection
    torch.nn.init.zeros_(selection.score.weight)
    choice = selection.select(torch.randn(4, 6, 24), batch["faces_found"])
    torch.testing.assert_close(choice.gates, choice.valid.float())
    tokens, valid = choice.gate(torch.ones(4, 3, 2, 24))
    assert torch.equal(tokens[..., 0].round(decimals=5), valid.float())


def test_scorer_learns_the_informative_instances() -> None:
    from milmer_cli.models import MilmerConfig

    torch.manual_seed(0)
    model = MilmerModel(
        MilmerConfig(
            modalities="face", hidden_size=16, tokens_per_face=2, num_heads=2, dim_feedforward=32
        )
    )
    prototypes = torch.randn(8, 16)

    def bags(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        labels = torch.randint(0, 4, (n,))
        informative = torch.rand(n, 10).argsort(1) < 2
        kinds = torch.where(informative, labels[:, None], torch.randint(4, 8, (n, 10)))
        return prototypes[kinds][:, :, None] + 0.5 * torch.randn(n, 10, 2, 16), labels, informative

    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    model.train()
    for _ in range(250):
        tokens, labels, _ = bags(32)
        optimizer.zero_grad()
        model(face_tokens=tokens, labels=labels).loss.backward()
        optimizer.step()
    tokens, _, informative = bags(200)
    with torch.no_grad():
        chosen = model.eval()(face_tokens=tokens).selected_indices
    recall = informative.gather(1, chosen).sum() / informative.sum()
    assert recall > 0.9  # 0.3 by chance
