"""Write the files that `test_released_formats` reads, with the formats of the installed version.

Run it once before a release, from the root of the repository, and add the files to git::

    python tests/released/write_fixture.py

The folder ``tests/released/VERSION`` gets a prepared store, a run, an evaluation, a prediction and
the recording that was predicted. The folder of a released version is never written again;
``--replace`` is for a version that is not released yet.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # for helpers

import edfio  # noqa: E402
import numpy as np  # noqa: E402

import milmer_cli  # noqa: E402
from helpers import STORE_CHANNELS, write_labeled_store  # noqa: E402
from milmer_cli.prediction.request import Outputs, Request  # noqa: E402
from milmer_cli.settings import load_settings  # noqa: E402
from milmer_cli.stages.evaluate_run import evaluate_run  # noqa: E402
from milmer_cli.stages.predict import predict  # noqa: E402
from milmer_cli.stages.train import train  # noqa: E402

SETTINGS = [
    "model.backbone=scratch:micro",
    "model.modalities=eeg",
    "model.dim_feedforward=8",
    "model.num_layers=1",
    "train.epochs=1",
    "train.batch_size=8",
    "evaluate.n_bootstraps=100",
    "evaluate.n_permutations=100",
    "run.device=cpu",
    "run.report_to=none",
]
SFREQ_HZ, SECONDS = 128, 2
NOT_READ = ("*.png", "*.html", "tensorboard", "folds", ".milmer.lock")
MAX_BYTES = 330_000


def write_recording(path: Path) -> None:
    """Write an EEG recording with the channels of the store, in microvolts."""
    rng = np.random.default_rng(0)
    signals = [
        edfio.EdfSignal(rng.normal(size=SFREQ_HZ * SECONDS) * 10, SFREQ_HZ, label=name,
                        physical_dimension="uV")
        for name in STORE_CHANNELS
    ]  # fmt: skip
    edfio.Edf(signals).write(path)


def write_fixture(folder: Path) -> None:
    """Write all files into a new folder."""
    settings = load_settings(overrides=SETTINGS)
    write_labeled_store(folder / "prepared", participants=1, trials=8, segments=1)
    train(folder / "prepared", folder / "run", settings)
    evaluate_run(folder / "run", folder / "prepared", folder / "evaluation", settings)
    write_recording(folder / "recording.edf")
    request = Request(eeg=folder / "recording.edf", eeg_onset_s=0.0, duration_s=SECONDS)
    predict(request, folder / "run", Outputs(folder / "prediction"), settings)
    for pattern in NOT_READ:
        for path in sorted(folder.rglob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def main() -> None:
    """Write the folder of the installed version."""
    os.chdir(HERE)  # the files contain relative paths
    folder = Path(milmer_cli.__version__)
    if folder.exists():
        if "--replace" not in sys.argv[1:]:
            sys.exit(f"{folder} exists. Give --replace if this version is not released.")
        shutil.rmtree(folder)
    write_fixture(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > MAX_BYTES:
        sys.exit(f"{folder} has {size} bytes, expected at most {MAX_BYTES}.")
    sys.stdout.write(f"{folder}: {size} bytes\n")


if __name__ == "__main__":
    main()
