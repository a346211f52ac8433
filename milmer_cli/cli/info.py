"""``milmer info``."""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from milmer_cli import __version__
from milmer_cli.cli.last_error import describe_last_error
from milmer_cli.cli.options import CommandContext, command
from milmer_cli.settings.docs import property_schemas
from milmer_cli.settings.schema import Settings

DISTRIBUTION = "milmer-cli"


@command()
def info(
    context: CommandContext,
    report: Annotated[
        bool,
        typer.Option(
            "--report",
            help="Show what a bug report needs, without names, paths and data.",
        ),
    ] = False,
) -> None:
    """Show versions, device, available weights and free disk space.

    Example:
      milmer info
      milmer info --json
      milmer info --report
    """
    from milmer_cli.device import Device, openvino_version
    from milmer_cli.faces.detector import available_detectors, weights_dir

    settings = context.settings
    versions: dict[str, Any] = {
        "milmer": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": Device.from_settings(settings.run).describe(),
        "OpenVINO": openvino_version() or "not installed: pip install 'milmer-cli[openvino]'",
    }
    if report:
        _print(context, {**versions, **_report(context), "packages": _package_versions()})
        return
    free = shutil.disk_usage(Path.cwd()).free
    facts: dict[str, Any] = {
        **versions,
        "backbone": _describe_backbone(settings.model.backbone),
        "face detectors": ", ".join(available_detectors(weights_dir(settings.faces))),
        "free disk space": f"{free / 2**30:.1f} GiB",
        "packages": _package_versions(),
    }
    _print(context, facts, {"free_disk_bytes": free})


def _print(
    context: CommandContext, facts: dict[str, Any], numbers: Mapping[str, int] | None = None
) -> None:
    """Print facts, in a JSON document with the numbers in them."""
    if context.console.as_json:
        facts |= numbers or {}
        context.console.print_document("info", facts)
        return
    packages = facts.pop("packages")
    context.console.print_rows([*facts.items(), *packages.items()])


def _report(context: CommandContext) -> dict[str, str]:
    """Return the facts of a bug report; of settings the names only, as values can be paths."""
    defaults, settings = Settings().model_dump(), context.settings.model_dump()
    changed = [key for key in property_schemas() if _value(settings, key) != _value(defaults, key)]
    return {
        "settings that differ from the defaults": ", ".join(changed) or "none",
        "last error": describe_last_error(),
    }


def _value(tree: dict[str, Any], key: str) -> Any:
    section, _, name = key.rpartition(".")
    return tree[section][name] if section else tree[name]


def _package_versions() -> dict[str, str]:
    """Return the installed versions of the required packages, by distribution name."""
    requirements = metadata.requires(DISTRIBUTION) or ()
    matches = (re.match(r"[\w.-]+", line) for line in requirements if "extra ==" not in line)
    return {
        name: metadata.version(name) for name in sorted(match.group() for match in matches if match)
    }


def _describe_backbone(name: str) -> str:
    """Describe where the backbone's weights come from."""
    from huggingface_hub import try_to_load_from_cache

    if name.startswith("scratch:"):
        return f"{name} (random weights)"
    if Path(name).is_dir():
        return f"{name} (folder)"
    cached = isinstance(try_to_load_from_cache(name, "config.json"), str)
    missing = f"not in the cache: run milmer weights fetch {name}"
    return f"{name} ({'in the cache' if cached else missing})"
