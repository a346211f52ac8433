"""What the schema says about each setting, as text: for messages, flags, files and editors."""

from __future__ import annotations

import functools
from typing import Any

from milmer_cli.settings.schema import Settings


@functools.cache
def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a settings file."""
    return Settings.model_json_schema()


@functools.cache
def property_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every setting by ``section.key`` (``seed`` has no section)."""
    schema = json_schema()
    properties: dict[str, dict[str, Any]] = {}
    for name, value in schema["properties"].items():
        if reference := value.get("$ref"):
            section = schema["$defs"][reference.rpartition("/")[2]]
            properties |= {f"{name}.{key}": inner for key, inner in section["properties"].items()}
        else:
            properties[name] = value
    return properties


def setting_doc(key: str) -> str:
    """Return the documentation of a setting: meaning, unit and source of the default."""
    return " ".join(property_schemas()[key].get("description", "").split())


def section_doc(section: str) -> str:
    """Return the documentation of a section."""
    return " ".join((Settings.model_fields[section].annotation.__doc__ or "").split())


def default(key: str) -> Any:
    """Return the default of a setting as a JSON value."""
    return property_schemas()[key].get("default")


def allowed_values(key: str) -> str:
    """Describe the type and range of a setting, to be read after "expected"."""
    return _describe(property_schemas()[key])


def _describe(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(str(choice) for choice in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        return " or ".join(_describe(option) for option in schema["anyOf"])
    match schema.get("type"):
        case "array" if "prefixItems" in schema:
            items = schema["prefixItems"]
            return f"a list of {len(items)}, each {_describe(items[0])}"
        case "array":
            return f"a list, each {_describe(schema['items'])}"
        case "integer":
            return "an integer" + _range(schema)
        case "number":
            return "a number" + _range(schema)
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case _:
            return "text"


_BOUNDS = {
    "minimum": ">=",
    "exclusiveMinimum": ">",
    "maximum": "<=",
    "exclusiveMaximum": "<",
}


def _range(schema: dict[str, Any]) -> str:
    bounds = [f"{sign} {schema[name]:.12g}" for name, sign in _BOUNDS.items() if name in schema]
    return f" {' and '.join(bounds)}" if bounds else ""
