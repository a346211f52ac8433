"""Presets, settings files and single assignments -> one validated `Settings`.

Precedence: defaults of the schema < preset < settings file < ``--set`` < named flags. All of them
pass the same validation. Plain YAML scalars stay text until the schema gives them a type, so
``1e-4`` is a number, ``on`` is text (or true, for a boolean setting) and ``010`` is 10.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import ValidationError

from milmer_cli.errors import InputError, SettingsError, shorten
from milmer_cli.input_files import open_input
from milmer_cli.settings.baseline_names import runs_own_code, split_names
from milmer_cli.settings.docs import allowed_values, property_schemas
from milmer_cli.settings.schema import Settings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Preset = Literal["default", "published", "demo"]

_LEARNING = {
    "final_lr_ratio": "min_lr_ratio",
    "warmup": "warmup_ratio",
    "clip_norm": "max_grad_norm",
}
RENAMED = {
    **{f"{s}.{old}": f"{s}.{new}" for s in ("train", "finetune") for old, new in _LEARNING.items()},
    "model.heads": "model.num_heads",
    "model.encoder_layers": "model.num_layers",
    "model.feedforward": "model.dim_feedforward",
    "finetune.drop_path": "finetune.drop_path_rate",
    "evaluate.protocol": "evaluate.protocols",
    "evaluate.bootstrap": "evaluate.n_bootstraps",
    "evaluate.permutations": "evaluate.n_permutations",
    "evaluate.confidence": "evaluate.confidence_level",
    "evaluate.epoch_on": "evaluate.select_epoch_on",
    "predict.max_uv": "quality.reject_ptp_uv",
    **{
        f"predict.{name}": f"quality.{name}"
        for name in ("reject_ptp_uv", "max_bad_channels", "min_faces")
    },
    "eeg.eog": "eeg.eog_correction",
    "faces.widen": "faces.margin",
    "faces.size": "faces.image_size",
    "faces.weights": "faces.weights_dir",
    "run.loader_workers": "run.dataloader_num_workers",
    "run.micro_batch": "run.micro_batch_size",
    "run.checkpoint_min": "run.checkpoint_interval_min",
}
"""Earlier names of settings -> their current names, for the error about an old settings file."""


MAX_YAML_BYTES = 2**20
MAX_YAML_DEPTH = 20
MAX_PROBLEMS = 20
"""Invalid settings that one message lists at most."""
MAX_KEY_LENGTH = 100

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 100


@dataclass(frozen=True)
class GivenValue:
    """A value as the user gave it, before validation, and its origin (file, preset or flag)."""

    value: Any
    origin: str
    is_preset: bool = False


def load_settings(
    preset: Preset = "default",
    file: Path | str | None = None,
    overrides: Sequence[str] = (),
) -> Settings:
    """Load settings from a preset, a YAML file and assignments; later ones take precedence.

    Parameters
    ----------
    preset
        Name of a file in ``presets/``.
    file
        YAML file with sections of settings.
    overrides
        Assignments as text, each ``section.key=value``.

    Raises
    ------
    SettingsError
        One line per invalid setting: the key, what was expected and what was given; or ``file``
        names code to run.
    InputError
        ``file`` cannot be read.
    """
    return validate(collect(preset, Path(file) if file else None, overrides))


def with_overrides(settings: Settings, overrides: Sequence[str], origin: str) -> Settings:
    """Apply assignments ``section.key=value`` to settings.

    Parameters
    ----------
    settings
        The settings to change; they are not modified.
    overrides
        Assignments as text, each ``section.key=value``.
    origin
        Name of the flag that gave the assignments, for error messages.

    Raises
    ------
    SettingsError
        One line per invalid setting: the key, what was expected and what was given.
    """
    given = _flatten(settings.model_dump(mode="json"), "the settings")
    for text in overrides:
        given |= _parse_assignment(text, origin)
    return validate(given)


def settings_of(sections: Mapping[str, Any], origin: str) -> Settings:
    """Validate sections of settings that the program stored; all others keep their defaults.

    Parameters
    ----------
    sections
        Section -> its settings, as JSON values.
    origin
        Where they come from, for error messages.

    Raises
    ------
    SettingsError
        One line per invalid setting: the key, what was expected and what was given.
    """
    return validate(_flatten(dict(sections), origin))


def collect(
    preset: Preset = "default",
    file: Path | None = None,
    overrides: Sequence[str] = (),
    flags: Mapping[str, tuple[str, Any]] | None = None,
) -> dict[str, GivenValue]:
    """Collect the values that the user gave, by ``section.key``, without validating them.

    Parameters
    ----------
    preset, file, overrides
        The sources that `load_settings` takes.
    flags
        Name of a command-line flag -> ``(section.key, value)``.
    """
    origin = f"preset {preset}"
    values = _flatten(_parse_yaml(_read_preset(preset), origin), origin)
    given = {key: replace(entry, is_preset=True) for key, entry in values.items()}
    if file is not None:
        from_file = _flatten(_parse_yaml(_read_file(file), str(file)), str(file))
        _refuse_code(from_file)
        given |= from_file
    for text in overrides:
        given |= _parse_assignment(text, "--set")
    for flag, (key, value) in (flags or {}).items():
        given[key] = GivenValue(value, flag)
    return given


def validate(given: Mapping[str, GivenValue]) -> Settings:
    """Build `Settings` from given values; all others keep their defaults.

    Raises
    ------
    SettingsError
        One line per invalid setting: the key, what was expected and what was given.
    """
    tree: dict[str, Any] = {}
    problems: list[str] = []
    for key, entry in given.items():
        section, _, name = key.rpartition(".")
        if key not in property_schemas():
            listed = len(problems) < MAX_PROBLEMS  # the search for similar names is slow
            problems.append(_unknown_setting(key, entry.origin) if listed else key)
        elif section:
            tree.setdefault(section, {})[name] = entry.value
        else:
            tree[name] = entry.value
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        problems += [_invalid_value(details, given) for details in error.errors()]
    if problems:
        raise SettingsError(
            shorten(list(dict.fromkeys(problems)), MAX_PROBLEMS, separator="\n"),
            "`milmer settings init` writes a file that documents every setting and its range.",
        )
    return settings


# Reading ----------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Safe YAML that keeps plain scalars as text and rejects duplicate keys."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML defines the name and the type
        first: [(tag, regexp) for tag, regexp in resolvers if tag.endswith((":null", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, stream: str | bytes) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        mark = self.peek_event().start_mark
        if self.check_event(yaml.AliasEvent):  # nested ones have exponentially many values
            raise yaml.composer.ComposerError(None, None, "aliases are not supported", mark)
        self._depth += 1
        if self._depth > MAX_YAML_DEPTH:
            problem = f"expected at most {MAX_YAML_DEPTH} levels"
            raise yaml.composer.ComposerError(None, None, problem, mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or name in names:
                problem = f"duplicate key '{name}'" if name else "a key must be a scalar"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            names.add(name)
        return super().construct_mapping(node, deep)


def _parse_yaml(text: str | bytes, origin: str) -> Any:
    if len(text) > MAX_YAML_BYTES:
        raise SettingsError(
            f"{origin} has {len(text)} bytes, expected at most {MAX_YAML_BYTES}.",
            "`milmer settings init` writes a settings file.",
        )
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise SettingsError(f"{origin}{where} is not valid YAML: {error.problem}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{origin} is not valid YAML: it is not UTF-8 text.", "Save it as UTF-8 text."
        ) from error
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError) as error:
        raise SettingsError(
            f"{origin} contains an explicit tag with an invalid value: {error}.", "Remove the tag."
        ) from error


def _read_file(file: Path) -> bytes:
    try:
        with open_input(file) as opened:
            return opened.read(MAX_YAML_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"The settings file {file} cannot be read: {(error.strerror or str(error)).lower()}.",
            "`milmer settings init` writes a new one.",
        ) from error


def _read_preset(preset: str) -> str:
    return resources.files(__package__).joinpath("presets", f"{preset}.yaml").read_text("utf-8")


def _refuse_code(given: Mapping[str, GivenValue]) -> None:
    """Refuse a settings file that names a module to import: it can come from anybody."""
    entry = given.get("evaluate.baselines")
    if entry is None or not isinstance(entry.value, str):
        return
    if own := [name for name in split_names(entry.value) if runs_own_code(name)]:
        raise SettingsError(
            f"evaluate.baselines: {shorten(own, 3)} would run code, which a settings file must not "
            f"name ({entry.origin}).",
            f"Read the code, and give the name on the command line: --baselines {own[0][:100]}.",
        )


def _parse_assignment(text: str, origin: str) -> dict[str, GivenValue]:
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (key and equals):
        raise SettingsError(
            f"{origin}: expected section.key=value, got {_SHORT.repr(text)}.",
            f"For example: {origin} eeg.segment_s=2.",
        )
    where = f"{origin} {text[:MAX_KEY_LENGTH]}"
    return {key: GivenValue(_parse_yaml(value, where) if value else "", origin)}


def _flatten(tree: Any, origin: str) -> dict[str, GivenValue]:
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError(f"{origin}: expected a mapping of sections, got {_SHORT.repr(tree)}.")
    flat: dict[str, GivenValue] = {}
    for key, value in tree.items():
        if value is None and key in Settings.model_fields and key not in property_schemas():
            continue  # all settings of the section are commented out
        inner = (
            {f"{key}.{k}": v for k, v in value.items()}
            if isinstance(value, dict)
            else {str(key): value}
        )
        if duplicates := flat.keys() & inner.keys():
            raise SettingsError(f"{origin} contains {min(duplicates)[:MAX_KEY_LENGTH]} twice.")
        flat |= {k: GivenValue(v, origin) for k, v in inner.items()}
    return flat


# Error messages ---------------------------------------------------------------------------------


def _unknown_setting(key: str, origin: str) -> str:
    key = key[:MAX_KEY_LENGTH]
    if key in Settings.model_fields:
        return f"{key} is a section, not a setting ({origin}): write {key}.name=value."
    if key in RENAMED:
        return f"Unknown setting {key} ({origin}): it is now {RENAMED[key]}."
    nearest = _nearest_key(key)
    suggestion = f": did you mean {nearest}?" if nearest else "."
    return f"Unknown setting {key} ({origin}){suggestion}"


def _nearest_key(key: str) -> str | None:
    keys = list(property_schemas())
    if close := difflib.get_close_matches(key, keys, n=1, cutoff=0.75):
        return close[0]
    # Also find a correct (or nearly correct) name in a wrong section, or without a section.
    by_name: dict[str, str] = {}
    for known in keys:
        by_name.setdefault(known.rpartition(".")[2], known)
    name = key.rpartition(".")[2]
    close = difflib.get_close_matches(name, list(by_name), n=1, cutoff=0.75)
    return by_name[close[0]] if close else None


def _invalid_value(error: ErrorDetails, given: Mapping[str, GivenValue]) -> str:
    key = ".".join(part for part in error["loc"][:2] if isinstance(part, str))
    if error["type"] != "value_error" and key in property_schemas():
        value = given[key].value
        got = "null" if value is None else _SHORT.repr(value)
        return f"{key}: expected {allowed_values(key)}, got {got} ({given[key].origin})."
    # A validator of the schema that relates several settings; its message names them.
    origins = {e.origin for k, e in given.items() if k == key or k.startswith(f"{key}.")}
    text = error["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{key}: {text} ({', '.join(sorted(origins))})."
