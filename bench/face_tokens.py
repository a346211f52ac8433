"""Compare an epoch with a frozen backbone from cached face tokens and from face images.

The store resembles DEAP's (see bench/read_store.py). Swin-Tiny with random weights, frozen,
float32, batches of 14 bags x 10 faces, AdamW on the other parameters. An epoch includes reading,
forward pass, backward pass and optimizer step. `cache_face_tokens` computes the tokens once, as in
`milmer train` before the first epoch.

    python bench/face_tokens.py [--trials 3] [--threads 4]
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import transformers
from read_store import SEGMENTS, make_store
from torch.utils.data import DataLoader
from transformers import SwinConfig

from milmer_cli.data.dataset import BagDataset
from milmer_cli.data.feature_cache import TokenBagDataset
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import QUADRANTS
from milmer_cli.device import Device
from milmer_cli.inference.face_token_cache import cache_face_tokens
from milmer_cli.models import MilmerConfig, MilmerModel
from milmer_cli.settings import load_settings
from milmer_cli.store import PreparedStore

BATCH = 14


def epoch(model: MilmerModel, data: BagDataset | TokenBagDataset) -> float:
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-4)
    model.train()
    start = time.perf_counter()
    for batch in DataLoader(data, BATCH, shuffle=True):
        del batch["index"]
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=3, help="of 20 segments each")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = MilmerModel(MilmerConfig(backbone_config=SwinConfig()))
    model.freeze_backbone()
    device = Device.from_settings(load_settings(overrides=["run.device=cpu"]).run)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_store(folder, SEGMENTS * options.trials, options.trials)
        store = PreparedStore.open(folder)
        segments = store.segments()
        labels = np.arange(len(segments)) % 4
        start = time.perf_counter()
        files = cache_face_tokens(model, store, store.participants, folder / "tokens", device)
        once = time.perf_counter() - start
        size = sum(file.stat().st_size for file in files.values())
        rows = np.arange(len(segments))
        labeled = LabeledSegments(store, segments, labels, QUADRANTS)
        ways = {
            "from the faces": BagDataset(labeled, rows),
            "from stored tokens": TokenBagDataset(labeled, rows, "both", files),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(options.repeats):
            for way, data in ways.items():
                times[way].append(epoch(model, data))

    print(
        f"{platform.processor() or platform.machine()}, {options.threads} threads, Python "
        f"{platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}; {len(rows)} segments\n"
    )
    print("| epoch | median s | bags/s |\n|---|---|---|")
    for way, spent in times.items():
        print(f"| {way} | {np.median(spent):.1f} | {len(rows) / np.median(spent):.1f} |")
    ratios = np.divide(*times.values())
    print(
        f"\n{np.median(ratios):.1f} times as fast (pairs {ratios.min():.1f}-{ratios.max():.1f}); "
        f"computing the tokens took {once:.1f} s, once, "
        f"and {size / len(rows) / 1e6:.2f} MB a segment."
    )


if __name__ == "__main__":
    main()
