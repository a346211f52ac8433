"""Presets, settings files and single assignments -> one checked `Settings`.

Order of truth: the schema's defaults < preset < settings file < ``--set`` < named flags. All of
them pass the same check. A plain word of YAML stays text until the schema says what it is, so
``1e-4`` is a number, ``on`` is text (or true, for a switch) and ``010`` is 10.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import ValidationError

from milmer_cli.errors import InputError, SettingsError
from milmer_cli.settings.describe import allowed, known_keys
from milmer_cli.settings.schema import Settings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Preset = Literal["default", "published", "demo"]


@dataclass(frozen=True)
class Asked:
    """One setting as the user gave it: its value before the check, and where it was given."""

    value: Any
    origin: str


def load_settings(
    preset: Preset = "default",
    file: Path | None = None,
    overrides: Sequence[str] = (),
) -> Settings:
    """Read settings from a preset, a YAML file and ``section.key=value`` texts; later ones win.

    Raises
    ------
    SettingsError
        With one sentence per mistake: the key, what was got and what is allowed.
    InputError
        When ``file`` cannot be read.
    """
    return resolve(ask(preset, file, overrides))


def with_overrides(settings: Settings, texts: Sequence[str], origin: str) -> Settings:
    """Change settings by ``section.key=value`` texts, under the same check.

    Raises
    ------
    SettingsError
        As `load_settings`, naming ``origin`` as where the texts were given.
    """
    asked = _flat(settings.model_dump(mode="json"), "the settings")
    for text in texts:
        asked |= {key: Asked(wish.value, origin) for key, wish in _assignment(text).items()}
    return resolve(asked)


def ask(
    preset: Preset = "default",
    file: Path | None = None,
    overrides: Sequence[str] = (),
    flags: Mapping[str, tuple[str, Any]] | None = None,
) -> dict[str, Asked]:
    """Collect what was asked for, by ``section.key``, before any check.

    ``flags`` maps the name of a command-line flag to the setting it stands for and its value.
    """
    asked = _flat(_parse(_preset_text(preset), f"preset {preset}"), f"preset {preset}")
    if file is not None:
        asked |= _flat(_parse(_file_text(file), str(file)), str(file))
    for text in overrides:
        asked |= _assignment(text)
    for flag, (key, value) in (flags or {}).items():
        asked[key] = Asked(value, flag)
    return asked


def resolve(asked: Mapping[str, Asked]) -> Settings:
    """Check what was asked for; everything else takes its default."""
    tree: dict[str, Any] = {}
    mistakes = []
    for key, wish in asked.items():
        section, _, name = key.rpartition(".")
        if key not in known_keys():
            mistakes.append(_unknown(key, wish.origin))
        elif section:
            tree.setdefault(section, {})[name] = wish.value
        else:
            tree[name] = wish.value
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        mistakes += [_mistake(details, asked) for details in error.errors()]
    if mistakes:
        raise SettingsError(
            "\n".join(dict.fromkeys(mistakes)),
            "`milmer settings init` writes a file with every setting, its range and its meaning.",
        )
    return settings


# Reading ----------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Safe YAML that leaves plain words as text and refuses a key given twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name and kind are PyYAML's
        first: [(tag, regexp) for tag, regexp in resolvers if tag.endswith((":null", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or name in seen:
                problem = f"'{name}' stands there twice" if name else "a key must be a word"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def _parse(text: str | bytes, origin: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise SettingsError(f"{origin}{where} is not valid YAML: {error.problem}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{origin} is not valid YAML: it is not UTF-8 text.",
            "Save it as UTF-8 text.",
        ) from error


def _file_text(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"The settings file {file} cannot be read: {(error.strerror or str(error)).lower()}.",
            "`milmer settings init` writes one to start from.",
        ) from error


def _preset_text(preset: str) -> str:
    return resources.files(__package__).joinpath("presets", f"{preset}.yaml").read_text("utf-8")


def _assignment(text: str) -> dict[str, Asked]:
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (key and equals):
        raise SettingsError(
            f"--set {text} is not an assignment.", "Write it as --set eeg.segment_s=2."
        )
    return {key: Asked(_parse(value, f"--set {text}") if value else "", "--set")}


def _flat(tree: Any, origin: str) -> dict[str, Asked]:
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError(f"{origin} does not hold settings: it must be a mapping of sections.")
    flat: dict[str, Asked] = {}
    for key, value in tree.items():
        if value is None and key in Settings.model_fields and key not in known_keys():
            continue  # a section whose settings are all commented out
        inner = (
            {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
        )
        if twice := flat.keys() & inner.keys():
            raise SettingsError(f"{origin} gives {min(twice)} twice.")
        flat |= {k: Asked(v, origin) for k, v in inner.items()}
    return flat


# Mistakes ---------------------------------------------------------------------------------------


def _unknown(key: str, origin: str) -> str:
    if key in Settings.model_fields:
        return f"{key} is a section, not a setting ({origin}): write {key}.name=value."
    nearest = _nearest(key)
    advice = f": did you mean {nearest}?" if nearest else "."
    return f"Unknown setting {key} ({origin}){advice}"


def _nearest(key: str) -> str | None:
    keys = list(known_keys())
    if close := difflib.get_close_matches(key, keys, n=1, cutoff=0.75):
        return close[0]
    # A right (or nearly right) name in the wrong section, or in none.
    by_name: dict[str, str] = {}
    for known in keys:
        by_name.setdefault(known.rpartition(".")[2], known)
    name = key.rpartition(".")[2]
    close = difflib.get_close_matches(name, list(by_name), n=1, cutoff=0.75)
    return by_name[close[0]] if close else None


def _mistake(error: ErrorDetails, asked: Mapping[str, Asked]) -> str:
    key = ".".join(part for part in error["loc"][:2] if isinstance(part, str))
    if error["type"] != "value_error" and key in known_keys():
        wish = asked[key]
        got = "nothing" if wish.value is None else repr(wish.value)
        return f"{key} must be {allowed(key)}; got {got} ({wish.origin})."
    # A rule of the schema's own between several settings: it says which and what.
    origins = {w.origin for k, w in asked.items() if k == key or k.startswith(f"{key}.")}
    text = error["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{key}: {text} ({', '.join(sorted(origins))})."
