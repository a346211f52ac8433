"""``milmer cite``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.cli.options import CommandContext, command, folder_option
from milmer_cli.errors import InputError, shorten
from milmer_cli.formats import read_document
from milmer_cli.references import ALWAYS, BY_DATA_SET, Reference


@command()
def cite(
    context: CommandContext,
    prepared: Annotated[
        Path | None, folder_option("--prepared", "Prepared store, for its data set.")
    ] = None,
    run: Annotated[Path | None, folder_option("--run", "Run, for its data set.")] = None,
    data_set: Annotated[
        list[str] | None,
        typer.Option(
            "--data-set",
            metavar="|".join(BY_DATA_SET),
            help="A data set that you used. Repeatable.",
            autocompletion=lambda: list(BY_DATA_SET),
        ),
    ] = None,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Print BibTeX entries.")] = False,
) -> None:
    """Show what to cite: the paper, the data set, MNE, Swin and Milmer.

    A store that was prepared from a manifest does not record its data set: name it with --data-set.

    Example:
      milmer cite --run runs/first
      milmer cite --data-set EAV --bibtex > references.bib
    """
    if bibtex and context.console.as_json:
        raise InputError("--bibtex and --json cannot be combined.", "Leave one of them out.")
    names = list(data_set or ())
    if unknown := [name for name in names if name not in BY_DATA_SET]:
        raise InputError(
            f"--data-set: expected one of {', '.join(BY_DATA_SET)}, got {shorten(unknown)}.",
            "For other data sets, cite what their authors ask for.",
        )
    for folder, name in _recorded(prepared, run):
        if name in BY_DATA_SET:
            names.append(name)
        else:
            context.progress.note(
                f"{folder} does not record its data set: name it with --data-set, or cite what its "
                "authors ask for.",
                "warning",
            )
    found = [*ALWAYS, *(work for name in dict.fromkeys(names) for work in BY_DATA_SET[name])]
    _print(context, found, bibtex)


def _recorded(prepared: Path | None, run: Path | None) -> Iterator[tuple[Path, str]]:
    """Yield the given folders with the names of their data sets; empty if it is unknown."""
    if prepared is not None:
        hint = "Give a folder that `milmer prepare` wrote."
        yield prepared, _text(read_document(prepared / "index.json", "store-index", hint=hint))
    if run is not None:
        hint = "Give a folder that `milmer train` wrote."
        environment = read_document(run / "environment.json", "run-environment", ("store",), hint)
        store = environment["store"]
        yield run, _text(store) if isinstance(store, dict) else ""


def _text(values: dict[str, object]) -> str:
    return str(values.get("data_set") or "")


def _print(context: CommandContext, found: list[Reference], bibtex: bool) -> None:
    if context.console.as_json:
        context.console.print_document("cite", {"references": [work.to_json() for work in found]})
    elif bibtex:
        typer.echo("\n\n".join(work.bibtex() for work in found))
    else:
        context.console.print_rows([(work.use, work.text()) for work in found])
