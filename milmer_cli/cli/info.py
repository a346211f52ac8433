"""``milmer info``."""

from __future__ import annotations

import platform
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from milmer_cli import __version__
from milmer_cli.cli.options import CommandContext, command

DISTRIBUTION = "milmer-cli"


@command()
def info(context: CommandContext) -> None:
    """Show versions, device, available weights and free disk space.

    Example:
      milmer info
      milmer info --json
    """
    from milmer_cli.device import Device
    from milmer_cli.faces.detector import available_detectors, weights_dir

    settings = context.settings
    facts: dict[str, Any] = {
        "milmer": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": Device.from_settings(settings.run).describe(),
        "backbone": _describe_backbone(settings.model.backbone),
        "face detectors": ", ".join(available_detectors(weights_dir(settings.faces))),
        "free disk space": f"{shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB",
        "packages": _package_versions(),
    }
    if context.console.as_json:
        context.console.print_json(facts)
        return
    packages = facts.pop("packages")
    context.console.print_rows([*facts.items(), *packages.items()])


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
