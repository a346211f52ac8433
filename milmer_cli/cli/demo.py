"""``milmer demo``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.cli.command import Call, command, out_option


@command(flags={"--device": "run.device"}, any_setting=False)
def demo(
    call: Call,
    out: Annotated[Path, out_option("Data, store, runs and pages.")] = Path("demo"),
    signal: Annotated[
        float, typer.Option(min=0.0, help="Strength of the planted emotion; 0 plants nothing.")
    ] = 1.0,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.KEY=VALUE",
            help="One setting for all stages, over those of the preset demo; repeatable.",
        ),
    ] = None,
) -> None:
    """Run everything on a small DEAP-shaped data set with known truth.

    Takes some minutes on two cores and needs no data and no network. Called again, it goes on where
    it was interrupted and keeps what is finished.

    Example:
      milmer demo --out demo
      milmer demo --out null --signal 0

    Writes:
      demo/data/                     BDF, AVI and ratings as in DEAP
      demo/prepared/  demo/swin/  demo/run/
      demo/evaluation/report.html    two pages to open
      demo/prediction/report.html
    """
    from milmer_cli.demo.run import run_demo

    device = call.asked.get("run.device")
    result = run_demo(
        out,
        signal=signal,
        seed=call.settings.seed,
        overrides=[*(overrides or ()), *([f"run.device={device.value}"] if device else [])],
        stdout=sys.stderr if call.console.as_json else None,
        progress=call.progress,
    )
    call.show(result)
