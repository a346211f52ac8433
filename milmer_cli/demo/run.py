"""The whole pipeline on the demo data set, each stage as a user would call it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from milmer_cli.demo.dataset import make_demo_data
from milmer_cli.demo.spec import DemoSpec
from milmer_cli.errors import MilmerError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import load_settings


@dataclass(frozen=True)
class DemoResult:
    """Where the demo left its results, and its one number with what it has to be read with.

    Attributes
    ----------
    out
        Folder of the demo.
    headline
        Accuracy with its protocol, interval, majority rate and p-value.
    majority_rate
        Accuracy of always naming the commonest class of the training part.
    seconds
        How long it took: the data set, then each stage by its name.
    """

    out: Path
    headline: str
    majority_rate: float
    seconds: dict[str, float]

    @property
    def pages(self) -> tuple[Path, Path]:
        """The evaluation and the prediction report."""
        return self.out / "evaluation" / "report.html", self.out / "prediction" / "report.html"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "out": str(self.out),
            "headline": self.headline,
            "majority_rate": self.majority_rate,
            "pages": [str(page) for page in self.pages],
            "seconds": {name: round(seconds, 1) for name, seconds in self.seconds.items()},
        }

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        folders = ("data", "prepared", "swin", "run", "evaluation", "prediction")
        return [
            ("result", self.headline),
            ("majority rate", f"{self.majority_rate:.1%}"),
            (
                "time",
                f"{sum(self.seconds.values()):.0f} s: "
                + ", ".join(f"{name} {seconds:.0f}" for name, seconds in self.seconds.items()),
            ),
            *((name, str(self.out / name)) for name in folders),
            ("open this page", str(self.pages[0])),
            ("and this", str(self.pages[1])),
        ]


def stage_commands(
    out: Path, video: Path, eeg: Path, trial: int, options: Sequence[str]
) -> list[list[str]]:
    """Arguments of ``milmer`` for the five stages on the data set in ``out/data``.

    A training whose folder is there already is resumed; a finished one is left as it is.

    Parameters
    ----------
    out
        Folder of the demo.
    video, eeg, trial
        What `milmer predict` is shown.
    options
        Of every stage, beside the preset.
    """
    prepared, swin, run = out / "prepared", out / "swin", out / "run"
    stages: list[list[object]] = [
        ["prepare", "--deap-root", out / "data", "--out", prepared],
        ["finetune-swin", "--data", out / "data" / "expressions", "--out", swin],
        ["train", "--prepared", prepared, "--swin", swin, "--fusion", "cross_attention"],
        ["evaluate", "--prepared", prepared, "--swin", swin, "--folds", 4, "--protocol", "trial"],
        ["predict", video, eeg, "--trial", trial, "--model", run],
    ]
    stages[2] += ["--out", run]
    stages[3] += ["--out", out / "evaluation"]
    stages[4] += ["--out", out / "prediction"]
    for stage, folder in ((stages[1], swin), (stages[2], run)):
        stage += ["--resume"] if folder.is_dir() else []
    return [[*map(str, stage), "--preset", "demo", *options] for stage in stages]


def run_demo(
    out: Path,
    *,
    signal: float = 1.0,
    seed: int = 0,
    overrides: Sequence[str] = (),
    stdout: TextIO | None = None,
    progress: Progress = SILENT,
) -> DemoResult:
    """Make the demo data set in ``out/data`` and run the five stages, each in its own process.

    Parameters
    ----------
    out
        Folder of the demo; what an earlier demo with the same arguments left there is kept.
    signal
        Strength of what EEG and faces say about the quadrant; 0 for the null twin.
    seed
        Seed of the data set and of the stages.
    overrides
        Settings for all stages, as ``section.key=value``.
    stdout
        Where the stages print their results; None for where this process prints.
    progress
        Told each command before it runs.

    Raises
    ------
    InputError
        ``out`` holds something else than this demo.
    SettingsError
        An override is wrong.
    MilmerError
        A stage failed; its own message is on standard error.
    """
    load_settings("demo", overrides=overrides)  # before minutes of work, not after
    began = time.monotonic()
    truth = make_demo_data(out / "data", DemoSpec(signal=signal, seed=seed), progress)
    who = truth.participants[0]
    shown = next(trial for trial in who.trials if trial.video is not None)
    video = out / "data" / str(shown.video)
    eeg = out / "data" / "data_original" / f"{who.name}.bdf"
    seconds = {"data": time.monotonic() - began}
    options = ["--seed", str(seed), *(word for text in overrides for word in ("--set", text))]
    for arguments in stage_commands(out, video, eeg, shown.trial, options):
        progress.note(f"\n$ {shlex.join(['milmer', *arguments])}")
        began = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-m", "milmer_cli", *arguments], stdout=stdout, check=False
        )
        if ended.returncode:
            raise MilmerError(
                f"milmer {arguments[0]} ended with exit code {ended.returncode}.",
                "Its message stands above; run that command by itself to look closer.",
            )
        seconds[arguments[0]] = time.monotonic() - began
    metrics = json.loads((out / "evaluation" / "metrics.json").read_text(encoding="utf-8"))
    return DemoResult(
        out=out,
        headline=metrics["headline"],
        majority_rate=metrics["scores"]["majority"],
        seconds=seconds,
    )
