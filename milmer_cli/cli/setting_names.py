"""Names of settings on the command line: completion of ``--set``, hint for unknown flags."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

SECTIONS = {
    "prepare": ("data", "eeg", "faces", "quality", "run"),
    "finetune-swin": ("finetune", "model", "faces", "run"),
    "train": ("train", "model", "data", "quality", "run"),
    "evaluate": ("evaluate", "train", "model", "data", "quality", "run"),
    "predict": ("predict", "quality", "run"),
}
"""Command -> sections of the settings that it uses, the first one with the most specific names."""


def complete_setting(incomplete: str) -> list[str]:
    """Return what can follow ``--set``: ``section.key=``, and values after a complete name.

    A single name is returned with its values, so that shells do not add a space after ``=``.
    """
    from milmer_cli.settings.docs import property_schemas

    key, equals, _ = incomplete.partition("=")
    if equals:
        offered = _assignments(key) if key in property_schemas() else []
    else:
        keys = [name for name in property_schemas() if name.startswith(incomplete)]
        offered = [f"{name}=" for name in keys]
        if len(keys) == 1:
            offered += _assignments(keys[0])
    return [text for text in offered if text.startswith(incomplete)]


def _assignments(key: str) -> list[str]:
    """Return ``key=value`` for the choices of a setting, or for its default if it has none."""
    from milmer_cli.settings.docs import default, property_schemas

    schema = property_schemas()[key]
    if schema.get("type") == "array":
        return [f"{key}=[{choice}]" for choice in schema["items"].get("enum", ())]
    if schema.get("type") == "boolean":
        return [f"{key}=true", f"{key}=false"]
    values = schema.get("enum") or [default(key)]
    return [f"{key}={value}" for value in values if value not in ("", None)]


def setting_hint(flag: str, command: str, arguments: Sequence[str]) -> str:
    """Return the ``--set`` that an unknown flag could mean; empty if it ends like no setting.

    Parameters
    ----------
    flag
        The flag, such as ``--epochs``.
    command
        Name of the command.
    arguments
        The command line, which may contain the value of the flag.
    """
    from milmer_cli.settings.docs import property_schemas

    words = re.sub(r"[-.]", "_", flag.lstrip("-"))
    sections = SECTIONS.get(command, ())
    ranked = sorted(
        (sections.index(section), -len(name), f"{section}.{name}")
        for section, _, name in (key.rpartition(".") for key in property_schemas())
        if section in sections and f"_{words}".endswith(f"_{name}")
    )
    return f"Use --set {ranked[0][2]}={_value_of(flag, arguments)}." if ranked else ""


def _value_of(flag: str, arguments: Sequence[str]) -> str:
    """Return the value of a flag for a shell, or ``VALUE`` if there is none."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = argument.partition("=")
        if name == flag:
            given = value if equals else following
            return "VALUE" if not given or given.startswith("--") else shlex.quote(given)
    return "VALUE"
