"""Compare a training step of MilmerModel with the loop of the published code.

plain
    Written from the description in the README of the reference vectors: for each instance position
    an image processor (Pillow: resize, rescale and normalize one image after the other) and a Swin
    pass, with a backward pass through all ten; selection by index, cross-attention, encoder. Its
    flat scorer (1,416 million weights without gradient) is replaced by the pooled scorer, which
    makes the plain loop faster than the published code.
ours
    `MilmerModel` with its default settings: the bag is scored without gradients, and the selected
    faces are encoded again with gradients.

Both have Swin-Tiny with random weights (224 pixels), the same batch, float32, dropout and
stochastic depth, no modality dropout (it would remove faces), and AdamW. The steps alternate in one
process (A B A B ...), so that other load on the machine affects both; the medians and the ratio of
the pairs are printed. Activation memory is what autograd keeps for the backward pass, counted once
for each storage, without parameters.

    python bench/train_step.py --bags 14 --repeats 5
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from torch import Tensor, nn
from transformers import SwinConfig, SwinModel

from milmer_cli.device import Device
from milmer_cli.models import MilmerConfig, MilmerModel
from milmer_cli.settings.schema import RunSettings

INSTANCES, TOKENS, WIDTH, SELECTED = 10, 49, 768, 3
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def process_images(images: np.ndarray) -> Tensor:
    """Process images one by one, as the image processor of Hugging Face's Swin does."""
    arrays = [
        (np.asarray(Image.fromarray(i).resize((224, 224), Image.Resampling.BICUBIC)) / 255 - MEAN)
        / STD
        for i in images
    ]
    return torch.from_numpy(np.stack(arrays).astype(np.float32)).permute(0, 3, 1, 2)


class Plain(nn.Module):
    """The published model with a pooled scorer."""

    def __init__(self) -> None:
        super().__init__()
        self.swin = SwinModel(SwinConfig())
        self.value, self.weight = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)
        self.queries = nn.Parameter(torch.randn(1, SELECTED * TOKENS, WIDTH))
        self.cross = nn.MultiheadAttention(WIDTH, 12, 0.2, batch_first=True)
        self.norm, self.project = nn.LayerNorm(384), nn.Linear(384, WIDTH)
        self.cls, self.types = nn.Parameter(torch.zeros(1, 1, WIDTH)), nn.Embedding(2, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 12, 2048, 0.2, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.dropout, self.classifier = nn.Dropout(0.1), nn.Linear(WIDTH, 4)

    def forward(self, eeg: Tensor, faces: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch."""
        outputs = []
        for i in range(INSTANCES):
            pixels = process_images(faces[:, i].numpy())
            outputs.append(self.swin(pixels).last_hidden_state)
        tokens = torch.stack(outputs, 1)  # (B, 10, 49, 768)
        scores = self.weight(torch.tanh(self.value(tokens.mean(2)))).softmax(1).squeeze(-1)
        best = scores.topk(SELECTED, dim=1).indices
        selected = tokens[torch.arange(len(tokens))[:, None], best].flatten(1, 2)
        selected = self.cross(self.queries.expand(len(selected), -1, -1), selected, selected)[0]
        signal = torch.relu(self.project(self.norm(eeg)))
        cls = self.cls.expand(len(eeg), -1, -1)
        x = torch.cat([cls, selected + self.types.weight[0], signal + self.types.weight[1]], 1)
        return nn.functional.cross_entropy(
            self.classifier(self.dropout(self.encoder(x)[:, 0])), labels
        )


def activations(model: nn.Module, loss: Callable[[], Tensor]) -> int:
    """Return the bytes that autograd keeps for the backward pass."""
    own = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        value = loss()
    total = sum(kept.values())
    value.backward()
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bags", type=int, default=14)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--compile", action="store_true", help="compile our backbone")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    batch: dict[str, Any] = {
        "eeg": 20 * torch.randn(options.bags, 32, 384),
        "faces": torch.randint(0, 256, (options.bags, INSTANCES, 224, 224, 3), dtype=torch.uint8),
        "labels": torch.arange(options.bags) % 4,
    }
    plain = Plain().train()
    ours = MilmerModel(MilmerConfig(backbone_config=SwinConfig(), modality_dropout=0.0)).train()
    if options.compile:
        replace(Device.from_settings(RunSettings(device="cpu")), compiled=True).compile(
            ours.backbone
        )
    losses = {"plain": lambda: plain(**batch), "ours": lambda: ours(**batch).loss}
    models = {"plain": plain, "ours": ours}
    optimizers = {
        name: torch.optim.AdamW(model.parameters(), lr=1e-4) for name, model in models.items()
    }
    memory = {name: activations(models[name], losses[name]) for name in models}
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(options.repeats):
        for name in models:
            start = time.perf_counter()
            optimizers[name].zero_grad()
            losses[name]().backward()
            optimizers[name].step()
            times[name].append(time.perf_counter() - start)

    print(
        f"{platform.processor() or platform.machine()}, {options.threads} threads, Python "
        f"{platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}; {options.bags} bags x {INSTANCES} faces"
    )
    print("| step | median s | activations, GiB | parameters, million |\n|---|---|---|---|")
    for name, model in models.items():
        size = sum(p.numel() for p in model.parameters()) / 1e6
        print(
            f"| {name} | {statistics.median(times[name]):.2f} "
            f"| {memory[name] / 2**30:.2f} | {size:.1f} |"
        )
    ratios = [a / b for a, b in zip(times["plain"], times["ours"], strict=True)]
    print(
        f"\nOurs is {statistics.median(ratios):.2f} times as fast (pairs "
        f"{min(ratios):.2f}-{max(ratios):.2f}), with "
        f"{memory['ours'] / memory['plain']:.0%} of the activation memory."
    )


if __name__ == "__main__":
    main()
