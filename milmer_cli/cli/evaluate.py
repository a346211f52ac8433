"""``milmer evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.cli.options import (
    MODEL_FLAGS,
    STORE,
    CommandContext,
    check_backbone,
    command,
    dry_run_option,
    folder_option,
    out_option,
    prepared_option,
)
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
    "--calibration-trials": "evaluate.calibration_trials",
    "--noise-floor": "evaluate.noise_floor",
    "--workers": "run.workers",
}


def _print_splits(requested: bool) -> None:
    if not requested:
        return
    from milmer_cli.data.named_splits import named_splits

    for split in named_splits():
        typer.echo(split.line)
    raise typer.Exit


@command(FLAGS)
def evaluate(
    context: CommandContext,
    prepared: Annotated[Path | None, prepared_option(show_default=str(STORE))] = None,
    train_on: Annotated[
        Path | None,
        folder_option("--train-on", "Prepared store to train on, with --test-on."),
    ] = None,
    test_on: Annotated[
        Path | None,
        folder_option(
            "--test-on",
            "Prepared store of another data set to test on, once, with the models of --train-on.",
        ),
    ] = None,
    run: Annotated[
        Path | None,
        folder_option("--run", "Run folder to score on its own test set, without training."),
    ] = None,
    splits: Annotated[
        str | None,
        typer.Option(
            "--splits",
            metavar="NAME|FILE",
            help="Use the folds of a split of --list-splits, or in the splits.json of an earlier "
            "evaluation or training.",
        ),
    ] = None,
    list_splits: Annotated[
        bool,
        typer.Option(
            "--list-splits",
            help="List the splits of DEAP that ship with Milmer.",
            callback=_print_splits,
            is_eager=True,
        ),
    ] = False,
    out: Annotated[Path, out_option("Folder for the evaluation.")] = Path("evaluation"),
    list_baselines: Annotated[
        bool,
        typer.Option("--list-baselines", help="List the names for --baselines, and evaluate none."),
    ] = False,
    dry_run: Annotated[
        bool,
        dry_run_option("Run every check, time a few steps of each model, show the total cost."),
    ] = False,
) -> None:
    """Cross-validate under one or several protocols, with chance level and baselines.

    Trained folds are kept in the output folder: if interrupted, the same command continues.

    Example:
      milmer evaluate --prepared prepared --folds 5 --protocol trial --out evaluation
      milmer evaluate --prepared prepared --protocol segment --protocol trial --protocol participant
      milmer evaluate --prepared prepared --baselines majority,de-svm,eeg-only,face-only
      milmer evaluate --prepared prepared --ablate model.fusion=none,mlp,cross_attention
      milmer evaluate --prepared prepared --splits deap-participant-loo
      milmer evaluate --prepared prepared --run runs/first --out evaluation
      milmer evaluate --train-on deap --test-on mahnob --out evaluation
      milmer evaluate --prepared prepared --folds 5 --dry-run

    Writes:
      evaluation/report.html       one page to open
      evaluation/metrics.json      scores, intervals, chance level, comparisons
      evaluation/predictions.csv   one row per segment
      evaluation/splits.json       the folds, for --splits
    """
    if list_baselines:
        from milmer_cli.evaluation.baseline_list import BaselineList

        context.print_result(BaselineList())
        return
    _check_stores(context, train_on, test_on, prepared is not None or run is not None, splits)
    prepared = train_on or prepared or STORE
    if not prepared.is_dir():
        raise InputError(
            f"--prepared: expected the folder of a prepared store, {prepared} does not exist.",
            "Run `milmer prepare`, or give the folder with --prepared.",
        )
    _check_flags(context, run, splits)
    progress = context.progress
    if run is not None and dry_run:
        raise InputError(
            "--dry-run cannot be combined with --run, which trains nothing.",
            "Leave one of them out.",
        )
    if run is not None:
        from milmer_cli.stages.evaluate_run import evaluate_run

        context.print_result(evaluate_run(run, prepared, out, context.settings, progress))
        return
    check_backbone(context.settings.model)
    settings = context.settings_for_store()
    if dry_run:
        from milmer_cli.stages.evaluate import evaluate_dry_run

        context.print_result(
            evaluate_dry_run(
                prepared, out, settings, splits=splits, test_on=test_on, progress=progress
            )
        )
        return
    from milmer_cli.stages.evaluate import evaluate as evaluate_stage

    context.print_result(
        evaluate_stage(prepared, out, settings, splits=splits, test_on=test_on, progress=progress)
    )


def _check_stores(
    context: CommandContext,
    train_on: Path | None,
    test_on: Path | None,
    other_data: bool,
    splits: str | None,
) -> None:
    """Reject --train-on without --test-on, and flags that they would silently override."""
    if train_on is None and test_on is None:
        return
    if train_on is None or test_on is None:
        raise InputError(
            "--train-on and --test-on name the two stores of one evaluation: expected both.",
            "Give the store for training with --train-on and the other one with --test-on.",
        )
    given = {entry.origin for entry in context.given.values()}
    conflicts = sorted(given & {"--protocol", "--folds", "--participants", "--calibration-trials"})
    if other_data or splits or conflicts:
        named = conflicts or ["--splits"] if splits or conflicts else ["--prepared or --run"]
        raise InputError(
            f"{', '.join(named)} cannot be combined with --train-on and --test-on, which define "
            "the data and the only fold.",
            "Leave them out, or leave out --train-on and --test-on.",
        )


def _check_flags(context: CommandContext, run: Path | None, splits: str | None) -> None:
    """Reject flags that ``--run`` or ``--splits`` would silently override."""
    if run is not None and splits is not None:
        raise InputError("--run and --splits cannot be combined.", "Leave one of them out.")
    given = {entry.origin for entry in context.given.values()}
    for flag, path, ignored, reason in (
        ("--run", run, FLAGS.keys() - {"--workers"}, "which has its own split and model"),
        ("--splits", splits, SPLIT_FLAGS.keys(), "which defines the folds"),
    ):
        if path is not None and (conflicts := sorted(ignored & given)):
            raise InputError(
                f"{', '.join(conflicts)} cannot be combined with {flag}, {reason}.",
                f"Leave {flag} out to train and test with other folds.",
            )
