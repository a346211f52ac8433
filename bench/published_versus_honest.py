"""Change Milmer's settings into those of the published code, one step at a time.

    python bench/published_versus_honest.py --out study

Two synthetic data sets: in one, EEG and faces depend on the emotion. In the other, they depend on
the single trial only, and no model can know the emotion of a new trial. Every step keeps the
changes of the steps before it, except the last one. Prints a table, and every command before it
runs. An interrupted study continues with the same command.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from milmer_cli.datasets.synthetic import SyntheticConfig, SyntheticTruth, generate_dataset

DATA_SETS = {
    "emotion": SyntheticConfig(
        participants=4, trials=16, stimulus_s=15.0, formats=("mat",), expression_images=100
    ),
    "no emotion": SyntheticConfig(
        participants=4,
        trials=16,
        stimulus_s=15.0,
        signal=2.0,
        signal_kind="trial",
        formats=("mat",),
        expression_images=100,
    ),
}
PREPARE = ["data.source=mat", "eeg.bad_channels=keep", "eeg.eog_correction=none"]
TRAIN = ["quality.reject_ptp_uv=0", "quality.max_bad_channels=1", "quality.min_faces=0"]


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
    cumulative
        Whether later steps keep the settings.
    """

    title: str
    store: str
    protocol: str
    settings: tuple[str, ...] = ()
    cumulative: bool = True


STEPS = (
    Step("Milmer: other trials are tested", "prepared", "trial"),
    Step("EEG reshaped: electrodes and time are mixed", "layout", "trial"),
    Step("faces of another trial: videos in the order of the EEG file", "pairing", "trial"),
    Step(
        "scorer of the faces receives no gradient", "pairing", "trial", ("model.scorer=published",)
    ),
    Step("epoch selected on the test set", "pairing", "trial", ("evaluate.select_epoch_on=test",)),
    Step("segments split at random", "pairing", "segment"),
    Step(
        "one model for each participant, 20 % of the segments tested",
        "pairing",
        "segment",
        ("evaluate.per_participant=true", "evaluate.split=holdout", "evaluate.test_fraction=0.2"),
    ),
    Step(
        "only the split corrected: other trials are tested",
        "pairing",
        "trial",
        ("evaluate.select_epoch_on=validation",),
        cumulative=False,
    ),
)


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
    """Prepare the data set as Milmer does, with the published layout, and with wrong pairs."""
    common = ["--preset", "demo", *settings(*PREPARE)]
    layout = settings("eeg.layout=published")
    run("prepare", "--deap-root", folder / "data", "--out", folder / "prepared", *common)
    if not (folder / "layout").exists():
        shutil.copytree(folder / "prepared", folder / "layout")  # the faces are reused
    run("prepare", "--deap-root", folder / "data", "--out", folder / "layout", *common, *layout)
    wrong = folder / "data-wrong-pairs"
    pair_with_the_wrong_trial(folder / "data", wrong, truth)
    run("prepare", "--deap-root", wrong, "--out", folder / "pairing", *common, *layout)


def evaluate_steps(folder: Path) -> list[str]:
    """Evaluate every step; return the rows of the table."""
    rows, kept = [], list(TRAIN)
    for number, step in enumerate(STEPS):
        own = [*kept, *step.settings]
        out = folder / f"evaluation-{number}"
        command = ["evaluate", "--prepared", folder / step.store, "--swin", folder / "swin"]
        command += ["--preset", "demo", "--protocol", step.protocol, "--baselines", "none"]
        run(*command, "--out", out, *settings(*own))
        rows.append(table_row(number, step, json.loads((out / "metrics.json").read_text())))
        if step.cumulative:
            kept = own
    return rows


def table_row(number: int, step: Step, metrics: dict[str, object]) -> str:
    """Return a row of the table."""
    (model,) = metrics["protocols"][step.protocol]["models"].values()  # type: ignore[index]
    accuracy, chance = model["segment"]["accuracy"], model["chance"]
    interval = "none"
    if accuracy["low"] is not None:
        interval = f"{100 * accuracy['low']:.0f} to {100 * accuracy['high']:.0f} %"
    p_value = "none" if chance["p_value"] is None else f"{chance['p_value']:.3f}"
    change = f"{number}. {step.title}"
    return (
        f"| {change} | {step.protocol} | {100 * accuracy['value']:.1f} % | {interval} | {p_value} |"
    )


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("study"))
    parser.add_argument("--data-set", choices=DATA_SETS, action="append")
    arguments = parser.parse_args()
    tables = {}
    for name in arguments.data_set or DATA_SETS:
        folder = arguments.out / name.replace(" ", "-")
        truth = generate_dataset(folder / "data", DATA_SETS[name])
        images = folder / "data" / "expressions"
        run("finetune-swin", "--data", images, "--out", folder / "swin", "--preset", "demo")
        prepare_stores(folder, truth)
        tables[name] = evaluate_steps(folder)
    for name, rows in tables.items():
        print(f"\n{name}\n\n| change | protocol | accuracy | 95 % interval | p |")
        print("|---|---|---|---|---|")
        print("\n".join(rows))


if __name__ == "__main__":
    main()
