"""One training step: ours against the plain loop of the published code, side by side.

plain
    Written from the description in the reference vectors' README: per instance position an image
    processor (Pillow: resize, rescale, normalise, one image after the other) and a Swin pass,
    backward through all ten, a bare index, cross-attention, the encoder. Its flat scorer (1,416
    million weights that never get a gradient) is left out: the plain loop has the pooled scorer
    in its place, and is that much faster than the published code.
ours
    `MilmerModel` with its default settings: the bag scored without gradients, the chosen run again.

Both have Swin-Tiny with random weights (224 pixels), the same batch, float32, dropout and
stochastic depth on, modality dropout off (it would spare us faces), AdamW. Steps alternate in one
process (A B A B ...), so that a noisy neighbour hits both; medians and the paired ratio are
printed. Activation memory is what autograd keeps for the backward pass, counted once a storage,
parameters excluded.

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

from milmer_cli.compute import Compute
from milmer_cli.model import MilmerConfig, MilmerModel
from milmer_cli.settings.schema import RunSettings

INSTANCES, TOKENS, WIDTH, CHOSEN = 10, 49, 768, 3
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def processed(images: np.ndarray) -> Tensor:
    """One image after the other, as Hugging Face's image processor for Swin does it."""
    arrays = [
        (np.asarray(Image.fromarray(i).resize((224, 224), Image.Resampling.BICUBIC)) / 255 - MEAN)
        / STD
        for i in images
    ]
    return torch.from_numpy(np.stack(arrays).astype(np.float32)).permute(0, 3, 1, 2)


class Plain(nn.Module):
    """The published model's flow, with a pooled scorer in place of the flat one."""

    def __init__(self) -> None:
        super().__init__()
        self.swin = SwinModel(SwinConfig())
        self.value, self.weight = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)
        self.queries = nn.Parameter(torch.randn(1, CHOSEN * TOKENS, WIDTH))
        self.cross = nn.MultiheadAttention(WIDTH, 12, 0.2, batch_first=True)
        self.norm, self.project = nn.LayerNorm(384), nn.Linear(384, WIDTH)
        self.cls, self.types = nn.Parameter(torch.zeros(1, 1, WIDTH)), nn.Embedding(2, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 12, 2048, 0.2, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.dropout, self.classifier = nn.Dropout(0.1), nn.Linear(WIDTH, 4)

    def forward(self, eeg: Tensor, faces: Tensor, labels: Tensor) -> Tensor:
        """Loss of a batch."""
        outputs = []
        for i in range(INSTANCES):
            pixels = processed(faces[:, i].numpy())
            outputs.append(self.swin(pixels).last_hidden_state)
        tokens = torch.stack(outputs, 1)  # (B, 10, 49, 768)
        scores = self.weight(torch.tanh(self.value(tokens.mean(2)))).softmax(1).squeeze(-1)
        best = scores.topk(CHOSEN, dim=1).indices
        kept = tokens[torch.arange(len(tokens))[:, None], best].flatten(1, 2)
        kept = self.cross(self.queries.expand(len(kept), -1, -1), kept, kept)[0]
        signal = torch.relu(self.project(self.norm(eeg)))
        cls = self.cls.expand(len(eeg), -1, -1)
        x = torch.cat([cls, kept + self.types.weight[0], signal + self.types.weight[1]], 1)
        return nn.functional.cross_entropy(
            self.classifier(self.dropout(self.encoder(x)[:, 0])), labels
        )


def activations(model: nn.Module, loss: Callable[[], Tensor]) -> int:
    """Bytes that autograd keeps for the backward pass."""
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
        replace(Compute.choose(RunSettings(device="cpu")), compiles=True).compile(ours.backbone)
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
