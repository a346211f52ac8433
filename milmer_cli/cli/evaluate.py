"""``milmer evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from milmer_cli.cli.command import MODEL_FLAGS, Call, command, folder_option, out_option
from milmer_cli.errors import InputError

FLAGS = {**MODEL_FLAGS, "--folds": "evaluate.folds", "--protocol": "evaluate.protocol"}


@command(FLAGS)
def evaluate(
    call: Call,
    prepared: Annotated[Path, folder_option("--prepared", "The prepared store.")],
    run: Annotated[
        Path | None, folder_option("--run", "Score this run on its own test part; no folds.")
    ] = None,
    out: Annotated[Path, out_option("The evaluation.")] = Path("evaluation"),
) -> None:
    """Train and test by folds under a protocol, and report accuracy beside chance.

    Example:
      milmer evaluate --prepared prepared --folds 5 --protocol trial --out evaluation
      milmer evaluate --prepared prepared --run runs/first --out evaluation

    Writes:
      evaluation/report.html       one page to open
      evaluation/metrics.json      scores, intervals, chance
      evaluation/predictions.csv   one row a segment
    """
    from milmer_cli.stages.evaluate import evaluate as stage

    given = FLAGS.keys() & {wish.origin for wish in call.asked.values()}
    if run is not None and given:
        raise InputError(
            f"{', '.join(sorted(given))} cannot stand beside --run, which has its own split.",
            "Leave --run out to train and test by folds.",
        )
    call.show(stage(prepared, out, call.settings, run=run, progress=call.progress))
