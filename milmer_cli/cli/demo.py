"""``milmer demo``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from milmer_cli.cli.options import CommandContext, command, out_option
from milmer_cli.cli.setting_names import complete_setting

LikeDataSet = Literal["eav", "mahnob", "amigos", "bids"]


@command(flags={"--device": "run.device"}, any_setting=False)
def demo(
    context: CommandContext,
    out: Annotated[Path, out_option("Folder for data, store, runs and pages.")] = Path("demo"),
    like: Annotated[
        LikeDataSet | None,
        typer.Option(
            "--like",
            help="Data set whose files are written and read; default: DEAP.",
            show_default=False,
        ),
    ] = None,
    signal: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=100.0,
            help="Strength of the simulated emotion in EEG and faces; 0 for none.",
        ),
    ] = 1.0,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.KEY=VALUE",
            help="Value of one setting for all stages; takes precedence over the preset demo. "
            "Repeatable.",
            autocompletion=complete_setting,
        ),
    ] = None,
) -> None:
    """Run all stages on a small synthetic data set with known truth.

    The EEG depends on arousal only and the facial expressions depend on valence only, so that one
    modality cannot distinguish the four quadrants and both together can.

    --like writes EAV, MAHNOB-HCI, AMIGOS or a BIDS data set instead of DEAP, with the
    irregularities of their files (data/truth.json lists them), and runs prepare, train and
    evaluate. It shows that files are read correctly: these data sets are so small that a model may
    be at chance.

    Takes four to ten minutes on two cores and needs no data and no network. If interrupted, the
    same command continues and keeps finished stages.

    Example:
      milmer demo --out demo
      milmer demo --out null --signal 0
      milmer demo --like mahnob --out demo-mahnob

    Writes:
      demo/data/                     BDF, AVI and ratings, as in DEAP
      demo/prepared/  demo/swin/  demo/run/
      demo/evaluation/report.html    two pages to open
      demo/prediction/report.html
    """
    from milmer_cli.stages.demo import run_demo

    device = context.given.get("run.device")
    result = run_demo(
        out,
        like=like or "",
        signal=signal,
        seed=context.settings.seed,
        overrides=[*(overrides or ()), *([f"run.device={device.value}"] if device else [])],
        stdout=sys.stderr if context.console.as_json else None,
        progress=context.progress,
    )
    context.print_result(result)
