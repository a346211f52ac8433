"""Published SHA-256 of weight files, and those recorded at their download."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from milmer_cli.digests import file_digest
from milmer_cli.faces import centerface
from milmer_cli.io import atomic_write

RECORD_SUFFIX = ".sha256"
"""Ending of the file with the SHA-256 of a downloaded file, in the format of ``sha256sum``."""
_LENGTH = 64


@dataclass(frozen=True)
class Checksum:
    """A SHA-256, or its first digits.

    Attributes
    ----------
    sha256
        Up to 64 hexadecimal digits, in lower case.
    source
        Who published it.
    """

    sha256: str
    source: str

    def matches(self, path: Path) -> bool:
        """Return whether a file has this checksum."""
        return file_digest(path, len(self.sha256)) == self.sha256

    def describe(self) -> str:
        """Return its kind and its source."""
        digits = len(self.sha256)
        share = "" if digits == _LENGTH else f"first {digits} digits of the "
        return f"{share}SHA-256 {self.source}"


PUBLISHED = {
    # Its first digits are in the file name. The download scripts of at least ten other projects on
    # GitHub, some of which verify the file from the same address, contain all of them.
    "s3fd-619a316812.pth": Checksum(
        "619a31681264d3f7f7fc7a16a42cbbe8b23f31a256f75a366e5a1bcd59b33543",
        "in the download scripts of other projects",
    ),
    # oid of the Git LFS pointer models/face_detection_yunet/face_detection_yunet_2023mar.onnx
    "face_detection_yunet_2023mar.onnx": Checksum(
        "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        "in the repository of OpenCV Zoo",
    ),
    Path(centerface.WEIGHTS).name: Checksum(centerface.SHA256, "in Milmer"),
}
"""By file name. The publishers of the other files give no checksum."""


def find_checksum(path: Path) -> Checksum | None:
    """Return the published checksum of a file, otherwise the recorded one, otherwise None.

    Parameters
    ----------
    path
        Path of the weight file, which need not exist.
    """
    return PUBLISHED.get(path.name) or _in_file_name(path) or _recorded(path)


def record_checksum(path: Path) -> None:
    """Write the SHA-256 of a file beside it, so that later changes are detected."""
    atomic_write(_record_path(path), f"{file_digest(path)}  {path.name}\n")


def _in_file_name(path: Path) -> Checksum | None:
    """Return the digits in a name such as ``s3fd-619a316812.pth``, as PyTorch Hub has them."""
    digits = re.search(r"-([a-f0-9]{8,})\.", path.name)
    return Checksum(digits[1], "in the file name") if digits else None


def _recorded(path: Path) -> Checksum | None:
    if not path.is_file():
        return None  # a new download may be of another version
    try:
        content = _record_path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    digits = re.match(rf"[a-f0-9]{{{_LENGTH}}}\b", content)
    return Checksum(digits[0], "recorded at the download") if digits else None


def _record_path(path: Path) -> Path:
    return path.with_name(path.name + RECORD_SUFFIX)
