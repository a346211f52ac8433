"""An epoch with a frozen backbone: from stored face tokens, against from the faces.

A store of DEAP's kind (see bench/read_store.py), Swin-Tiny with random weights, frozen, float32,
batches of 14 bags x 10 faces, AdamW on what is not frozen. An epoch is everything: reading,
forward, backward, step. The tokens are computed once, by `face_token_files`, as `milmer train`
does it before its first epoch.

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

from milmer_cli.compute import Compute
from milmer_cli.data.dataset import Bags, collate
from milmer_cli.model import MilmerConfig, MilmerModel
from milmer_cli.settings import load_settings
from milmer_cli.store import PreparedStore
from milmer_cli.training.tokens import TokenBags, face_token_files

BATCH = 14


def epoch(model: MilmerModel, data: Bags | TokenBags) -> float:
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-4)
    model.train()
    began = time.perf_counter()
    for batch in DataLoader(data, BATCH, shuffle=True, collate_fn=collate):
        del batch["index"]
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()
    return time.perf_counter() - began


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
    compute = Compute.choose(load_settings(overrides=["run.device=cpu"]).run)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_store(folder, SEGMENTS * options.trials, options.trials)
        store = PreparedStore.open(folder)
        segments = store.segments()
        labels = np.arange(len(segments)) % 4
        began = time.perf_counter()
        files = face_token_files(model, store, store.participants, folder / "tokens", compute)
        once = time.perf_counter() - began
        size = sum(file.stat().st_size for file in files.values())
        rows = np.arange(len(segments))
        args = (store, segments, labels, rows)
        ways = {
            "from the faces": Bags(*args),
            "from stored tokens": TokenBags(*args, "both", files),
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
