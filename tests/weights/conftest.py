"""A server on loopback with faults; no test connects to anything else."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from transformers import SwinConfig, SwinModel

from helpers import git_hash

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@dataclass
class WeightServer:
    """Serves `files` and records the requests.

    Attributes
    ----------
    url
        Address of the server, without a slash at the end.
    files
        Path in the address -> content.
    headers
        Path -> additional headers.
    ranges
        Whether requests for a part get this part.
    break_after
        Bytes after which the connection breaks, for each of the next responses.
    authorizations
        Values of the header Authorization of all requests.
    without_length
        Whether responses have no Content-Length: their end is that of the connection.
    redirects
        Paths that redirect to themselves.
    before_body
        Called before the content of a response is sent.
    requests
        ``(method, path, Range header)`` of every request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    ranges: bool = True
    break_after: list[int] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    without_length: bool = False
    redirects: set[str] = field(default_factory=set)
    before_body: Callable[[], object] = lambda: None
    requests: list[tuple[str, str, str]] = field(default_factory=list)

    def gets(self) -> list[tuple[str, str]]:
        """Path and Range header of the GET requests."""
        return [(path, part) for method, path, part in self.requests if method == "GET"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._respond(with_body=False)

    def do_GET(self) -> None:
        self._respond(with_body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _respond(self, with_body: bool) -> None:
        state: WeightServer = self.server.state
        path = self.path.partition("?")[0]
        state.requests.append((self.command, path, self.headers.get("Range", "")))
        state.authorizations.add(self.headers.get("Authorization", ""))
        if path in state.redirects:
            self.send_response(302)
            self.send_header("Location", path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = state.files.get(path)
        self.close_connection = True
        if content is None:
            self.send_error(404)
            return
        start = 0
        if state.ranges and (part := self.headers.get("Range")):
            start = int(part.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
        body = content[start:]
        self.send_response(206 if start else 200)
        if not state.without_length:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        for name, value in state.headers.get(path, {}).items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            state.before_body()
            self.wfile.write(body[: state.break_after.pop(0)] if state.break_after else body)


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Print nothing if a client closes the connection."""


@pytest.fixture
def server() -> Iterator[WeightServer]:
    """A server on loopback."""
    state = WeightServer()
    with _Server(("127.0.0.1", 0), _Handler) as http:
        http.state = state
        state.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _loopback_only(loopback_only: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


REPOSITORY = "somebody/some-swin"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(server: WeightServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightServer:
    """The server as a Hugging Face Hub with an empty cache in ``tmp_path / "hub"``."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return server


@pytest.fixture
def publish(hub: WeightServer) -> Callable[[Path], None]:
    """``publish(folder)``: publish the files of a folder as `REPOSITORY`, weights in Git LFS."""

    def publish(folder: Path) -> None:
        siblings = []
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            sha256, git = hashlib.sha256(content).hexdigest(), git_hash(content)
            sibling = {"rfilename": path.name, "size": len(content), "blobId": git}
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{git}"'}
            if path.suffix in (".safetensors", ".bin"):
                sibling["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
                headers |= {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
            siblings.append(sibling)
            address = f"/{REPOSITORY}/resolve/main/{path.name}"
            hub.files[address], hub.headers[address] = content, headers
        document = {"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}
        hub.files[f"/api/models/{REPOSITORY}"] = json.dumps(document).encode()

    return publish


@pytest.fixture
def swin_folder(tmp_path: Path) -> Path:
    """A small Swin with its image processor, and a file that no backbone needs."""
    config = SwinConfig(image_size=32, window_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2])
    folder = tmp_path / "swin"
    SwinModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    )
    (folder / "README.md").write_text("A small Swin.")
    return folder
