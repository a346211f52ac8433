"""`Settings` -> YAML and fingerprints."""

from __future__ import annotations

import hashlib
import json
import textwrap
from typing import Any

import yaml

from milmer_cli.settings.describe import allowed, default, doc, known_keys, section_doc
from milmer_cli.settings.schema import RunSettings, Section, Settings

HEADER = """\
## Settings of Milmer. A setting behind "# " has the default shown; take the "# " away to change it.
## Order of truth: defaults < preset < this file < --set section.key=value < named flags.
"""


def dump_yaml(settings: Settings) -> str:
    """All settings as plain YAML: what was resolved."""
    return _yaml(settings.model_dump(mode="json"))


def asked_yaml(settings: Settings) -> str:
    """Only what a preset, a file or a flag has set, as plain YAML: what was asked."""
    return _yaml(settings.model_dump(mode="json", exclude_unset=True))


def commented_yaml(settings: Settings) -> str:
    """Write a settings file that explains itself: every setting with its meaning and its range.

    What is set in ``settings`` is in force, everything else stands as a comment.
    """
    asked = settings.model_dump(mode="json", exclude_unset=True)
    lines = [HEADER.rstrip("\n"), ""]
    for key in known_keys():
        section, _, name = key.rpartition(".")
        if section and f"{section}:" not in lines:
            lines += ["", *_comment(section_doc(section)), f"{section}:"]
        chosen = asked.get(section, {}) if section else asked
        value = chosen.get(name, default(key))
        lines += _entry(key, value, in_force=name in chosen, indent="  " if section else "")
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any, in_force: bool, indent: str) -> list[str]:
    comments = _comment(f"{doc(key)} Allowed: {allowed(key)}.")
    setting = f"{'' if in_force else '# '}{key.rpartition('.')[2]}: {yaml_value(value)}"
    return [indent + line for line in [*comments, setting]]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="## ", subsequent_indent="## ")


def fingerprint(*parts: Section | str | float) -> str:
    """Stable short hash of what made a result: settings sections and plain values.

    The same values give the same text on every machine and in every process.

    Raises
    ------
    TypeError
        For `RunSettings`: where and how fast the work ran must not make a result look different.
    """
    plain: list[Any] = []
    for part in parts:
        if isinstance(part, RunSettings):
            raise TypeError("RunSettings enters no fingerprint")
        if isinstance(part, Section):
            plain.append({type(part).__name__: part.model_dump(mode="json")})
        else:
            plain.append(part)
    text = json.dumps(plain, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def yaml_value(value: Any) -> str:
    """One value as it stands in a settings file, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _yaml(tree: dict[str, Any]) -> str:
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Sections as blocks, lists on one line."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        return super().represent_sequence(tag, sequence, flow_style=True)
