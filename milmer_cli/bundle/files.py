"""The files of a bundle, in a folder or in a zip file. Zip files are read in place.

Only the files that a bundle can have are read, by name; nothing is unpacked. A zip file with links,
absolute or relative paths, duplicate names, too many files, files that expand to much more than
their compressed size, or another compression than that of `write_zip` is refused.
"""

from __future__ import annotations

import hashlib
import stat
import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from torch import Tensor

from milmer_cli.bundle.document import CALIBRATION, CARD, FILES, HINT, WEIGHTS
from milmer_cli.bundle.model_names import EXPECTED
from milmer_cli.errors import InputError, first_line, shorten
from milmer_cli.input_files import open_input
from milmer_cli.io import atomic_write
from milmer_cli.models.pretrained_files import parse_tensors, read_tensors

MAX_FILES = 64
MAX_BYTES = 2**26
"""Bytes of any file but the weights."""
MAX_WEIGHTS_BYTES = 2**34
MAX_EXPANSION = 200
"""Content per compressed byte; JSON of digests has less than 20."""
_SMALL_BYTES = 2**16
"""Files of up to this size may expand more: a small file of zeros does no harm."""
_BLOCK_BYTES = 2**20
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, NotImplementedError,
    RuntimeError, ValueError,
)  # fmt: skip


class BundleFiles(ABC):
    """Files by name.

    Parameters
    ----------
    path
        Folder or zip file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of the files of a bundle that exist."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Return the number of bytes of an existing file."""

    @abstractmethod
    def _open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Open a file; OSError or KeyError if there is none."""

    def where(self, name: str) -> str:
        """Return the place of a file, for messages."""
        return f"{self.path / name}"

    def blocks(self, name: str) -> Iterator[bytes]:
        """Read a file in blocks.

        Raises
        ------
        InputError
            The file is missing or damaged.
        """
        try:
            with self._open(name) as file:
                while block := file.read(_BLOCK_BYTES):
                    yield block
        except (FileNotFoundError, KeyError) as error:
            raise InputError(f"{self.path} has no {name}.", HINT) from error
        except _ZIP_ERRORS as error:
            reason = first_line(error).rstrip(".")
            raise InputError(f"{self.where(name)} cannot be read: {reason}.", HINT) from error

    def read(self, name: str, limit: int = MAX_BYTES) -> bytes:
        """Read a whole file.

        Raises
        ------
        InputError
            The file is missing or damaged, or has more than ``limit`` bytes.
        """
        content = bytearray()
        for block in self.blocks(name):
            content += block
            if len(content) > limit:
                raise InputError(f"{self.where(name)} has more than {limit} bytes.", HINT)
        return bytes(content)

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file; errors are those of `blocks`."""
        hasher = hashlib.sha256()
        for block in self.blocks(name):
            hasher.update(block)
        return hasher.hexdigest()

    def write_to(self, name: str) -> Callable[[IO[bytes]], None]:
        """Return a function that copies a file into an open one, for `io.atomic_write`."""
        return lambda out: out.writelines(self.blocks(name))

    def weights(self) -> dict[str, Tensor]:
        """Read the weights.

        Raises
        ------
        InputError
            The file is missing or damaged.
        """
        return parse_tensors(self.read(WEIGHTS, MAX_WEIGHTS_BYTES), self.where(WEIGHTS))


class FolderFiles(BundleFiles):
    """Files of a folder; all others in it are ignored.

    A file without a digest is not read through a link to another folder: a bundle of unknown origin
    would otherwise export and upload any file of the user as its model card.
    """

    def names(self) -> list[str]:
        """Return the names of the files of a bundle that exist."""
        return [name for name in FILES if (self.path / name).is_file()]

    def size(self, name: str) -> int:
        """Return the number of bytes of an existing file."""
        return (self.path / name).stat().st_size

    def _open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        path = self.path / name
        if name in (CARD, CALIBRATION) and path.is_symlink() and not self._contains(path.resolve()):
            raise InputError(
                f"{path} is a link to a file that is not part of the bundle.",
                "Replace the link by the file, or remove it.",
            )
        return open_input(path)

    def _contains(self, target: Path) -> bool:
        """Whether the target of a link is in the folder, or in the same cache of the Hub."""
        folder = self.path.resolve()
        cached = folder.parent.parent / "blobs" if folder.parent.name == "snapshots" else folder
        return target.parent in (folder, cached)

    def weights(self) -> dict[str, Tensor]:
        """Read the weights; the tensors stay in the file until they are used."""
        return read_tensors(self.path / WEIGHTS)


class ZipFiles(BundleFiles):
    """Files of a zip file, at its top level or in its only folder with such files.

    Attributes
    ----------
    others
        Names of its other files, which are never read.

    Raises
    ------
    InputError
        The file is not a zip file, or has contents that a bundle cannot have.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            with open_input(path) as file, zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
        except FileNotFoundError as error:
            raise InputError(f"{path} does not exist.", EXPECTED) from error
        except _ZIP_ERRORS as error:
            raise InputError(
                f"{path} is not a bundle: it cannot be read as a zip file "
                f"({first_line(error).rstrip('.')}).",
                EXPECTED,
            ) from error
        self._entries = _bundle_entries(entries, path)
        used = {entry.filename for entry in self._entries.values()}
        names = {entry.filename for entry in entries if not entry.is_dir()}
        self.others = sorted(names - used)

    def names(self) -> list[str]:
        """Return the names of the files of a bundle that exist."""
        return [name for name in FILES if name in self._entries]

    def size(self, name: str) -> int:
        """Return the number of bytes of an existing file."""
        return self._entries[name].file_size

    def where(self, name: str) -> str:
        """Return the place of a file, for messages."""
        return f"{name} in {self.path}"

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        entry = self._entries[name]
        with (
            open_input(self.path) as file,
            zipfile.ZipFile(file) as archive,
            archive.open(entry) as stored,
        ):
            yield stored


def open_files(path: Path) -> BundleFiles:
    """Return the files of a bundle.

    Raises
    ------
    InputError
        ``path`` is neither a folder nor a zip file of a bundle.
    """
    return FolderFiles(path) if path.is_dir() else ZipFiles(path)


def write_zip(
    files: BundleFiles, names: Sequence[str], target: Path, replaced: Mapping[str, bytes] = {}
) -> None:
    """Write files of a bundle to a zip file; the same files give the same bytes.

    Parameters
    ----------
    files, names
        The bundle, and the names of the files to write.
    target
        The zip file.
    replaced
        Name -> content, in place of that of the bundle.

    Raises
    ------
    InputError, MilmerError
        A file cannot be read, or the zip file cannot be written.
    """

    def write(out: IO[bytes]) -> None:
        with zipfile.ZipFile(out, "w") as archive:
            for name in sorted(names):
                own = replaced.get(name)
                size = files.size(name) if own is None else len(own)
                with archive.open(_new_entry(name, size), "w") as stored:
                    stored.writelines(files.blocks(name) if own is None else [own])

    atomic_write(target, write)


def _new_entry(name: str, size: int) -> zipfile.ZipInfo:
    """Return an entry without the time and the owner of the file."""
    entry = zipfile.ZipInfo(name, _ZIP_DATE)
    entry.create_system, entry.external_attr = 3, 0o100644 << 16
    # weights cannot be compressed
    entry.compress_type = zipfile.ZIP_STORED if name == WEIGHTS else zipfile.ZIP_DEFLATED
    entry.file_size = size
    return entry


def _bundle_entries(entries: Sequence[zipfile.ZipInfo], path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the entries that are files of a bundle; refuse a file that no export wrote."""
    hint = "Give a zip file that `milmer export` wrote."
    if len(entries) > MAX_FILES:
        raise InputError(
            f"{path} contains {len(entries)} files: expected at most {MAX_FILES}.", hint
        )
    names = [entry.filename for entry in entries]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path} contains {shorten(repeated, 3)} more than once.", hint)
    for entry in entries:
        if problem := _problem_of(entry):
            raise InputError(f"{path} contains {entry.filename!r:.100}, {problem}.", hint)
    files = [entry for entry in entries if not entry.is_dir()]
    split = [entry.filename.rpartition("/") for entry in files]
    # some systems add folders with files of their own
    folders = {folder for folder, _, name in split if name in FILES}
    folder = folders.pop() if len(folders) == 1 else ""
    prefix = f"{folder}/" if folder else ""
    found = {entry.filename.removeprefix(prefix): entry for entry in files}
    return {name: entry for name, entry in found.items() if name in FILES}


def _problem_of(entry: zipfile.ZipInfo) -> str:
    """Describe why an entry of a zip file is refused; empty if it is not."""
    parts = entry.filename.replace("\\", "/").split("/")
    if parts[0] == "" or ".." in parts or ":" in parts[0]:
        return "a path outside of it"
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "which is a link or a device"
    if entry.flag_bits & 0x1:
        return "which is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "which is compressed by another method than deflate"
    limit = MAX_WEIGHTS_BYTES if parts[-1] == WEIGHTS else MAX_BYTES
    if entry.file_size > limit:
        return f"which has {entry.file_size} bytes: expected at most {limit}"
    expands = entry.file_size > max(_SMALL_BYTES, MAX_EXPANSION * entry.compress_size)
    return "which expands to a multiple of a file of a bundle" if expands else ""
