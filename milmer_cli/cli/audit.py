"""``milmer audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from milmer_cli.cli.options import CommandContext, command, out_option
from milmer_cli.errors import InputError

ClaimedProtocol = Literal["trial", "session", "participant", "stimulus", "participant-stimulus"]
FLAGS = {
    "--n-permutations": "evaluate.n_permutations",
    "--n-bootstraps": "evaluate.n_bootstraps",
    "--confidence-level": "evaluate.confidence_level",
    "--equivalence-margin": "evaluate.equivalence_margin",
}


def _table(help_text: str) -> object:
    return typer.Option(metavar="FILE.csv", help=help_text, exists=True, dir_okay=False)


@command(FLAGS)
def audit(
    context: CommandContext,
    predictions: Annotated[
        Path, typer.Argument(help="Table of predictions (CSV).", exists=True, dir_okay=False)
    ],
    split_table: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SPLITS]", help="The same as --splits.", exists=True, dir_okay=False
        ),
    ] = None,
    splits: Annotated[
        Path | None, _table("Table that states what each fold was trained on.")
    ] = None,
    history: Annotated[Path | None, _table("Training history, one row per epoch.")] = None,
    protocol: Annotated[
        ClaimedProtocol | None,
        typer.Option(help="Protocol that the authors claim; inferred by default."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Audit the rows with this value in the column model.")
    ] = None,
    column_map: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=NAME",
            help="Name of a column in the files, for example truth=emotion; an empty name hides "
            "the column. Repeatable.",
        ),
    ] = None,
    out: Annotated[Path, out_option("Folder for the audit.")] = Path("audit"),
) -> None:
    """Check predictions of a model trained anywhere: leaks, chance, shortcuts.

    The table has one row per tested segment or trial. Its columns are participant, trial,
    stimulus, truth, predicted or p_CLASS (one per class), fold and seed; onset_s and duration_s
    are optional. Many other spellings are recognized. Without a split table, rows with the same
    fold were tested together by a model trained on all other folds.

    Exit code: 1 if a leak is found, 0 otherwise.

    Example:
      milmer audit predictions.csv
      milmer audit predictions.csv splits.csv --protocol participant
      milmer audit results.csv --map truth=emotion --map participant=vp --json

    Writes:
      audit/audit.json     protocol, accuracy, chance level, leaks and verdict
      audit/report.html    one page to open
    """
    from milmer_cli.audit.result import AuditRequest
    from milmer_cli.metrics import ResamplingOptions
    from milmer_cli.stages.audit import audit as audit_stage

    if split_table is not None and splits is not None:
        raise InputError("SPLITS and --splits cannot be combined.", "Leave one of them out.")
    request = AuditRequest(
        predictions,
        splits=splits or split_table,
        history=history,
        names=dict(map(_assignment, column_map or [])),
        only={"model": model} if model is not None else {},
        claimed=protocol or "",
    )
    options = ResamplingOptions.from_settings(context.settings, "trial")
    result = audit_stage(request, out, options)
    context.print_result(result)
    if not result.complete:
        raise typer.Exit(1)


def _assignment(text: str) -> tuple[str, str]:
    column, equals, name = (part.strip() for part in text.partition("="))
    if not (column and equals):
        raise InputError(
            f"--map: expected COLUMN=NAME, got {text!r}.", "Write it as --map truth=emotion."
        )
    return column, name
