"""The whole pipeline on the demo data set, each stage as a user would call it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from milmer_cli.demo.dataset import make_demo_data
from milmer_cli.demo.spec import DemoSpec
from milmer_cli.errors import MilmerError
from milmer_cli.progress import SILENT, Progress


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
        How long it all took.
    """

    out: Path
    headline: str
    majority_rate: float
    seconds: float

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
            "seconds": round(self.seconds, 1),
        }

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        folders = ("data", "prepared", "swin", "run", "evaluation", "prediction")
        return [
            ("result", self.headline),
            ("majority rate", f"{self.majority_rate:.1%}"),
            ("time", f"{self.seconds:.0f} s"),
            *((name, str(self.out / name)) for name in folders),
            ("open this page", str(self.pages[0])),
            ("and this", str(self.pages[1])),
        ]


def stage_commands(out: Path, video: Path, eeg: Path, trial: int, seed: int) -> list[list[str]]:
    """Arguments of ``milmer`` for the five stages on the data set in ``out/data``.

    Parameters
    ----------
    out
        Folder of the demo.
    video, eeg, trial
        What `milmer predict` is shown.
    seed
        Seed of every stage.
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
    return [[*map(str, stage), "--preset", "demo", "--seed", str(seed)] for stage in stages]


def run_demo(
    out: Path,
    *,
    signal: float = 1.0,
    seed: int = 0,
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
    stdout
        Where the stages print their results; None for where this process prints.
    progress
        Told each command before it runs.

    Raises
    ------
    InputError
        ``out`` holds something else than this demo.
    MilmerError
        A stage failed; its own message is on standard error.
    """
    began = time.monotonic()
    truth = make_demo_data(out / "data", DemoSpec(signal=signal, seed=seed), progress)
    who = truth.participants[0]
    shown = next(trial for trial in who.trials if trial.video is not None)
    video = out / "data" / str(shown.video)
    eeg = out / "data" / "data_original" / f"{who.name}.bdf"
    for arguments in stage_commands(out, video, eeg, shown.trial, seed):
        progress.note(f"\n$ {shlex.join(['milmer', *arguments])}")
        ended = subprocess.run(
            [sys.executable, "-m", "milmer_cli", *arguments], stdout=stdout, check=False
        )
        if ended.returncode:
            raise MilmerError(
                f"milmer {arguments[0]} ended with exit code {ended.returncode}.",
                "Its message stands above; run that command by itself to look closer.",
            )
    metrics = json.loads((out / "evaluation" / "metrics.json").read_text(encoding="utf-8"))
    return DemoResult(
        out=out,
        headline=metrics["headline"],
        majority_rate=metrics["scores"]["majority"],
        seconds=time.monotonic() - began,
    )
