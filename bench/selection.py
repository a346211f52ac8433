"""Compare selections on simulated bags in which 2 of 10 instances determine the class.

Every bag has one of four classes. Two of its ten instances, at random positions, belong to the
class; the other eight are distractors of six kinds, which are independent of the class. Only the
class of the bag is used for training. The model receives faces only. Two levels:

tokens
    An instance is 4 tokens of size 48: Gaussian noise plus 0.4 times the prototype of its kind
    (also Gaussian; 4 class prototypes and 6 distractor prototypes, drawn for each seed).
images
    An instance is a drawn face of 56 x 56 pixels with random identity, position, light and noise. A
    class is an expression: smiling or frowning mouth x wide or narrowed eyes. Distractors are
    neutral, speak, blink, look away, hold a hand before the mouth, or have motion blur. As in
    Milmer's workflow, a small Swin (two stages, 49 tokens of size 48) is first fine-tuned on single
    faces: the four expressions and neutral (2,000 images; none of the other five kinds). All
    methods share it for each seed. With ``images`` it is then frozen; with ``images-live`` it is
    trained further on the bags.

All random numbers depend on the seed. Recall is the fraction of informative instances among the
three selected ones (for the pooling models: the three of highest weight), on 600 test bags.

    python bench/selection.py tokens
    python bench/selection.py images
    python bench/selection.py images-live --methods default published
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import SwinConfig

from milmer_cli.models import MilmerConfig, MilmerModel
from milmer_cli.models.mil import MilPooling, masked_softmax

INSTANCES, INFORMATIVE, CLASSES, DISTRACTORS = 10, 2, 4, 6
TOKENS, WIDTH, SCALE = 4, 48, 0.4
SIDE = 56
EPOCHS = {"tokens": 30, "images": 20, "images-live": 10}
BAGS = {"tokens": 800, "images": 1600, "images-live": 1600}
METHODS = ("default", "noise 1", "no noise", "gated", "mean", "published")


@dataclass
class SimulatedBags:
    """Simulated bags: instances (n, 10, ...), labels (n,), informative (n, 10) bool."""

    instances: Tensor
    labels: Tensor
    informative: Tensor


def simulate(n: int, draw: Callable[[Tensor], Tensor], generator: torch.Generator) -> SimulatedBags:
    labels = torch.randint(0, CLASSES, (n,), generator=generator)
    kinds = CLASSES + torch.randint(0, DISTRACTORS, (n, INSTANCES), generator=generator)
    places = torch.rand(n, INSTANCES, generator=generator).argsort(1)[:, :INFORMATIVE]
    informative = torch.zeros(n, INSTANCES, dtype=torch.bool).scatter(1, places, True)
    return SimulatedBags(
        draw(torch.where(informative, labels[:, None], kinds)), labels, informative
    )


def token_drawer(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    prototypes = torch.randn(CLASSES + DISTRACTORS, WIDTH, generator=generator)

    def draw(kinds: Tensor) -> Tensor:
        noise = torch.randn(*kinds.shape, TOKENS, WIDTH, generator=generator)
        return noise + SCALE * prototypes[kinds][:, :, None]

    return draw


def image_drawer(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    rows, columns = torch.meshgrid(*[torch.linspace(-1, 1, SIDE)] * 2, indexing="ij")

    def draw_faces(kinds: Tensor) -> Tensor:  # (n,) to (n, SIDE, SIDE, 3)
        n = len(kinds)

        def between(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(n, 1, 1, generator=generator)

        def is_kind(*values: int) -> Tensor:
            return torch.isin(kinds, torch.tensor(values))[:, None, None].float()

        scale = between(0.9, 1.0)
        y = (rows - between(-0.06, 0.06)) / scale
        x = (columns - between(-0.06, 0.06)) / scale
        away = is_kind(7) * between(0.25, 0.4) * torch.sign(between(-1, 1))  # looks away
        xf = x - away
        head = ((x / between(0.62, 0.75)) ** 2 + (y / between(0.8, 0.92)) ** 2 < 1).float()
        smile, frown = is_kind(0, 1), is_kind(2, 3)
        bend = 0.25 * (smile - frown) * between(0.8, 1.2)
        width = 0.4
        curve = 0.42 + bend * (0.5 - (xf / width) ** 2)
        thick = 0.07 + 0.1 * is_kind(5) * between(0.6, 1.2)  # speaks
        mouth = ((y - curve).abs() < thick) & (xf.abs() < width)
        opening = 0.12 + 0.1 * is_kind(0, 2) - 0.07 * is_kind(1, 3) - 0.09 * is_kind(6)  # blinks
        eyes = (((xf.abs() - 0.28) / 0.14) ** 2 + ((y + 0.2) / opening) ** 2 < 1).float()
        hand = ((x / 0.45) ** 2 + ((y - 0.5) / 0.3) ** 2 < 1).float() * is_kind(8)
        skin = between(0.5, 0.9)
        image = between(0.1, 0.5) * (1 - head) + skin * head
        image = image * (1 - 0.75 * eyes * head) * (1 - 0.6 * mouth.float() * head)
        image = image * (1 - hand) + skin * 0.9 * hand
        blurred = nn.functional.avg_pool2d(image[:, None], (1, 15), 1, (0, 7))[:, 0]
        image = image + is_kind(9) * (blurred - image)  # moves
        image = image * between(0.7, 1.1) + between(-0.15, 0.15) * columns
        tint = 1 + 0.1 * torch.randn(n, 1, 1, 3, generator=generator)
        image = image[..., None] * tint + 0.04 * torch.randn(n, SIDE, SIDE, 3, generator=generator)
        return (255 * image).clamp(0, 255).to(torch.uint8)

    def draw(kinds: Tensor) -> Tensor:
        faces = [draw_faces(chunk) for chunk in kinds.flatten().split(1000)]
        return torch.cat(faces).unflatten(0, kinds.shape)

    return draw


class GatedAttention(MilPooling):
    """Gated attention pooling (Ilse et al. 2018, eq. 9)."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.gate = nn.Linear(width, width)

    def forward(self, tokens: Tensor, found: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `MilPooling.forward`."""
        means = tokens.mean(2)
        gated = torch.tanh(self.value(means)) * torch.sigmoid(self.gate(means))
        weights = masked_softmax(self.score(gated).squeeze(-1), found)
        return torch.einsum("bi,bid->bd", weights, means)[:, None], found[:, :1], weights


def build(method: str, tokens: int, live: bool) -> MilmerModel:
    sizes = {"hidden_size": WIDTH, "tokens_per_face": tokens}
    if live:
        swin = SwinConfig(
            image_size=SIDE, embed_dim=WIDTH // 2, depths=[1, 1], num_heads=[3, 6], window_size=7
        )
        sizes = {"backbone_config": swin}
    model = MilmerModel(
        MilmerConfig(
            modalities="face",
            num_heads=4,
            dim_feedforward=2 * WIDTH,
            dropout=0.1,
            scorer="published" if method == "published" else "pooled",
            selection={"gated": "amil", "mean": "mean"}.get(method, "attention_weighted_topk"),
            selection_noise={"no noise": 0.0, "noise 1": 1.0}.get(method, 2.0),
            **sizes,
        )
    )
    if method == "gated":
        model.selection = GatedAttention(WIDTH)
    return model


def finetune(
    model: MilmerModel, draw: Callable[[Tensor], Tensor], generator: torch.Generator
) -> None:
    """Fine-tune the backbone on single faces: the four expressions and neutral."""
    kinds = torch.randint(0, CLASSES + 1, (2000,), generator=generator)
    faces = draw(kinds)
    head = nn.Linear(WIDTH, CLASSES + 1)
    for rows, optimizer in steps([model.backbone, head], len(faces), 64, 10, generator):
        tokens = model.backbone(model._pixel_values(faces[rows])).last_hidden_state
        nn.functional.cross_entropy(head(tokens.mean(1)), kinds[rows]).backward()
        optimizer.step()


def steps(
    modules: list[nn.Module], n: int, batch: int, epochs: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, torch.optim.Optimizer]]:
    """Yield the rows of each batch, after clearing the gradients, with a one-cycle schedule."""
    parameters = list(nn.ModuleList(modules).parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1e-3, total_steps=epochs * (n // batch), pct_start=0.1
    )
    for _ in range(epochs):
        for rows in torch.randperm(n, generator=generator).split(batch)[: n // batch]:
            optimizer.zero_grad()
            yield rows, optimizer
            schedule.step()


def compare(
    methods: list[str], level: str, seed: int, epochs: int, n_train: int
) -> dict[str, tuple[float, float]]:
    """Train each method on the same bags; return recall and accuracy on test bags."""
    generator = torch.Generator().manual_seed(1000 + seed)
    draw = token_drawer(generator) if level == "tokens" else image_drawer(generator)
    train, test = simulate(n_train, draw, generator), simulate(600, draw, generator)
    live = level == "images-live"
    argument = "faces" if live else "face_tokens"
    torch.manual_seed(seed)
    if level != "tokens":
        teacher = build("default", TOKENS, live=True).train()
        finetune(teacher, draw, generator)
        if not live:
            for bags in (train, test):
                bags.instances = encoded(teacher.eval(), bags.instances)
    results = {}
    for method in methods:
        torch.manual_seed(seed)
        generator.manual_seed(seed)
        model = build(method, train.instances.shape[2], live).train()
        if live:
            model.backbone.load_state_dict(teacher.backbone.state_dict())
        for rows, optimizer in steps([model], n_train, 32, epochs, generator):
            model(**{argument: train.instances[rows], "labels": train.labels[rows]}).loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        results[method] = evaluate(model.eval(), argument, test)
        print(f"  seed {seed} {method}: {results[method]}", file=sys.stderr, flush=True)
    return results


@torch.no_grad()
def encoded(model: MilmerModel, faces: Tensor) -> Tensor:
    chunks = [
        model.backbone(model._pixel_values(chunk)).last_hidden_state
        for chunk in faces.flatten(0, 1).split(32)
    ]
    return torch.cat(chunks).unflatten(0, faces.shape[:2])


@torch.no_grad()
def evaluate(model: MilmerModel, argument: str, test: SimulatedBags) -> tuple[float, float]:
    hits = correct = 0
    for rows in torch.arange(len(test.labels)).split(100):
        output = model(**{argument: test.instances[rows]})
        selected = output.selected_indices
        if selected is None:
            selected = output.instance_weights.topk(3).indices
        hits += test.informative[rows].gather(1, selected).sum().item()
        correct += (output.logits.argmax(1) == test.labels[rows]).sum().item()
    return hits / test.informative.sum().item(), correct / len(test.labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("level", choices=tuple(EPOCHS))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--epochs", type=int, help="30 for tokens, 20 for images, 10 live")
    parser.add_argument("--bags", type=int, help="800 for tokens, 1600 for images")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    epochs = options.epochs or EPOCHS[options.level]
    bags = options.bags or BAGS[options.level]
    results = [
        compare(options.methods, options.level, seed, epochs, bags) for seed in options.seeds
    ]
    print("| method | recall (worst-best seed) | accuracy (worst-best seed) |\n|---|---|---|")
    for method in options.methods:
        cells = [method]
        for values in zip(*(result[method] for result in results), strict=True):
            cells.append(f"{statistics.mean(values):.1%} ({min(values):.1%}-{max(values):.1%})")
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
