"""One page per command, from the metadata of its flags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from milmer_cli.cli.app import COMMANDS, _load_command
from milmer_cli.settings.docs import property_schemas
from reference.page import Page, table_of_contents

FIRST_PANEL = "Arguments and options"


def command_pages() -> list[Page]:
    """Return a page that lists the commands, and one page for each of them."""
    pages = [_command_page(name) for name in COMMANDS]
    rows = [f"- [`milmer {name}`](command-{name}.md): {text}" for name, text in COMMANDS.items()]
    text = (
        "# Commands\n\nGenerated from the program. The options that all commands share, settings, "
        "output and exit codes are described in [command line](cli.md).\n\n"
    )
    text += "\n".join(rows) + "\n\n" + table_of_contents([page.name for page in pages])
    return [Page("commands.md", "Every command", text), *pages]


def _command_page(name: str) -> Page:
    command = _load_command(name)
    title = f"milmer {name}"
    parts = [f"# {title}\n", *_describe(title, command, own_heading=False)]
    for subname, subcommand in getattr(command, "commands", {}).items():
        parts += [f"## {title} {subname}\n", *_describe(f"{title} {subname}", subcommand)]
    return Page(f"command-{name}.md", title, "\n".join(parts), listed=False)


def _describe(title: str, command: Any, own_heading: bool = True) -> Iterator[str]:
    level = "###" if own_heading else "##"
    usage = [title]
    parameters = [p for p in command.params if not p.hidden]
    if hasattr(command, "commands"):
        parameters, usage = [], [title, "COMMAND"]
    arguments = [p for p in parameters if not _is_option(p)]
    usage += [_usage_name(p) for p in arguments]
    usage += [f"{p.opts[0]} {_metavar(p)}".strip() for p in parameters if _must_be_given(p)]
    usage += ["[OPTIONS]"] if len(parameters) > len(arguments) else []
    yield f":::{{command}} {title}\n"
    yield f"```sh\n{' '.join(usage)}\n```\n"
    yield _markdown(command.help or "")
    yield ":::\n"
    panels: dict[str, list[Any]] = {}
    for parameter in parameters:
        panels.setdefault(parameter.rich_help_panel or FIRST_PANEL, []).append(parameter)
    for panel, members in panels.items():
        yield f"{level} {panel}\n"
        yield from (_definition(p) for p in members)


def _is_option(parameter: Any) -> bool:
    return bool(parameter.opts[0].startswith("-"))


def _must_be_given(parameter: Any) -> bool:
    return bool(parameter.required and _is_option(parameter))


def _usage_name(argument: Any) -> str:
    name = (argument.metavar or argument.name).upper()
    dots = "..." if argument.nargs == -1 else ""
    return f"{name}{dots}" if argument.required else f"[{name}]{dots}"


def _metavar(parameter: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return ""
    if parameter.metavar:
        return str(parameter.metavar)
    annotation = parameter.type_descriptor.annotation
    if get_origin(annotation) is list:
        annotation = get_args(annotation)[0]
    if choices := get_args(annotation):
        return "|".join(map(str, choices))
    return {int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(annotation, "TEXT")


def _definition(parameter: Any) -> str:
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    if not _is_option(parameter):
        names = ""
    term = f"{names} {_metavar(parameter) or ''}".strip() or parameter.name.upper()
    text = _markdown_line(parameter.help or "")
    default = _default(parameter)
    bounds = _bounds(parameter)
    return f"`{term}`\n: {text}{bounds}{default}\n"


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return f" Default: `{parameter.show_default}`."
    value = parameter.default
    if value in (None, False, "", ()) or callable(value) or not parameter.show_default:
        return ""
    return f" Default: `{value}`."


def _bounds(parameter: Any) -> str:
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    bounds = [f"at least {low}"] if low is not None else []
    bounds += [f"at most {high}"] if high is not None else []
    return f" {' and '.join(bounds).capitalize()}." if bounds else ""


def _markdown_line(text: str) -> str:
    """Return a help text as Markdown: flags as code, and names of settings as links."""
    text = text.replace(r"\[", "[")
    pieces = re.split(r"(`[^`]*`)", text)
    pieces[::2] = [_linked(piece) for piece in pieces[::2]]
    return "".join(pieces)


def _linked(text: str) -> str:
    text = re.sub(r"(?<![\w-])(--[a-z][\w-]*)", r"`\1`", text)
    text = re.sub(r"([<>*\[\]])", r"\\\1", text)
    keys = "|".join(map(re.escape, sorted(property_schemas(), key=len, reverse=True)))
    return re.sub(rf"(?<=Setting )({keys})(?=[,.])", r"{setting}`\1`", text)


def _markdown(text: str) -> str:
    """Return a docstring as Markdown: indented lines below "Example:" are code."""
    parts = []
    for block in text.replace(r"\[", "[").split("\n\n"):
        head, _, rest = block.partition("\n")
        if rest and all(line.startswith("  ") for line in rest.splitlines()):
            code = "\n".join(line[2:] for line in rest.splitlines())
            language = "sh" if head.startswith("Example") else "text"
            parts.append(f"{head}\n\n```{language}\n{code}\n```\n")
        else:
            parts.append(f"{_markdown_line(block)}\n")
    return "\n".join(parts)
