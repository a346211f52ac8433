"""`Settings` -> YAML and fingerprints."""

from __future__ import annotations

import textwrap
from typing import Any

import yaml

from milmer_cli.digests import digest
from milmer_cli.settings.docs import (
    allowed_values,
    default,
    property_schemas,
    section_doc,
    setting_doc,
)
from milmer_cli.settings.schema import RunSettings, Section, Settings

HEADER = """\
## Settings of Milmer. Lines that begin with "# " show the defaults; remove the "# " to change one.
## Precedence: defaults < preset < this file < --set section.key=value < named flags.
"""


def dump_yaml(settings: Settings, *, exclude_unset: bool = False) -> str:
    """Return settings as YAML.

    Parameters
    ----------
    settings
        What to convert to YAML.
    exclude_unset
        Leave out what no preset, file or flag has set.
    """
    tree = settings.model_dump(mode="json", exclude_unset=exclude_unset)
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def commented_yaml(settings: Settings) -> str:
    """Return a YAML file that documents every setting with its meaning and its range.

    Explicitly set settings are active, all others are commented out with their default.
    """
    explicit = settings.model_dump(mode="json", exclude_unset=True)
    lines = [HEADER.rstrip("\n"), ""]
    for key in property_schemas():
        section, _, name = key.rpartition(".")
        if section and f"{section}:" not in lines:
            lines += ["", *_comment(section_doc(section)), f"{section}:"]
        values = explicit.get(section, {}) if section else explicit
        value = values.get(name, default(key))
        lines += _entry(key, value, active=name in values, indent="  " if section else "")
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any, active: bool, indent: str) -> list[str]:
    comments = _comment(f"{setting_doc(key)} Allowed: {allowed_values(key)}.")
    setting = f"{'' if active else '# '}{key.rpartition('.')[2]}: {_inline_yaml(value)}"
    return [indent + line for line in [*comments, setting]]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text, 96, initial_indent="## ", subsequent_indent="## ", break_on_hyphens=False
    )


def _inline_yaml(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


class _Dumper(yaml.SafeDumper):
    """Writes sections as blocks and lists on one line."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        return super().represent_sequence(tag, sequence, flow_style=True)


def fingerprint(*values: Section | str | float) -> str:
    """Digest of everything a result depends on: sections of settings and plain values.

    Equal values have equal fingerprints on every machine and in every process.

    Raises
    ------
    TypeError
        A value is `RunSettings`: where and how fast the work ran does not make another result.
    """
    if any(isinstance(value, RunSettings) for value in values):
        raise TypeError("RunSettings must not enter a fingerprint")
    named = [
        {type(v).__name__: v.model_dump(mode="json")} if isinstance(v, Section) else v
        for v in values
    ]
    return digest(*named)
