"""Run the whole pipeline on a synthetic data set, each stage as a user would call it."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TextIO

import joblib

from milmer_cli.datasets.synthetic import (
    ListedTruth,
    SyntheticConfig,
    SyntheticTruth,
    generate_dataset,
    generate_listed,
)
from milmer_cli.datasets.synthetic.config import TrialTruth
from milmer_cli.datasets.synthetic.listed.truth import DEFAULT_SIZES
from milmer_cli.digests import content_digest
from milmer_cli.errors import InputError, MilmerError
from milmer_cli.folder_lock import FolderLock
from milmer_cli.formats import read_document
from milmer_cli.process_end import Terminated, child_environment
from milmer_cli.progress import SILENT, Progress
from milmer_cli.run_log import RunLog
from milmer_cli.settings import load_settings
from milmer_cli.stage_result import StageResult
from milmer_cli.training.distributed import INTERRUPTED

FOLDERS = ("data", "prepared", "swin", "run", "evaluation", "prediction")
LISTED_FOLDERS = ("data", "prepared", "run", "evaluation")
"""Folders of the demo of another data set than DEAP."""
LABELED = ("eav", "bids")
"""Data sets whose trials have a class instead of ratings, or in addition."""
PROTOCOLS = {"eav": ("trial", "participant"), "bids": ("trial", "stimulus")}
"""Protocols of the demo where those of the preset do not apply: EAV shares no stimuli, and one
participant of the BIDS data set has no faces, so a validation set could have none."""
MAX_WORKERS = 4
"""Parallel trainings of the evaluation at most; starting a process takes longer than training one
of the small networks."""


@dataclass(frozen=True, repr=False)
class DemoResult(StageResult):
    """Output folder and main result of the demo.

    Attributes
    ----------
    out
        Folder of the demo.
    headline
        Accuracy with its protocol, interval, majority rate and p-value.
    accuracies
        Accuracy over trials of the model and of each baseline under the same protocol; None if it
        is undefined.
    conclusion
        What the accuracy shows, compared with chance and with the baselines.
    verdict
        What explains the accuracy.
    seconds
        Duration of the data set's generation (``data``) and of each stage.
    folders
        Names of the folders below ``out``.
    """

    format_name: ClassVar[str] = "demo"

    out: Path
    headline: str
    accuracies: dict[str, float | None]
    conclusion: str
    verdict: str
    seconds: dict[str, float]
    folders: tuple[str, ...] = FOLDERS

    @property
    def pages(self) -> tuple[Path, ...]:
        """The report pages: of the evaluation and, if there is one, of the prediction."""
        names = [name for name in ("evaluation", "prediction") if name in self.folders]
        return tuple(self.out / name / "report.html" for name in names)

    def to_json(self) -> dict[str, Any]:
        """Return the output of ``--json``."""
        return {
            "out": str(self.out),
            "headline": self.headline,
            "accuracies": self.accuracies,
            "conclusion": self.conclusion,
            "verdict": self.verdict,
            "pages": [str(page) for page in self.pages],
            "seconds": {name: round(seconds, 1) for name, seconds in self.seconds.items()},
        }

    def summary(self) -> list[tuple[str, str]]:
        """Return the printed rows of label and value."""
        durations = ", ".join(f"{name} {seconds:.0f}" for name, seconds in self.seconds.items())
        accuracies = ", ".join(
            f"{name} {'undefined' if value is None else f'{100 * value:.0f} %'}"
            for name, value in self.accuracies.items()
        )
        return [
            ("result", self.headline),
            ("models", accuracies),
            ("conclusion", self.conclusion),
            ("verdict", self.verdict),
            ("time", f"{sum(self.seconds.values()):.0f} s: {durations}"),
            *((name, str(self.out / name)) for name in self.folders),
            *zip(("pages to open", ""), map(str, self.pages), strict=False),
        ]


def stage_arguments(
    out: Path, truth: SyntheticTruth, options: Sequence[str]
) -> Iterator[list[str]]:
    """Yield the command-line arguments of the five stages on the data set in ``out/data``.

    The prediction is that of a trial of the test set, which is known after the training. An
    unfinished training is resumed; a finished one is kept. ``options`` are added to every stage.
    """
    data, prepared, swin, run, evaluation, prediction = (out / name for name in FOLDERS)
    workers = min(MAX_WORKERS, joblib.cpu_count())
    stages: list[list[object]] = [
        ["prepare", "--deap-root", data, "--out", prepared],
        ["finetune-swin", "--data", data / "expressions", "--out", swin],
        ["train", "--prepared", prepared, "--swin", swin, "--fusion", "cross_attention"],
        ["evaluate", "--prepared", prepared, "--swin", swin, "--workers", workers],
    ]
    stages[2] += ["--out", run]
    stages[3] += ["--out", evaluation]
    preset = ["--preset", "demo", *options]
    for stage in stages:
        yield [*map(str, stage), *preset]
    participant, trial = trial_to_predict(truth, data, run)
    bdf = data / "data_original" / f"{participant}.bdf"
    files = [data / str(trial.video), bdf, "--trial", trial.trial]
    yield [*map(str, ["predict", *files, "--model", run, "--out", prediction]), *preset]


def listed_arguments(out: Path, truth: ListedTruth, options: Sequence[str]) -> Iterator[list[str]]:
    """Yield the command-line arguments of the stages on a copy of another data set than DEAP.

    ``options`` are added to every stage and take precedence.
    """
    data, prepared, run, evaluation = (out / name for name in LISTED_FOLDERS)
    name = truth.config.data_set
    workers = min(MAX_WORKERS, joblib.cpu_count())
    preset = ["--preset", "demo"]
    if name in LABELED:
        preset += ["--set", "data.target=label"]
    stages: list[list[object]] = [
        ["prepare", f"--{name}-root", data, *truth.options, "--out", prepared],
        ["train", "--prepared", prepared, "--fusion", "cross_attention", "--out", run],
        ["evaluate", "--prepared", prepared, "--workers", workers, "--out", evaluation],
    ]
    stages[2] += [word for protocol in PROTOCOLS.get(name, ()) for word in ("--protocol", protocol)]
    for stage in stages:
        yield [*map(str, stage), *preset, *options]


def trial_to_predict(truth: SyntheticTruth, data: Path, run: Path) -> tuple[str, TrialTruth]:
    """Return the participant and the first trial with a video that the model was not trained on."""
    from milmer_cli.bundle.resolve import open_bundle  # here: torch is slow to import

    used = (open_bundle(run).sources() or []) if run.exists() else []
    trained_on = {own.source.video for own in used if own.sets != ("test",)}
    return next(
        (participant.name, trial)
        for participant in truth.participants
        for trial in participant.trials
        if trial.video is not None
        and not (trained_on and content_digest(data / str(trial.video)) in trained_on)
    )


def run_stage(arguments: Sequence[str], stdout: TextIO | None) -> int:
    """Run one stage in its own process, and return its exit code.

    If this process receives SIGTERM, the stage receives it too and ends first. Ctrl-C on a terminal
    reaches both.
    """
    command = [sys.executable, "-m", "milmer_cli", *arguments]
    with subprocess.Popen(command, stdout=stdout, env=child_environment()) as process:
        try:
            return process.wait()
        except KeyboardInterrupt as error:
            if isinstance(error, Terminated):
                process.terminate()
            process.wait()
            raise


def run_demo(
    out: Path | str,
    *,
    like: str = "",
    signal: float = 1.0,
    seed: int = 0,
    overrides: Sequence[str] = (),
    stdout: TextIO | None = None,
    progress: Progress = SILENT,
) -> DemoResult:
    """Generate a synthetic data set in ``out/data`` and run each stage in its own process.

    Parameters
    ----------
    out
        Folder of the demo. Results of an earlier demo with the same arguments are kept.
    like
        Data set whose files are generated, one of `DEFAULT_SIZES`; empty for DEAP.
    signal
        As `SyntheticConfig.signal`: strength of the class information; 0 for none.
    seed
        Seed of the data set and of all stages.
    overrides
        Settings for all stages, as ``section.key=value``.
    stdout
        Where the stages print their results; None for standard output.
    progress
        Receives each command before it runs.

    Raises
    ------
    InputError
        ``out`` contains other files, or ``like`` is unknown.
    SettingsError
        An override is invalid.
    MilmerError
        A stage failed; it has printed its message to standard error.
    """
    out = Path(out)
    load_settings("demo", overrides=overrides)  # reports an invalid override before any work
    options = ["--seed", str(seed), *(word for text in overrides for word in ("--set", text))]
    start = _start_function(out, like, signal, seed)
    with FolderLock(out, f"The demo in {out} is being run"), RunLog(progress) as log:
        return log.record(_run_stages(out, lambda: start(options, log), bool(like), stdout, log))


def _start_function(
    out: Path, like: str, signal: float, seed: int
) -> Callable[[Sequence[str], RunLog], Iterator[list[str]]]:
    """Return the function that generates the data set and returns the arguments of the stages."""
    if not like:
        config = SyntheticConfig(signal=signal, seed=seed)
        return lambda options, log: stage_arguments(
            out, generate_dataset(out / "data", config, log), options
        )
    if like not in DEFAULT_SIZES:
        raise InputError(f"--like: expected one of {', '.join(DEFAULT_SIZES)}, got {like}.")
    listed = replace(DEFAULT_SIZES[like], signal=signal, seed=seed)
    return lambda options, log: listed_arguments(
        out, generate_listed(out / "data", listed, log), options
    )


def _run_stages(
    out: Path,
    generate: Callable[[], Iterator[list[str]]],
    is_listed: bool,
    stdout: TextIO | None,
    progress: RunLog,
) -> DemoResult:
    """Run all stages in a locked folder; see `run_demo`."""
    start = time.monotonic()
    stages = generate()
    progress.open(out)
    seconds = {"data": time.monotonic() - start}
    for arguments in stages:
        progress.note(f"\n$ {shlex.join(['milmer', *arguments])}", "step")
        start = time.monotonic()
        exit_code = run_stage(arguments, stdout)
        if exit_code == INTERRUPTED:
            raise KeyboardInterrupt
        if exit_code:
            raise MilmerError(
                f"milmer {arguments[0]} failed with exit code {exit_code}.",
                "See its message above, and run that command separately to examine it.",
            )
        seconds[arguments[0]] = time.monotonic() - start
    metrics = read_document(
        out / "evaluation" / "metrics.json", "evaluation", ("protocols", "headline")
    )
    models = metrics["protocols"][metrics["protocol"]]["models"]
    return DemoResult(
        out=out,
        headline=metrics["headline"],
        accuracies={name: scores["trial"]["accuracy"]["value"] for name, scores in models.items()},
        conclusion=metrics["conclusion"],
        verdict=metrics["verdict"],
        seconds=seconds,
        folders=LISTED_FOLDERS if is_listed else FOLDERS,
    )
