"""Bags read at random from a prepared store, against what a training step consumes.

    python bench/read_store.py [--bags 1600] [--threads 1]

A store of DEAP's kind (32 channels at 128 Hz, 3 s, 10 faces of 224 pixels as JPEG). Each bag is
read once, in random order, by one process:

- `in memory`: the files are in the page cache, so this is what decoding costs;
- `from the disk`: every file is dropped from the page cache first, as with a store that is larger
  than it.

The training step is the default model with Swin-Tiny, float32, forward and backward; of few bags,
so that it fits anywhere: its cost is that of its faces.
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
from transformers import SwinConfig

from milmer_cli.data.dataset import Bags, collate
from milmer_cli.model import MilmerConfig, MilmerModel
from milmer_cli.store import (
    EncodedFaces,
    Header,
    PreparedStore,
    PreparedTrial,
    encode_face,
    write_index,
    write_participant,
)

INSTANCES, SEGMENTS, TRIALS, STEP = 10, 20, 40, 4
CHANNELS = tuple(f"E{number}" for number in range(32))


def some_faces(random: np.random.Generator, count: int = 200) -> list[bytes]:
    """Crops of a photograph with camera noise, about as large as those of a video."""
    picture = Image.fromarray(data.astronaut())
    faces = []
    for _ in range(count):
        left, top, side = random.integers((150, 20, 150), (190, 60, 190))
        crop = picture.resize((224, 224), box=(left, top, left + side, top + side))
        noise = random.normal(0, 1, (224, 224, 1))
        faces.append(encode_face(np.clip(np.asarray(crop) + noise, 0, 255).astype(np.uint8)))
    return faces


def make_store(folder: Path, bags: int, n_trials: int = TRIALS) -> None:
    """Make a store of at least so many bags, participants having ``n_trials`` trials each."""
    random = np.random.default_rng(0)
    faces = some_faces(random)
    shape = (SEGMENTS, INSTANCES)
    names = [f"s{number + 1:02d}" for number in range(-(-bags // (SEGMENTS * n_trials)))]
    for name in names:
        trials = []
        for trial in range(1, n_trials + 1):
            images = [faces[index] for index in random.integers(len(faces), size=shape).ravel()]
            bag = EncodedFaces(
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
        prints = {"eeg": name, "faces": name}
        header = Header(name, 128.0, CHANNELS, 3.0, INSTANCES, 224, {}, prints)
        write_participant(folder / f"{name}.h5", header, trials)
    write_index(folder, {}, names)


def drop(folder: Path) -> None:
    for path in folder.glob("*.h5"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(folder: Path, bags: int) -> tuple[float, float]:
    """Seconds of the clock and of the processor, to read so many bags."""
    store = PreparedStore.open(folder)
    segments = store.segments()
    order = np.random.default_rng(1).permutation(len(segments))[:bags]
    held = Bags(store, segments, np.zeros(len(segments), np.int64), order)
    held[0]
    clock, spent = time.perf_counter(), time.process_time()
    for item in range(1, len(held)):
        held[item]
    return time.perf_counter() - clock, time.process_time() - spent


def step(folder: Path, threads: int, repeats: int = 3) -> tuple[float, float]:
    """Seconds of the clock and of the processor, for a training step of `STEP` bags."""
    torch.set_num_threads(threads)
    store = PreparedStore.open(folder)
    segments = store.segments()
    held = Bags(store, segments, np.zeros(len(segments), np.int64), np.arange(STEP))
    batch = collate([held[item] for item in range(STEP)])
    del batch["index"]
    model = MilmerModel(MilmerConfig(backbone_config=SwinConfig())).train()
    best = (np.inf, np.inf)
    for _ in range(repeats):
        clock, spent = time.perf_counter(), time.process_time()
        model(**batch).loss.backward()
        took = time.perf_counter() - clock, time.process_time() - spent
        best = (min(best[0], took[0]), min(best[1], took[1]))
    return best


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bags", type=int, default=1600)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--folder", type=Path, help="where the store is made: which disk to measure"
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
        print(f"store: {size / 1e6:.0f} MB, {size / options.bags / 1e3:.0f} kB a bag\n")
        print("| what | bags/s | ms of one core a bag |")
        print("|---|---|---|")
        read(folder, options.bags)
        for what in ("in memory", "from the disk"):
            if what == "from the disk":
                drop(folder)
            clock, spent = read(folder, options.bags)
            print(
                f"| read at random, {what} | {options.bags / clock:.0f} "
                f"| {1e3 * spent / options.bags:.1f} |",
                flush=True,
            )
        clock, spent = step(folder, options.threads)
        print(f"| training step, {STEP} bags | {STEP / clock:.2f} | {1e3 * spent / STEP:.0f} |")


if __name__ == "__main__":
    main()
