"""Training: all of it learns, the lean backward pass is exact, a frozen backbone stays as it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from milmer_cli.model import MilmerModel

Batch = dict[str, torch.Tensor]
CHOOSING = [
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
def test_every_parameter_of_the_default_learns(
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


@pytest.mark.parametrize(("selection", "scorer"), CHOOSING)
def test_the_lean_gradient_is_the_plain_one(
    selection: str, scorer: str, make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model(selection=selection, scorer=scorer).train()
    model.score_chunk = 5
    lean = step(model, batch)
    model.lean = False
    plain = step(model, batch)
    assert lean.keys() == plain.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(lean[name], gradient, rtol=1e-4, atol=1e-5, msg=name)


def test_the_lean_step_in_half_precision_leaves_no_parameter_without_gradient(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model().train()
    with torch.autocast("cpu", torch.bfloat16):
        gradients = step(model, batch)
    assert gradients.keys() == {name for name, _ in model.named_parameters()}


def test_half_precision_ranks_the_faces_as_full_precision_does(
    make_model: Callable[..., MilmerModel],
) -> None:
    model = make_model(backbone_config=None, width=24, tokens_per_face=16).eval()
    generator = torch.Generator().manual_seed(2)
    alike = torch.randn(64, 1, 16, 24, generator=generator)
    tokens = alike + 0.01 * torch.randn(64, 6, 16, 24, generator=generator)
    with torch.no_grad():
        full = model(face_tokens=tokens)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(face_tokens=tokens)
    assert torch.equal(half.chosen, full.chosen)


def test_scoring_leaves_every_part_of_the_backbone_in_its_mode(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model().train()
    model.backbone.embeddings.eval()
    step(model, batch)
    assert not model.backbone.embeddings.training
    assert model.backbone.encoder.training


def test_the_lean_step_sends_only_the_chosen_faces_backward(
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


def test_selections_that_need_no_scores_encode_only_what_they_keep(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model(selection="softmax").train()
    seen = []
    model.backbone.register_forward_hook(lambda module, args, output: seen.append(len(args[0])))
    model(**batch)
    assert seen == [3 + 2 + 0 + 3]


def test_a_frozen_backbone_stays_as_it_is(
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


def test_precomputed_tokens_give_the_live_logits(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model().eval()
    with torch.no_grad():
        tokens = torch.stack(
            [model.backbone(model._pixels(bag)).last_hidden_state for bag in batch["faces"]]
        )
        live = model(**batch).logits
        faces = batch.pop("faces")
        stored = model(**batch, face_tokens=tokens).logits
        halved = model(**batch, face_tokens=tokens.half()).logits
    assert faces.dtype == torch.uint8
    torch.testing.assert_close(stored, live, rtol=0, atol=1e-5)
    torch.testing.assert_close(halved, live, rtol=0, atol=1e-2)


def test_one_batch_can_be_learnt_by_heart(make_model: Callable[..., MilmerModel]) -> None:
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


def test_training_tries_instances_that_use_does_not_choose(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    model = make_model()
    with torch.no_grad():
        used = [model.eval()(**batch).chosen.tolist() for _ in range(3)]
        tried = [model.train()(**batch).chosen[0].tolist() for _ in range(20)]
        model.selection.noise = 0.0
        best = model(**batch).chosen.tolist()
    assert used == [used[0]] * 3
    assert best == used[0]
    assert {instance for choice in tried for instance in choice} == set(range(6))


def test_equal_scores_leave_the_chosen_tokens_as_they_are(
    make_model: Callable[..., MilmerModel], batch: Batch
) -> None:
    selection = make_model(selection="attention_weighted_topk").selection
    torch.nn.init.zeros_(selection.score.weight)
    choice = selection.choose(torch.randn(4, 6, 24), batch["faces_found"])
    torch.testing.assert_close(choice.gates, choice.valid.float())
    tokens, valid = choice.keep(torch.ones(4, 3, 2, 24))
    assert torch.equal(tokens[..., 0].round(decimals=5), valid.float())


def test_the_scorer_learns_which_instances_are_informative() -> None:
    from milmer_cli.model import MilmerConfig

    torch.manual_seed(0)
    model = MilmerModel(
        MilmerConfig(modalities="face", width=16, tokens_per_face=2, heads=2, feedforward=32)
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
        chosen = model.eval()(face_tokens=tokens).chosen
    recall = informative.gather(1, chosen).sum() / informative.sum()
    assert recall > 0.9  # 0.3 by chance
