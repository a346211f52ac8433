"""The page of all settings, from their schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from milmer_cli.cli.app import COMMANDS, _load_command
from milmer_cli.settings.docs import (
    allowed_values,
    default,
    property_schemas,
    section_doc,
    setting_doc,
)
from milmer_cli.settings.load import Preset, collect, load_settings
from reference.page import Page

INTRODUCTION = """# Every setting

Generated from the schema. [Command line](cli.md#settings) describes settings files, `--set` and
their precedence. `milmer settings init` writes a file with this documentation as comments. The
presets `published` and `demo` are listed where their value differs from the default.
"""


def settings_page() -> Page:
    """Return the page of all settings, with one anchor for each."""
    parts = [INTRODUCTION]
    section = None
    flags, presets = _flags(), _presets()
    for key in property_schemas():
        own_section = key.rpartition(".")[0]
        if own_section != section:
            section = own_section
            parts.append(_section_heading(section))
        parts.append(_entry(key, flags.get(key, []), presets))
    return Page("settings.md", "Every setting", "\n".join(parts))


def _section_heading(section: str) -> str:
    if not section:
        return "## All commands\n"
    return f"## Section {section}\n\n{section_doc(section)}\n"


def _entry(key: str, flags: list[str], presets: dict[str, dict[str, Any]]) -> str:
    facts = [f"- Default: `{_value(default(key))}`"]
    facts += [
        f"- Preset {name}: `{_value(values[key])}`"
        for name, values in presets.items()
        if key in values and values[key] != default(key)
    ]
    facts.append(f"- Allowed: {allowed_values(key)}".replace("<", r"\<").replace(">", r"\>"))
    if flags:
        facts.append(f"- Flag: {', '.join(f'`{flag}`' for flag in flags)}")
    return f":::{{setting}} {key}\n{setting_doc(key)}\n\n" + "\n".join(facts) + "\n:::\n"


def _value(value: Any) -> str:
    return json.dumps(value) if value != "" else '""'


def _presets() -> dict[str, dict[str, Any]]:
    """Return the values that the presets state, converted as the schema does, by key."""
    values: dict[str, dict[str, Any]] = {}
    names: tuple[Preset, ...] = ("published", "demo")
    for name in names:
        tree = load_settings(name).model_dump(mode="json")
        stated = collect(name)
        values[name] = {key: _at(tree, key) for key in stated}
    return values


def _at(tree: dict[str, Any], key: str) -> Any:
    section, _, name = key.rpartition(".")
    return tree[section][name] if section else tree[name]


def _flags() -> dict[str, list[str]]:
    """Return the flags of all commands that stand for a setting, by its key."""
    flags: dict[str, list[str]] = {}
    for name in COMMANDS:
        for option, text in _options(_load_command(name)):
            key = text.rpartition("Setting ")[2].partition(", default")[0].rstrip(".")
            if key in property_schemas() and option not in flags.setdefault(key, []):
                flags[key].append(option)
    return flags


def _options(command: Any) -> Iterator[tuple[str, str]]:
    for one in (command, *getattr(command, "commands", {}).values()):
        for parameter in one.params:
            if "Setting " in (getattr(parameter, "help", None) or ""):
                yield parameter.opts[0], parameter.help
