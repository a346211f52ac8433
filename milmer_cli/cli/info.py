"""``milmer info``."""

from __future__ import annotations

import platform
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from milmer_cli import __version__
from milmer_cli.cli.command import Call, command

DISTRIBUTION = "milmer-cli"


@command()
def info(call: Call) -> None:
    """Show versions, the device that would be used, weights at hand and free disk.

    Example:
      milmer info --json
    """
    from milmer_cli.compute import Compute
    from milmer_cli.recordings.detectors import detectors_at_hand, weights_folder

    facts: dict[str, Any] = {
        "milmer": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "compute": Compute.choose(call.settings.run).describe(),
        "backbone": _backbone(call.settings.model.backbone),
        "face detectors": ", ".join(detectors_at_hand(weights_folder(call.settings.faces))),
        "free disk here": f"{shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB",
        "packages": _packages(),
    }
    if call.console.as_json:
        call.console.document(facts)
        return
    packages = facts.pop("packages")
    call.console.table([*facts.items(), *packages.items()])


def _packages() -> dict[str, str]:
    """Versions of the packages we stand on, by their distribution's name."""
    lines = metadata.requires(DISTRIBUTION) or ()
    needed = (re.match(r"[\w.-]+", line) for line in lines if "extra ==" not in line)
    return {
        name: metadata.version(name) for name in sorted(match.group() for match in needed if match)
    }


def _backbone(name: str) -> str:
    """Say where the weights of the backbone are."""
    from huggingface_hub import try_to_load_from_cache

    if name.startswith("scratch:"):
        return f"{name} (random weights, nothing to load)"
    if Path(name).is_dir():
        return f"{name} (a folder)"
    cached = isinstance(try_to_load_from_cache(name, "config.json"), str)
    return f"{name} ({'in the cache' if cached else 'not in the cache: will be downloaded'})"
