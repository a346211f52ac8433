"""A download is complete and verified under its final name, or leaves nothing there."""

from __future__ import annotations

import hashlib
import socket
import sys
import threading

import numpy as np
import pytest
from filelock import FileLock

from helpers import RecordingProgress
from milmer_cli.errors import InputError, WeightsError
from milmer_cli.weights import download as module
from milmer_cli.weights.checksums import Checksum
from milmer_cli.weights.download import download

CONTENT = np.random.default_rng(0).integers(0, 256, 1_000_000, np.uint8).tobytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
CHECKSUM = Checksum(SHA256, "of the test")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights" / "net.pth"


@pytest.fixture
def partial(path):
    return path.with_name(".net.pth.part")


@pytest.fixture
def url(server):
    server.files["/net.pth"] = CONTENT
    return f"{server.url}/net.pth"


@pytest.mark.parametrize("checksum", [CHECKSUM, Checksum(SHA256[:10], "in the name"), None])
def test_download_writes_the_file_and_reports_its_size(path, partial, url, checksum):
    progress = RecordingProgress()

    download(url, path, checksum, progress=progress)

    assert path.read_bytes() == CONTENT
    assert not partial.exists()
    assert progress.totals == {"download net.pth": 1.0}
    assert progress.amounts["download net.pth"] == pytest.approx(1.0)
    assert progress.finished == ["download net.pth"]


@pytest.mark.parametrize("digits", [64, 10])
def test_download_with_a_wrong_checksum_leaves_no_file(path, url, digits):
    wrong = Checksum("f" * digits, "of the test")

    with pytest.raises(WeightsError) as caught:
        download(url, path, wrong)

    assert url in caught.value.message
    assert f"got {SHA256[:digits]}" in caught.value.message
    assert "--mirror" in caught.value.hint
    assert "\n" not in str(caught.value)
    assert [file.name for file in path.parent.iterdir()] == [".net.pth.lock"]


def test_download_keeps_an_older_file_if_the_new_one_is_wrong(path, url):
    path.parent.mkdir()
    path.write_bytes(b"older")

    with pytest.raises(WeightsError):
        download(url, path, Checksum("f" * 64, "of the test"))

    assert path.read_bytes() == b"older"


def test_download_reconnects_after_a_break(path, server, url):
    server.break_after = [4 * 2**16, 4 * 2**16]

    download(url, path, CHECKSUM)

    assert path.read_bytes() == CONTENT
    parts = [part for _, part in server.gets()]
    assert parts == ["", "bytes=262144-", "bytes=524288-"]


def test_download_continues_a_partial_file_in_the_next_call(path, partial, server, url):
    size = 6 * 2**16
    server.break_after = [size, 0]  # the second connection brings nothing

    with pytest.raises(WeightsError, match=r"the connection broke after 0\.4 MB") as caught:
        download(url, path, CHECKSUM)
    assert "Run the same command again" in caught.value.hint
    assert not path.exists()
    assert partial.read_bytes() == CONTENT[:size]

    server.requests.clear()
    progress = RecordingProgress()
    download(url, path, CHECKSUM, progress=progress)
    assert server.gets() == [("/net.pth", f"bytes={size}-")]
    assert progress.totals == {"download net.pth": 0.6}  # what is left, so that the time is right
    assert path.read_bytes() == CONTENT


def test_download_from_a_server_without_ranges_starts_again(path, partial, server, url):
    server.ranges = False
    path.parent.mkdir()
    partial.write_bytes(CONTENT[:400_000])

    download(url, path, CHECKSUM)

    assert server.gets() == [("/net.pth", "bytes=400000-")]
    assert path.read_bytes() == CONTENT


def test_download_stops_if_a_server_without_ranges_always_breaks(path, server, url):
    server.ranges, server.break_after = False, [300_000] * 9

    with pytest.raises(WeightsError, match="broke"):
        download(url, path, CHECKSUM)
    assert len(server.requests) == 2


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 5])
def test_download_replaces_a_partial_file_that_is_no_part(path, partial, url, size):
    path.parent.mkdir()
    partial.write_bytes(b"x" * size)

    download(url, path, CHECKSUM)

    assert path.read_bytes() == CONTENT


def test_download_of_a_partial_file_of_another_version_is_removed(path, partial, url):
    path.parent.mkdir()
    partial.write_bytes(b"x" * 1000)

    with pytest.raises(WeightsError, match="the file was removed"):
        download(url, path, CHECKSUM)
    assert not partial.exists()
    download(url, path, CHECKSUM)
    assert path.read_bytes() == CONTENT


def test_download_without_a_checksum_never_joins_two_parts(path, partial, server, url):
    path.parent.mkdir()
    partial.write_bytes(b"x" * 1000)

    download(url, path)

    assert server.gets() == [("/net.pth", "")]
    assert path.read_bytes() == CONTENT


def test_download_without_a_checksum_does_not_reconnect(path, server, url):
    server.break_after = [2**17]

    progress = RecordingProgress()
    with pytest.raises(WeightsError, match="the connection broke"):
        download(url, path, progress=progress)
    assert progress.finished == []
    assert server.gets() == [("/net.pth", "")]


@pytest.mark.parametrize("checksum", [CHECKSUM, None])
@pytest.mark.parametrize("without_length", [False, True])
def test_download_refuses_an_empty_file(path, server, url, checksum, without_length):
    server.files["/net.pth"], server.without_length = b"", without_length
    with pytest.raises(WeightsError, match="got an empty file"):
        download(url, path, checksum)
    assert [file.name for file in path.parent.iterdir()] == [".net.pth.lock"]


@pytest.mark.parametrize(
    ("checksum", "hint"),
    [(CHECKSUM, "it continues the download"), (None, "it starts from the beginning")],
)
def test_download_hint_after_a_break_is_what_the_next_call_does(
    path, partial, server, url, checksum, hint
):
    server.break_after = [2**17, 0]
    with pytest.raises(WeightsError, match="the connection broke") as caught:
        download(url, path, checksum)
    assert hint in caught.value.hint
    assert partial.exists() == (checksum is not None)


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("socks5://127.0.0.1:1", r"a SOCKS proxy needs another package \(`pip install"),
        ("http://[::1", "that of the proxy in HTTPS_PROXY, is not valid"),
        ("http://a b:3", "that of the proxy in HTTPS_PROXY, is not valid"),
        ("http://", "that of the proxy in HTTPS_PROXY, is not valid"),
    ],
)
def test_download_with_an_unusable_proxy_is_one_sentence(path, monkeypatch, proxy, reason):
    monkeypatch.setitem(sys.modules, "socks", None)  # not installed
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(WeightsError, match=f"cannot be reached: .*{reason}") as caught:
        download("https://weights.example/net.pth", path, CHECKSUM)
    assert "\n" not in str(caught.value)


def test_download_of_a_missing_file_names_the_status(path, server):
    with pytest.raises(WeightsError, match=r"/gone\.pth: .* HTTP status 404 \(Not Found\)"):
        download(f"{server.url}/gone.pth", path, CHECKSUM)
    assert not path.exists()


def test_download_refuses_a_web_page(path, server, url):
    server.headers["/net.pth"] = {"Content-Type": "text/html; charset=utf-8"}

    with pytest.raises(WeightsError, match="got a web page"):
        download(url, path)
    assert not path.exists()


def test_download_without_a_connection_is_one_sentence(path, free_port):
    url = f"http://127.0.0.1:{free_port}/net.pth"

    with pytest.raises(WeightsError) as caught:
        download(url, path, CHECKSUM)

    assert caught.value.message == f"{url} cannot be reached: Connection refused."
    assert "HTTPS_PROXY" in caught.value.hint
    assert "docs/weights.md" in caught.value.hint


def test_download_without_a_connection_keeps_the_partial_file(path, partial, free_port):
    path.parent.mkdir()
    partial.write_bytes(CONTENT[:400_000])
    with pytest.raises(WeightsError, match="cannot be reached: Connection refused"):
        download(f"http://127.0.0.1:{free_port}/net.pth", path, CHECKSUM)
    assert partial.read_bytes() == CONTENT[:400_000]


def test_download_from_a_server_of_another_protocol(path):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"220 files ready\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(WeightsError, match="it does not respond in the protocol HTTP"):
            download(f"http://127.0.0.1:{listener.getsockname()[1]}/net.pth", path, CHECKSUM)
        thread.join()


def test_download_from_a_server_that_redirects_to_itself(path, server, url):
    server.redirects = {"/net.pth"}
    with pytest.raises(WeightsError, match="it redirects without end"):
        download(url, path, CHECKSUM)


def test_download_from_a_server_that_closes_the_connection(path, server, url):
    server.break_after = [0]
    with pytest.raises(WeightsError, match="cannot be reached: it closed the connection"):
        download(url, path, CHECKSUM)


def test_download_does_not_wait_for_a_silent_server(path, server, url, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_S", 0.1)
    answer = threading.Event()
    server.before_body = lambda: answer.wait(5)

    with pytest.raises(WeightsError, match=r"cannot be reached: no response within 0\.1 s\."):
        download(url, path, CHECKSUM)
    answer.set()


def test_download_uses_the_proxy_of_the_environment(path, server, monkeypatch):
    url = "http://weights.example/net.pth"
    server.files[url] = CONTENT  # a proxy gets whole addresses
    monkeypatch.setenv("http_proxy", server.url)

    download(url, path, CHECKSUM)

    assert server.gets() == [(url, "")]
    assert path.read_bytes() == CONTENT


def test_download_respects_no_proxy(path, url, free_port, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port}")
    with pytest.raises(WeightsError, match="the proxy"):
        download(url, path, CHECKSUM)

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    download(url, path, CHECKSUM)
    assert path.exists()


def test_download_refuses_a_second_process(path, url):
    path.parent.mkdir()
    lock = FileLock(path.with_name(".net.pth.lock"))
    with lock, pytest.raises(InputError, match="downloaded by another process"):
        download(url, path, CHECKSUM)
    assert not path.exists()
