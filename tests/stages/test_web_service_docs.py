"""The examples of docs/web-service.md answer requests with the tiny model of the tests."""

from __future__ import annotations

import http.client
import json
import re
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "web-service.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
BOUNDARY = "boundary-of-the-form"


class SilentHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture
def service(tmp_path, untrained_run, monkeypatch) -> dict:
    """The names of the examples, with temporary files below ``tmp_path``."""
    runs, temporary = tmp_path / "runs", tmp_path / "temporary"
    runs.mkdir()
    temporary.mkdir()
    (runs / "first").symlink_to(untrained_run, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    names: dict = {}
    exec(compile("\n".join(EXAMPLES), PAGE.name, "exec"), names)
    names["temporary"] = temporary
    return names


@pytest.fixture
def address(service) -> Iterator[tuple[str, int]]:
    """Address of a server on loopback that runs the application."""
    with make_server("127.0.0.1", 0, service["application"], handler_class=SilentHandler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[:2]
        server.shutdown()
        thread.join()


def multipart(files: dict[str, tuple[str, bytes]]) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, (file, content) in files.items()
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def post(address, files, path="/predict", **headers) -> tuple[int, dict]:
    connection = http.client.HTTPConnection(*address, timeout=300)
    content_type = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection.request("POST", path, multipart(files), {**content_type, **headers})
    response = connection.getresponse()
    status, document = response.status, json.loads(response.read())
    connection.close()
    return status, document


def test_service_answers_with_the_probabilities_of_the_model(
    service, address, model, recording_files
):
    files = {
        "video": ("private name.mp4", (recording_files / "face.mp4").read_bytes()),
        "eeg": ("cap.EDF", (recording_files / "cap.edf").read_bytes()),
    }
    status, document = post(address, files)
    assert status == 200, document
    expected = model.predict(recording_files / "face.mp4", recording_files / "cap.edf")
    probabilities = [segment["probabilities"] for segment in document["segments"]]
    np.testing.assert_allclose(probabilities, expected.probabilities, rtol=0, atol=1e-6)
    assert document["classes"] == list(expected.class_names)
    assert document["notes"]
    assert {"model_above_chance", "test_score", "abstained"} <= set(document)
    assert "private name" not in json.dumps(document)
    assert "request" not in document
    assert not list(service["temporary"].iterdir())


def test_service_refuses_requests_that_it_cannot_answer(service, address, recording_files):
    eeg = (recording_files / "cap.edf").read_bytes()
    video = ("face.mp4", b"no video")
    assert post(address, {"eeg": ("cap.edf", eeg)}, "/other")[0] == 404
    assert post(address, {"other": ("cap.edf", eeg)})[0] == 400
    assert post(address, {"eeg": ("../../cap.py", eeg)})[0] == 400
    status, document = post(address, {"video": video})
    assert status == 422
    assert document["error"]
    assert document["hint"]
    service["MAX_BYTES"] = 1000
    assert post(address, {"eeg": ("cap.edf", b"0" * 2000)})[0] == 413
    service["MAX_BYTES"], service["BUSY_AFTER_S"] = 10**9, 0.01
    with service["LOCK"]:
        assert post(address, {"video": video})[0] == 503
    assert not list(service["temporary"].iterdir())
