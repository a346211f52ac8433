"""A Hugging Face Hub on loopback that accepts uploads and serves what was uploaded."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from helpers import git_hash

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@dataclass
class FakeHub:
    """Repositories, and what the Hub was asked.

    Attributes
    ----------
    url
        Address of the server.
    private
        Repository -> whether it is private.
    commits
        Repository -> commit -> name -> content; the last commit is that of the main branch.
    large
        SHA-256 -> content of an uploaded large file.
    token
        The only accepted access token.
    refuse
        Status with which the creation of a repository is refused; 0 for none.
    requests
        Method and path of each request.
    """

    url: str = ""
    private: dict[str, bool] = field(default_factory=dict)
    commits: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    token: str = "hf_secret"
    refuse: int = 0
    requests: list[str] = field(default_factory=list)

    def commit(self, repository: str, files: dict[str, bytes]) -> str:
        """Add a commit with these files, and return its name."""
        commits = self.commits.setdefault(repository, {})
        name = hashlib.sha1(f"{repository} {len(commits)}".encode()).hexdigest()
        commits[name] = files
        return name


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> FakeHub:
        return self.server.hub  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self._start()
        parts = path.strip("/").split("/")
        repository = "/".join(parts[2:4]) if parts[0] == "api" else "/".join(parts[:2])
        commits = self.hub.commits.get(repository, {})
        own = [name for name in commits if name == parts[-1]] or list(commits)[-1:]
        if repository not in self.hub.private and not commits:
            self._error(404, "RepoNotFound")
        elif parts[0] == "api" and "tree" in parts:
            self._json([_tree_entry(*item) for item in commits[own[0]].items()])
        elif parts[0] == "api":
            if "revision" in parts and parts[-1] not in ("main", *commits):
                self._error(404, "RevisionNotFound")
                return
            sha = own[0] if own else None
            private = self.hub.private.get(repository, False)
            self._json({"id": repository, "sha": sha, "private": private, "siblings": []})
        else:  # /USER/NAME/resolve/COMMIT/FILE
            commit = parts[3] if parts[3] in commits else list(commits)[-1]
            content = commits[commit][parts[4]]
            etag = _tree_entry(parts[4], content)
            headers = {"X-Repo-Commit": commit, "ETag": f'"{etag["oid"]}"'}
            if "lfs" in etag:
                headers |= {
                    "X-Linked-Etag": f'"{etag["lfs"]["oid"]}"',
                    "X-Linked-Size": str(len(content)),
                }
            self._send(200, content, headers)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        path = self._start()
        self.hub.large[path.rpartition("/")[2]] = self._body()
        self._send(200, b"")

    def do_POST(self) -> None:
        path, body = self._start(), self._body()
        if self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._error(401, "")
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":  # of the model card
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self._json({"files": files})
        elif path.endswith("/info/lfs/objects/batch"):
            objects = [
                {
                    "oid": own["oid"],
                    "size": own["size"],
                    "actions": {"upload": {"href": f"{self.hub.url}/upload/{own['oid']}"}},
                }
                for own in json.loads(body)["objects"]
            ]
            self._json({"transfer": "basic", "objects": objects})
        elif "/commit/" in path:
            self._commit("/".join(path.split("/")[3:5]), body)
        else:
            self._error(404, "")

    def _create(self, document: dict[str, Any]) -> None:
        name = f"{document['organization']}/{document['name']}"
        if self.hub.refuse:
            self._error(self.hub.refuse, "")
        elif name in self.hub.private:
            url = f"{self.hub.url}/{name}"
            self._json({"error": "You already created this model repo", "url": url}, 409)
        else:
            private = document.get("private", document.get("visibility") == "private")
            self.hub.private[name] = bool(private)
            self._json({"url": f"{self.hub.url}/{name}"})

    def _commit(self, repository: str, body: bytes) -> None:
        files = {}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
        name = self.hub.commit(repository, files)
        self._json({"commitUrl": f"{self.hub.url}/{repository}/commit/{name}", "commitOid": name})

    def _start(self) -> str:
        path = self.path.partition("?")[0]
        self.hub.requests.append(f"{self.command} {path}")
        return path

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _json(self, document: object, status: int = 200) -> None:
        self._send(status, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str) -> None:
        self._send(status, b'{"error": "refused"}', {"X-Error-Code": code} if code else {})

    def _send(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _tree_entry(name: str, content: bytes) -> dict[str, Any]:
    entry = {"type": "file", "path": name, "size": len(content), "oid": git_hash(content)}
    if name.endswith(".safetensors"):
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
    return entry


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """The Hub, with an empty cache and a user who is logged in."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    own = FakeHub()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.hub = own  # type: ignore[attr-defined]
        own.url = f"http://127.0.0.1:{server.server_port}"
        for name, value in {
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,  # its protocol is that of a binary library
            "ENDPOINT": own.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": own.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "hub"),
            "HF_TOKEN_PATH": str(tmp_path / "token"),
        }.items():
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
        monkeypatch.setenv("HF_TOKEN", own.token)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield own
        server.shutdown()
        thread.join()
