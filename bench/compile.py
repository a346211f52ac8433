"""Measure how long tracing a compiled Swin takes: with all axes dynamic, and with the batch only.

Only tracing is measured, on the CPU and without code generation (backend ``aot_eager``): it is the
part that grows with the number of blocks on every device. A training step of one bag of 10 faces,
forward and backward, is followed by a step of two bags, which shows whether another batch size is
traced again.

    python bench/compile.py [--depths 1 1] [--ways batch all]
"""

from __future__ import annotations

import argparse
import functools
import time
from dataclasses import replace

import torch
from torch._dynamo.utils import counters
from transformers import SwinConfig

from milmer_cli.device import Device
from milmer_cli.models import MilmerConfig, MilmerModel
from milmer_cli.settings.schema import RunSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", type=int, nargs="+", default=[1, 1])
    parser.add_argument("--ways", nargs="+", default=["batch", "all"], choices=("batch", "all"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.compile = functools.partial(torch.compile, backend="aot_eager")
    heads = [3, 6, 12, 24][: len(options.depths)]
    print(f"torch {torch.__version__}, blocks a stage: {options.depths}\n")
    print("| dynamic axes | bags | s | graphs so far |\n|---|---|---|---|")
    for way in options.ways:
        torch._dynamo.reset()
        counters.clear()
        swin = SwinConfig(depths=options.depths, num_heads=heads)
        model = MilmerModel(MilmerConfig(backbone_config=swin, num_heads=12)).train()
        if way == "all":
            model.backbone.forward = torch.compile(model.backbone.forward, dynamic=True)
        else:
            device = Device.from_settings(RunSettings(device="cpu"))
            replace(device, compiled=True).compile(model.backbone)
        for bags in (1, 2):
            start = time.perf_counter()
            faces = torch.randint(0, 256, (bags, 10, 224, 224, 3), dtype=torch.uint8)
            labels = torch.zeros(bags, dtype=torch.int64)
            model(eeg=torch.randn(bags, 32, 384), faces=faces, labels=labels).loss.backward()
            spent, graphs = time.perf_counter() - start, counters["stats"]["unique_graphs"]
            print(f"| {way} | {bags} | {spent:.1f} | {graphs} |", flush=True)


if __name__ == "__main__":
    main()
