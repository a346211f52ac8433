"""What the schema knows about each setting, in words: for messages, flags, files and editors."""

from __future__ import annotations

import functools
from typing import Any

from milmer_cli.settings.schema import Settings


@functools.cache
def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a settings file, for editors."""
    return Settings.model_json_schema()


@functools.cache
def known_keys() -> dict[str, dict[str, Any]]:
    """Every setting by ``section.key`` (``seed`` stands alone), with its JSON Schema property."""
    schema = json_schema()
    keys: dict[str, dict[str, Any]] = {}
    for name, value in schema["properties"].items():
        if reference := value.get("$ref"):
            section = schema["$defs"][reference.rpartition("/")[2]]
            keys |= {f"{name}.{key}": inner for key, inner in section["properties"].items()}
        else:
            keys[name] = value
    return keys


def doc(key: str) -> str:
    """Return the documentation of a setting: unit, meaning and source."""
    return " ".join(known_keys()[key].get("description", "").split())


def section_doc(section: str) -> str:
    """Return the documentation of a section."""
    return " ".join((Settings.model_fields[section].annotation.__doc__ or "").split())


def default(key: str) -> Any:
    """Return the default of a setting, as plain values."""
    return known_keys()[key].get("default")


def allowed(key: str) -> str:
    """Say what a setting may be, to be read after "must be"."""
    return _words(known_keys()[key])


def _words(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(str(choice) for choice in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        return " or ".join(_words(option) for option in schema["anyOf"])
    match schema.get("type"):
        case "array" if "prefixItems" in schema:
            items = schema["prefixItems"]
            return f"a list of {len(items)}, each {_words(items[0])}"
        case "array":
            return f"a list, each {_words(schema['items'])}"
        case "integer":
            return "a whole number" + _range(schema)
        case "number":
            return "a number" + _range(schema)
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case _:
            return "text"


def _range(schema: dict[str, Any]) -> str:
    bounds = [
        f"{words} {schema[name]:g}"
        for name, words in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "above"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "below"),
        )
        if name in schema
    ]
    return f" {' and '.join(bounds)}" if bounds else ""
