"""``milmer evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.cli.command import MODEL_FLAGS, Call, command, folder_option, out_option
from milmer_cli.errors import InputError

SPLIT_FLAGS = {
    "--protocol": "evaluate.protocols",
    "--folds": "evaluate.folds",
    "--seeds": "evaluate.seeds",
}
FLAGS = {
    **MODEL_FLAGS,
    **SPLIT_FLAGS,
    "--baselines": "evaluate.baselines",
    "--ablate": "evaluate.ablate",
    "--workers": "run.workers",
}
SPLITS_HELP = "Use the folds that an evaluation or a training wrote to its splits.json."


@command(FLAGS)
def evaluate(
    call: Call,
    prepared: Annotated[Path, folder_option("--prepared", "The prepared store.")],
    run: Annotated[
        Path | None, folder_option("--run", "Score this run on its own test part; no folds.")
    ] = None,
    splits: Annotated[
        Path | None,
        typer.Option("--splits", metavar="FILE", help=SPLITS_HELP, exists=True, dir_okay=False),
    ] = None,
    out: Annotated[Path, out_option("The evaluation.")] = Path("evaluation"),
) -> None:
    """Train and test by folds under one or several protocols, beside chance and baselines.

    Finished trainings are kept in the output folder: after an interruption the same command goes
    on where it was.

    Example:
      milmer evaluate --prepared prepared --folds 5 --protocol trial --out evaluation
      milmer evaluate --prepared prepared --protocol segment --protocol trial --protocol participant
      milmer evaluate --prepared prepared --ablate model.fusion=none,mlp,cross_attention
      milmer evaluate --prepared prepared --run runs/first --out evaluation

    Writes:
      evaluation/report.html       one page to open
      evaluation/metrics.json      scores, intervals, chance, comparisons
      evaluation/predictions.csv   one row a segment
      evaluation/splits.json       the folds, for --splits
    """
    from milmer_cli.stages.evaluate import evaluate as stage

    given = {wish.origin for wish in call.asked.values()}
    own = FLAGS.keys() - {"--workers"}
    for flag, refused, why in (
        ("--run", own & given if run else set(), "which has its own split and model"),
        ("--splits", SPLIT_FLAGS.keys() & given if splits else set(), "which says all of that"),
    ):
        if refused:
            raise InputError(
                f"{', '.join(sorted(refused))} cannot stand beside {flag}, {why}.",
                f"Leave {flag} out to train and test by other folds.",
            )
    if run is not None and splits is not None:
        raise InputError("--run and --splits exclude each other.", "Leave one of them out.")
    result = stage(prepared, out, call.settings, run=run, splits=splits, progress=call.progress)
    call.show(result)
