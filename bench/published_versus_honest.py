"""Change Milmer's settings into those of the published code, one step at a time.

    python bench/published_versus_honest.py --out study

The synthetic data set contains no emotion: EEG and face identify the single trial, and no model can
know the emotion of a new trial. Every step keeps the changes of the steps before it, and the last
one corrects the split. Prints every command before it runs, then a table; draws a figure in
``--out``. An interrupted study continues with the same command.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from milmer_cli.datasets.synthetic import SyntheticConfig, SyntheticTruth, generate_dataset
from milmer_cli.reports.plots.style import ACCENT, MUTED, SURFACE, WARNING

DATA_SET = SyntheticConfig(
    participants=3,
    trials=16,
    stimulus_s=45.0,
    signal=2.0,
    signal_kind="trial",
    formats=("mat",),
    expression_images=100,
)
PREPARE = ["data.source=mat", "eeg.bad_channels=keep", "eeg.eog_correction=none"]
EVALUATE = [
    *("quality.reject_ptp_uv=0", "quality.max_bad_channels=1", "quality.min_faces=0"),
    "train.epochs=30",
    "evaluate.baselines=none",
]


@dataclass(frozen=True)
class Step:
    """One change towards the published code.

    Attributes
    ----------
    title
        What is changed.
    store
        Prepared store that is evaluated.
    protocol
        Protocol of the evaluation.
    settings
        Settings that are added to those of the steps before.
    """

    title: str
    store: str
    protocol: str
    settings: tuple[str, ...] = ()


STEPS = (
    Step("Milmer: other trials are tested", "prepared", "trial"),
    Step("segments split at random", "prepared", "segment"),
    Step(
        "one model for each participant, 20 % of the segments tested",
        "prepared",
        "segment",
        ("evaluate.per_participant=true", "evaluate.split=holdout", "evaluate.test_fraction=0.2"),
    ),
    Step(
        "epoch selected on the test set", "prepared", "segment", ("evaluate.select_epoch_on=test",)
    ),
    Step(
        "scorer of the faces receives no gradient",
        "prepared",
        "segment",
        ("model.scorer=published",),
    ),
    Step("faces of another trial: videos in the order of the EEG file", "pairing", "segment"),
    Step("EEG reshaped: electrodes and time are mixed", "published", "segment"),
    Step(
        "only the split corrected: other trials are tested",
        "published",
        "trial",
        ("evaluate.select_epoch_on=validation", "evaluate.split=folds"),
    ),
)
"""Each step keeps the settings of the steps before it."""


def run(*arguments: object) -> None:
    """Print and run a command of Milmer."""
    words = ["milmer", *map(str, arguments)]
    print(f"\n$ {shlex.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "milmer_cli", *words[1:], "--quiet"], check=True)


def settings(*assignments: str) -> list[str]:
    """Return the assignments as arguments."""
    return [word for assignment in assignments for word in ("--set", assignment)]


def pair_with_the_wrong_trial(data: Path, out: Path, truth: SyntheticTruth) -> None:
    """Copy a data set, and name the videos as if the EEG file had the order of presentation.

    The preprocessed files are sorted by stimulus. Who reads their row k together with the video of
    the k-th presented trial pairs the EEG of one trial with the face of another.
    """
    if not out.exists():
        shutil.copytree(data, out)
        (out / "truth.json").unlink()
    for participant in truth.participants:
        folder, source = (base / "face_video" / participant.name for base in (out, data))
        shutil.rmtree(folder)
        folder.mkdir()
        for trial in participant.trials:
            shown = source / f"{participant.name}_trial{trial.stimulus:02d}.avi"
            if shown.exists():  # row number `stimulus` of the EEG file
                shutil.copy(shown, folder / f"{participant.name}_trial{trial.trial:02d}.avi")


def prepare_stores(folder: Path, truth: SyntheticTruth) -> None:
    """Prepare the data set as Milmer does, with wrong pairs, and also with the reshaped EEG."""
    common = ["--preset", "demo", *settings(*PREPARE)]
    run("prepare", "--deap-root", folder / "data", "--out", folder / "prepared", *common)
    wrong = folder / "data-wrong-pairs"
    pair_with_the_wrong_trial(folder / "data", wrong, truth)
    run("prepare", "--deap-root", wrong, "--out", folder / "pairing", *common)
    if not (folder / "published").exists():
        shutil.copytree(folder / "pairing", folder / "published")  # the faces are reused
    reshaped = settings("eeg.layout=published")
    run("prepare", "--deap-root", wrong, "--out", folder / "published", *common, *reshaped)


def evaluate_steps(folder: Path) -> list[dict[str, Any]]:
    """Evaluate every step; return the results of the model for each."""
    models, kept = [], list(EVALUATE)
    for number, step in enumerate(STEPS):
        kept += step.settings
        out = folder / f"evaluation-{number}"
        command = ["evaluate", "--prepared", folder / step.store, "--swin", folder / "swin"]
        command += ["--preset", "demo", "--protocol", step.protocol]
        run(*command, "--out", out, *settings(*kept))
        metrics = json.loads((out / "metrics.json").read_text())
        models.append(metrics["protocols"][step.protocol]["models"]["Milmer"])
    return models


def table_row(number: int, model: dict[str, Any]) -> str:
    """Return a row of the table."""
    accuracy, p_value = model["segment"]["accuracy"], model["chance"]["p_value"]
    interval = "none"
    if accuracy["low"] is not None:
        interval = f"{100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f} %"
    p = "none" if p_value is None else "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
    step, value = STEPS[number], f"{100 * accuracy['value']:.1f} %"
    return f"| {number}. {step.title} | {step.protocol} | {value} | {interval} | {p} |"


def draw(models: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the accuracy over segments after every step, with its interval where it has one."""
    figure = Figure(figsize=(8, 3.4), layout="constrained", facecolor=SURFACE)
    ax = figure.add_subplot()
    for number, model in enumerate(models):
        accuracy, leaky = model["segment"]["accuracy"], STEPS[number].protocol == "segment"
        color = WARNING if leaky else ACCENT
        if accuracy["low"] is not None:
            ax.plot([100 * accuracy["low"], 100 * accuracy["high"]], [number] * 2, color=color)
        ax.plot(100 * accuracy["value"], number, "D" if leaky else "o", color=color)
    ax.axvline(25, color=MUTED, lw=1, ls="--")
    ax.text(25, -1.05, "chance", color=MUTED, ha="center", va="bottom", fontsize=9)
    ax.set_yticks(range(len(models)), [f"{n}. {step.title}" for n, step in enumerate(STEPS)])
    meaning = "● other trials are tested, 95 % interval\n◆ LEAKY: the same trials"
    ax.set_xlabel(f"accuracy over segments (%)\n{meaning}")
    ax.set(xlim=(0, 100), ylim=(len(models) - 0.5, -1))
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("study"))
    out = parser.parse_args().out
    truth = generate_dataset(out / "data", DATA_SET)
    images = out / "data" / "expressions"
    run("finetune-swin", "--data", images, "--out", out / "swin", "--preset", "demo")
    prepare_stores(out, truth)
    models = evaluate_steps(out)
    print("\n| change | protocol | accuracy | 95 % interval | p |")
    print("|---|---|---|---|---|")
    print("\n".join(table_row(number, model) for number, model in enumerate(models)))
    draw(models, out / "published-versus-honest.png")


if __name__ == "__main__":
    main()
