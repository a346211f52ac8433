"""Random reading of bags from a prepared store, compared with the rate of a training step.

    python bench/read_store.py [--bags 1600] [--threads 1]

The store resembles DEAP's (32 channels at 128 Hz, segments of 3 s, 10 JPEG faces of 224 pixels).
One process reads each bag once, in random order:

- `from the page cache`: the speed of decoding;
- `from the disk`: all files are removed from the page cache first, as if the store were larger than
  it.

The training step is a forward and backward pass of the default model with Swin-Tiny in float32. Its
batch is small, because its time is proportional to the number of faces.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import torch
from PIL import Image
from skimage import data
from torch.utils.data import default_collate
from transformers import SwinConfig

from milmer_cli.data.dataset import BagDataset
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import QUADRANTS
from milmer_cli.models import MilmerConfig, MilmerModel
from milmer_cli.store import (
    Header,
    PreparedStore,
    PreparedTrial,
    SegmentFaces,
    encode_face,
    write_index,
    write_participant,
)

INSTANCES, SEGMENTS, TRIALS, STEP = 10, 20, 40, 4
CHANNELS = tuple(f"E{number}" for number in range(32))


def make_faces(random: np.random.Generator, count: int = 200) -> list[bytes]:
    """Return encoded crops of a photograph with camera noise."""
    photo = Image.fromarray(data.astronaut())
    faces = []
    for _ in range(count):
        left, top, side = random.integers((150, 20, 150), (190, 60, 190))
        crop = photo.resize((224, 224), box=(left, top, left + side, top + side))
        noise = random.normal(0, 1, (224, 224, 1))
        faces.append(encode_face(np.clip(np.asarray(crop) + noise, 0, 255).astype(np.uint8)))
    return faces


def make_store(folder: Path, bags: int, n_trials: int = TRIALS) -> None:
    """Write a store of at least ``bags`` bags, with ``n_trials`` trials per participant."""
    random = np.random.default_rng(0)
    faces = make_faces(random)
    shape = (SEGMENTS, INSTANCES)
    names = [f"s{number + 1:02d}" for number in range(-(-bags // (SEGMENTS * n_trials)))]
    for name in names:
        trials = []
        for trial in range(1, n_trials + 1):
            images = [faces[index] for index in random.integers(len(faces), size=shape).ravel()]
            bag = SegmentFaces(
                images,
                np.ones(shape, bool),
                np.zeros(shape, np.float32),
                np.zeros((*shape, 4), np.float32),
                np.ones(shape, np.float32),
                np.full(shape, "", dtype=object),
            )
            eeg = random.normal(0, 10, (SEGMENTS, 32, 384)).astype(np.float32)
            onset = 3.0 * np.arange(SEGMENTS)
            trials.append(PreparedTrial(trial, trial, (7.0, 7.0, 5.0, 5.0), onset, eeg, bag))
        fingerprints = {"eeg": name, "faces": name}
        header = Header(name, 128.0, CHANNELS, 3.0, INSTANCES, 224, {}, fingerprints)
        write_participant(folder / f"{name}.h5", header, trials)
    write_index(folder, {}, names)


def drop_from_page_cache(folder: Path) -> None:
    for path in folder.glob("*.h5"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(folder: Path, bags: int) -> tuple[float, float]:
    """Wall time and CPU time to read bags, in seconds."""
    store = PreparedStore.open(folder)
    segments = store.segments()
    order = np.random.default_rng(1).permutation(len(segments))[:bags]
    labeled = LabeledSegments(store, segments, np.zeros(len(segments), np.int64), QUADRANTS)
    dataset = BagDataset(labeled, order)
    dataset[0]
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    for item in range(1, len(dataset)):
        dataset[item]
    return time.perf_counter() - wall_s, time.process_time() - cpu_s


def step(folder: Path, threads: int, repeats: int = 3) -> tuple[float, float]:
    """Wall time and CPU time of a training step with `STEP` bags, in seconds."""
    torch.set_num_threads(threads)
    store = PreparedStore.open(folder)
    segments = store.segments()
    labeled = LabeledSegments(store, segments, np.zeros(len(segments), np.int64), QUADRANTS)
    dataset = BagDataset(labeled, np.arange(STEP))
    batch = default_collate([dataset[item] for item in range(STEP)])
    del batch["index"]
    model = MilmerModel(MilmerConfig(backbone_config=SwinConfig())).train()
    best = (np.inf, np.inf)
    for _ in range(repeats):
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        model(**batch).loss.backward()
        took = time.perf_counter() - wall_s, time.process_time() - cpu_s
        best = (min(best[0], took[0]), min(best[1], took[1]))
    return best


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bags", type=int, default=1600)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--folder", type=Path, help="folder for the store: selects the disk to measure"
    )
    options = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
        f"h5py {h5py.__version__}, torch {torch.__version__}, {options.threads} threads\n"
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        make_store(folder, options.bags)
        size = sum(path.stat().st_size for path in folder.glob("*.h5"))
        os.sync()
        print(f"store: {size / 1e6:.0f} MB, {size / options.bags / 1e3:.0f} kB per bag\n")
        print("| what | bags/s | ms of one core per bag |")
        print("|---|---|---|")
        read(folder, options.bags)
        for what in ("from the page cache", "from the disk"):
            if what == "from the disk":
                drop_from_page_cache(folder)
            wall_s, cpu_s = read(folder, options.bags)
            print(
                f"| random reading {what} | {options.bags / wall_s:.0f} "
                f"| {1e3 * cpu_s / options.bags:.1f} |",
                flush=True,
            )
        wall_s, cpu_s = step(folder, options.threads)
        print(f"| training step, {STEP} bags | {STEP / wall_s:.2f} | {1e3 * cpu_s / STEP:.0f} |")


if __name__ == "__main__":
    main()
