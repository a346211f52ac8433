"""Download one file with pooch: resumable, verified, and complete under its final name.

A partial file stays beside the final one and is continued by the next call, but only if a checksum
can show that both parts belong to the same file. Proxies are those of the environment
(``HTTPS_PROXY``, ``NO_PROXY``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout
from pooch import HTTPDownloader
from requests import Request, Response
from requests import exceptions as errors
from urllib3.exceptions import HTTPError as PoolError

from milmer_cli.digests import file_digest
from milmer_cli.errors import InputError, WeightsError
from milmer_cli.io import atomic_path, require_writable
from milmer_cli.partial_files import PARTIAL_SUFFIX, open_partial
from milmer_cli.progress import SILENT, Progress
from milmer_cli.weights.checksums import Checksum

TIMEOUT_S = 20.0
"""Longest time until the connection is made, and between two packets."""
_CHUNK_BYTES = 2**16
_RANGE_REFUSED = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
RECIPE = "or copy the file from another machine (docs/weights.md)"


def download(
    url: str,
    path: Path,
    checksum: Checksum | None = None,
    headers: Mapping[str, str] | None = None,
    progress: Progress = SILENT,
    require: Callable[[Path, str, str], None] | None = None,
) -> None:
    """Download a file.

    Parameters
    ----------
    url
        Its address (http or https).
    path
        Final name, which appears only when the file is complete. Missing folders are created.
    checksum
        Expected checksum; None if no one is known.
    headers
        Additional headers of the request.
    progress
        Advanced by megabytes.
    require
        Raises an error unless the file is complete, as `contents.require_complete`.

    Raises
    ------
    WeightsError
        The file cannot be downloaded, or is empty, incomplete or has another checksum, and was
        removed.
    InputError
        The folder is not writable, or another process downloads the same file.
    """
    require_writable(path.parent).mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}{PARTIAL_SUFFIX}")
    with _lock(path):
        try:
            if checksum is None:
                partial.unlink(missing_ok=True)
            transfer = _Transfer(url, partial, headers or {}, progress)
            transfer.run(resume=checksum is not None)
            _require_content(url, partial)
            if checksum is not None:
                _require_checksum(url, partial, checksum)
            if require is not None:
                require(partial, path.name, url)
            with atomic_path(path) as temporary:
                partial.replace(temporary)
        finally:
            if checksum is None:
                partial.unlink(missing_ok=True)


def require_address(address: str, option: str) -> None:
    """Require an address that can be requested.

    Parameters
    ----------
    address
        Address of a file or a folder.
    option
        What gives it; named in the message.

    Raises
    ------
    InputError
        It is not an address of http or https.
    """
    valid = address.startswith(("http://", "https://"))
    with suppress(errors.RequestException, ValueError):
        parts = urlsplit(str(Request("GET", address).prepare().url))
        host = parts.hostname or ""
        if valid and host and parts.port != 0 and not re.search(r"\s|%20", host):
            return
    raise InputError(
        f"{option}: expected an address such as https://HOST/FOLDER, got {address!r}.",
        "To use files from a folder, copy them (docs/weights.md).",
    )


def _require_content(url: str, partial: Path) -> None:
    if partial.exists() and partial.stat().st_size:
        return
    partial.unlink(missing_ok=True)
    raise WeightsError(
        f"{url}: expected a file of weights, got an empty file, which was removed.",
        f"Run the same command again; if it fails again, give another source with --mirror, "
        f"{RECIPE}.",
    )


def _require_checksum(url: str, partial: Path, checksum: Checksum) -> None:
    if checksum.matches(partial):
        return
    sha256 = file_digest(partial, len(checksum.sha256))
    partial.unlink()
    raise WeightsError(
        f"{url}: expected the SHA-256 {checksum.sha256} ({checksum.source}), got {sha256}; the "
        "file was removed.",
        "Run the same command again; if it fails again, give another source with --mirror, "
        f"{RECIPE}.",
    )


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise InputError(
            f"{path} is being downloaded by another process.", "Wait until it has finished."
        ) from error
    try:
        yield
    finally:
        lock.release()


class _Transfer:
    """Appends the rest of a file to a partial file; the progress bar of pooch's downloader.

    Parameters are those of `download`.
    """

    def __init__(
        self, url: str, partial: Path, headers: Mapping[str, str], progress: Progress
    ) -> None:
        self._url, self._partial, self._headers = url, partial, headers
        self._progress, self._resume = progress, False
        self._task = f"download {partial.name.removeprefix('.').removesuffix(PARTIAL_SUFFIX)}"
        self._file: IO[bytes]
        self._shown_mb = 0.0
        self.total = 0  # pooch sets it

    def run(self, resume: bool) -> None:
        """Receive the rest; with ``resume``, reconnect as long as the partial file grows."""
        self._resume = resume
        while True:
            before = self._size()
            try:
                self._receive(before)
                return self._progress.done(self._task)
            except errors.HTTPError as error:
                if not (before and error.response.status_code == _RANGE_REFUSED):
                    raise self._refused(error.response) from error
                self._partial.unlink()  # it is longer than the file
            except (errors.RequestException, PoolError) as error:
                if not (resume and self._size() > before):
                    raise self._broken(error, before) from error

    def begin(self, response: Response, **_: Any) -> None:
        """Start the bar; requests calls this with the headers of a response."""
        if not response.ok or response.is_redirect:
            return
        if "text/html" in response.headers.get("Content-Type", ""):
            raise WeightsError(
                f"{response.url}: expected a file of weights, got a web page.",
                f"Check whether the network has a login page; give another source with --mirror, "
                f"{RECIPE}.",
            )
        if response.status_code != HTTPStatus.PARTIAL_CONTENT:
            self._file.truncate(0)  # the server sends the whole file
        length = response.headers.get("Content-Length")
        self._shown_mb = _megabytes(self._size())
        self._progress.start(self._task, _megabytes(int(length)) if length else None, "MB")

    def update(self, _: int) -> None:
        """Report the bytes written so far; pooch gives the size of the buffer instead."""
        now_mb = _megabytes(self._size())
        self._progress.advance(self._task, round(now_mb - self._shown_mb, 1))
        self._shown_mb = now_mb

    def reset(self) -> None:
        """Do nothing; pooch requires it."""

    def close(self) -> None:
        """Do nothing; pooch requires it."""

    def _size(self) -> int:
        return self._partial.stat().st_size if self._partial.exists() else 0

    def _receive(self, size: int) -> None:
        headers = {**self._headers, "Accept-Encoding": "identity"}
        if size:
            headers["Range"] = f"bytes={size}-"
        receive = HTTPDownloader(
            progressbar=self,
            chunk_size=_CHUNK_BYTES,
            timeout=TIMEOUT_S,
            headers=headers,
            hooks={"response": self.begin},
        )
        with open_partial(self._partial, append=True) as self._file:
            receive(self._url, self._file, None)

    def _broken(self, error: Exception, before: int) -> WeightsError:
        size = self._size()
        if size > before or (size and isinstance(error, errors.ChunkedEncodingError)):
            return WeightsError(
                f"{self._url}: the connection broke after {_megabytes(size):g} MB.",
                "Run the same command again: "
                + (
                    "it continues the download, if the server can send the rest of a file."
                    if self._resume
                    else "it starts from the beginning, because no checksum is known with which "
                    "two parts of the file could be joined."
                ),
            )
        return WeightsError(
            f"{self._url} cannot be reached: {_reason(error)}.",
            "Check the connection and the variables HTTPS_PROXY and NO_PROXY; give another source "
            f"with --mirror, {RECIPE}.",
        )

    def _refused(self, response: Response) -> WeightsError:
        return WeightsError(
            f"{self._url}: expected a file, got the HTTP status {response.status_code} "
            f"({response.reason}).",
            f"Give another source with --mirror, {RECIPE}.",
        )


def _megabytes(size: int) -> float:
    return round(size / 1e6, 1)


def _reason(error: Exception) -> str:
    """Shorten the message of requests, which repeats the address."""
    if "SOCKS" in str(error):
        return "a SOCKS proxy needs another package (`pip install 'requests[socks]'`)"
    if isinstance(error, errors.InvalidURL | errors.InvalidSchema | PoolError):
        return "its address, or that of the proxy in HTTPS_PROXY, is not valid"
    if "BadStatusLine" in str(error):
        return "it does not respond in the protocol HTTP"
    if isinstance(error, errors.TooManyRedirects):
        return "it redirects without end"
    if isinstance(error, errors.ProxyError):
        return "the proxy does not respond as expected"
    if isinstance(error, errors.SSLError):
        return "its certificate cannot be verified"
    if isinstance(error, errors.ChunkedEncodingError):
        return "it closed the connection"
    if isinstance(error, errors.Timeout) or "timed out" in str(error):
        return f"no response within {TIMEOUT_S:g} s"
    number = re.search(r"\[Errno -?\d+\] ([\w ]+)", str(error))
    return number[1] if number else f"{type(error).__name__} ({str(error)[:100]})"
