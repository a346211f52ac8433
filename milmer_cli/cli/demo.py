"""``milmer demo``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.cli.command import Call, command, out_option


@command(any_setting=False)
def demo(
    call: Call,
    out: Annotated[Path, out_option("Data, store, runs and pages.")] = Path("demo"),
    signal: Annotated[
        float, typer.Option(min=0.0, help="Strength of the planted emotion; 0 plants nothing.")
    ] = 1.0,
) -> None:
    """Run everything on a small DEAP-shaped data set with known truth.

    Takes some minutes on two cores and needs no data and no network.

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

    result = run_demo(
        out,
        signal=signal,
        seed=call.settings.seed,
        stdout=sys.stderr if call.console.as_json else None,
        progress=call.progress,
    )
    call.show(result)
