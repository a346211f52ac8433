"""The state of weight files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from milmer_cli.stage_result import StageResult
from milmer_cli.weights.checksums import Checksum

State = Literal["missing", "damaged", "unverified", "recorded", "present", "verified"]
"""``unverified``: no checksum is known. ``recorded``: downloaded just now without a published
checksum, which was recorded. ``present``: the checksum was not computed."""
_WORST_FIRST: tuple[State, ...] = (
    *("missing", "damaged", "unverified", "recorded", "present", "verified"),
)


@dataclass(frozen=True)
class WeightFile:
    """A file on the disk, or where it belongs.

    Attributes
    ----------
    path
        Its path.
    url
        Where it is downloaded from; empty if it is installed with a package.
    state
        Its state.
    checksum
        Its checksum; None if no one is known.
    """

    path: Path
    url: str
    state: State
    checksum: Checksum | None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "path": str(self.path),
            "url": self.url,
            "state": self.state,
            "sha256": self.checksum.sha256 if self.checksum else "",
            "checksum": self.describe_checksum(),
        }

    def describe_checksum(self) -> str:
        """Return where the checksum comes from."""
        return self.checksum.describe() if self.checksum else "no checksum published"


@dataclass(frozen=True)
class Weights:
    """The weight files of a face detector or a backbone.

    Attributes
    ----------
    name
        Name of the detector, or of the backbone on the Hugging Face Hub.
    use
        ``face detector`` or ``backbone``.
    files
        Its files; none if it needs no file, or if its files are unknown before the download.
    note
        What else the user needs to know; may be empty.
    """

    name: str
    use: str
    files: tuple[WeightFile, ...]
    note: str = ""

    @property
    def state(self) -> State | Literal["installed"]:
        """The worst state of its files; ``installed`` if nothing is to be downloaded."""
        if self.use == "backbone" and not self.files:
            return "missing"
        if not any(file.url for file in self.files):
            damaged = any(file.state in ("missing", "damaged") for file in self.files)
            return "damaged" if damaged else "installed"
        return min((file.state for file in self.files), key=_WORST_FIRST.index)

    def describe(self) -> str:
        """Return the state, the damaged and lacking files, the checksums and the note."""
        absent = [file for file in self.files if file.state == "missing"]
        lacking = absent if len(absent) < len(self.files) else []
        damaged = [file for file in self.files if file.state == "damaged"]
        paths = [str(file.path) for file in (*damaged, *lacking)]
        checksums = dict.fromkeys(file.describe_checksum() for file in self.files)
        return ", ".join(text for text in (self.state, *paths, *checksums, self.note) if text)


@dataclass(frozen=True, repr=False)
class WeightsResult(StageResult):
    """The states of several weights.

    Attributes
    ----------
    weights
        The weights.
    folder
        Folder of the weights of face detectors.
    hub_cache
        Cache of the Hugging Face Hub.
    """

    format_name: ClassVar[str] = "weights"

    weights: tuple[Weights, ...]
    folder: Path
    hub_cache: Path

    @property
    def complete(self) -> bool:
        """Whether no file is damaged."""
        return all(item.state != "damaged" for item in self.weights)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        rows = [
            {
                "name": item.name,
                "use": item.use,
                "state": item.state,
                "note": item.note,
                "files": [file.to_json() for file in item.files],
            }
            for item in self.weights
        ]
        return {"weights": rows, "folder": str(self.folder), "hub_cache": str(self.hub_cache)}

    def summary(self) -> list[tuple[str, str]]:
        """Return one row per detector and backbone, and the folders."""
        rows = [(item.name, item.describe()) for item in self.weights]
        folders = [("face detectors", str(self.folder)), ("backbones", str(self.hub_cache))]
        return [*rows, *folders]
