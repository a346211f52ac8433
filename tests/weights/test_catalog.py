"""`list_weights` and `fetch_weights` for face detectors; see `test_hub` for backbones."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
import torch

from milmer_cli.errors import InputError, WeightsError
from milmer_cli.faces import centerface
from milmer_cli.faces.detector import DETECTORS
from milmer_cli.settings import load_settings
from milmer_cli.weights.catalog import fetch_weights, list_weights
from milmer_cli.weights.checksums import PUBLISHED, Checksum


@pytest.fixture
def settings(tmp_path, hub):
    return load_settings(overrides=[f"faces.weights_dir={tmp_path / 'weights'}"])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "weights"


def state(result, name):
    [weights] = [item for item in result.weights if item.name == name]
    return weights.state


@pytest.fixture
def sfd(server, monkeypatch):
    """File of sfd on the server, and its name."""
    [(file, _)] = DETECTORS["sfd"].weights
    server.files[f"/mirror/{file}"] = b"weights of sfd"
    sha256 = hashlib.sha256(b"weights of sfd").hexdigest()
    monkeypatch.setitem(PUBLISHED, file, Checksum(sha256, "of the test"))
    return file


@pytest.fixture
def blazeface():
    """Files in the format of those of blazeface."""
    tensors, anchors = io.BytesIO(), io.BytesIO()
    torch.save({"weight": torch.zeros(3)}, tensors)
    np.save(anchors, np.zeros((896, 4)))
    return {"/blazeface.pth": tensors.getvalue(), "/anchors.npy": anchors.getvalue()}


def test_list_weights_lists_every_detector_and_the_backbone(settings):
    result = list_weights(settings)

    assert [item.name for item in result.weights] == [*DETECTORS, settings.model.backbone]
    for name, spec in DETECTORS.items():
        assert state(result, name) == ("missing" if spec.weights else "installed")
    assert state(result, settings.model.backbone) == "missing"
    document = result.to_json()
    urls = [file["url"] for item in document["weights"] for file in item["files"]]
    assert set(urls) == {u for spec in DETECTORS.values() for _, u in spec.weights} | {""}


def test_list_weights_without_a_backbone_of_the_hub(tmp_path):
    for backbone in ("scratch:tiny", str(tmp_path)):
        settings = load_settings(overrides=[f"model.backbone={backbone}"])
        assert [item.name for item in list_weights(settings).weights] == list(DETECTORS)


def test_list_weights_of_a_path_that_does_not_exist_lists_no_backbone(tmp_path):
    for backbone in ("./nowhere/swin", str(tmp_path / "nowhere"), "a/b/c"):
        settings = load_settings(overrides=[f"model.backbone={backbone}"])
        assert [item.name for item in list_weights(settings).weights] == list(DETECTORS)


def test_list_weights_says_which_checksums_are_not_published(settings):
    rows = dict(list_weights(settings).summary())
    for name in ("scrfd", "retinaface", "blazeface"):
        assert "no checksum published" in rows[name]
    for name in ("sfd", "yunet", "centerface"):
        assert "SHA-256" in rows[name]


def test_list_weights_of_a_damaged_centerface(settings, tmp_path, monkeypatch):
    class Distribution:
        def locate_file(self, name):
            return tmp_path / "centerface.onnx"

    (tmp_path / "centerface.onnx").write_bytes(b"another network")
    monkeypatch.setattr(centerface.metadata, "distribution", lambda name: Distribution())

    result = list_weights(settings, verify=True)

    assert state(result, "centerface") == "damaged"
    assert not result.complete


def test_fetch_weights_verifies_and_is_needed_once(settings, folder, server, sfd):
    result = fetch_weights(["sfd"], settings, mirror=f"{server.url}/mirror/")

    assert state(result, "sfd") == "verified"
    assert (folder / sfd).read_bytes() == b"weights of sfd"
    assert state(list_weights(settings), "sfd") == "present"
    fetch_weights(["sfd", "sfd"], settings, mirror=f"{server.url}/mirror")
    assert len(server.gets()) == 1


def test_fetch_weights_replaces_a_damaged_file(settings, folder, server, sfd):
    folder.mkdir()
    (folder / sfd).write_bytes(b"damaged")
    damaged = list_weights(settings, verify=True)
    assert state(damaged, "sfd") == "damaged"
    assert not damaged.complete
    assert str(folder / sfd) in dict(damaged.summary())["sfd"]

    fetch_weights(["sfd"], settings, mirror=f"{server.url}/mirror")

    assert state(list_weights(settings, verify=True), "sfd") == "verified"


def test_fetch_weights_records_the_checksum_of_files_without_a_published_one(
    settings, folder, server, blazeface
):
    server.files |= blazeface
    folder.mkdir()
    (folder / "blazeface.pth").write_bytes(b"of unknown origin")
    (folder / "anchors.npy").write_bytes(b"of unknown origin")
    assert state(list_weights(settings, verify=True), "blazeface") == "unverified"

    result = fetch_weights(["blazeface"], settings, mirror=server.url)

    assert state(result, "blazeface") == "recorded"  # nobody knows whether it is genuine
    assert state(list_weights(settings, verify=True), "blazeface") == "verified"
    assert "SHA-256 recorded at the download" in dict(result.summary())["blazeface"]
    (folder / "anchors.npy").write_bytes(b"damaged")
    assert state(list_weights(settings, verify=True), "blazeface") == "damaged"


def test_fetch_weights_refuses_a_truncated_file_without_a_published_checksum(
    settings, folder, server, blazeface
):
    for cut in (0, 1, 100, len(blazeface["/blazeface.pth"]) - 1):
        server.files = {**blazeface, "/blazeface.pth": blazeface["/blazeface.pth"][:cut]}
        with pytest.raises(WeightsError, match=r"blazeface\.pth: expected"):
            fetch_weights(["blazeface"], settings, mirror=server.url)
        assert state(list_weights(settings), "blazeface") == "missing"
        assert {path.name for path in folder.iterdir()} == {".blazeface.pth.lock"}


def test_fetch_weights_of_an_installed_detector_downloads_nothing(settings, server):
    result = fetch_weights(["centerface", "dlib"], settings, mirror=server.url)
    assert [item.state for item in result.weights] == ["installed", "installed"]
    assert server.requests == []


def test_fetch_weights_with_a_wrong_checksum_leaves_the_detector_missing(
    settings, server, sfd, monkeypatch
):
    monkeypatch.setitem(PUBLISHED, sfd, Checksum("f" * 64, "of the test"))
    with pytest.raises(WeightsError, match=f"{sfd}: expected the SHA-256 f+ .of the test"):
        fetch_weights(["sfd"], settings, mirror=f"{server.url}/mirror")
    assert state(list_weights(settings, verify=True), "sfd") == "missing"


@pytest.mark.parametrize(
    ("names", "mirror", "expected"),
    [
        (["sdf"], "", "No weights are named sdf: expected one of sfd, scrfd"),
        (["sfd"], "/mnt/weights", "--mirror: expected an address"),
        (["sfd"], "ftp://host/weights", "--mirror: expected an address"),
        (["sfd"], "http://", "--mirror: expected an address"),
        (["sfd"], "http://[::1", "--mirror: expected an address"),
        (["sfd"], "http://a host/", "--mirror: expected an address"),
        (["a/b"], "http://host:port/", "--mirror: expected an address"),
        (["a/b"], "http://host:99999/", "--mirror: expected an address"),
        (["./bb/vit"], "", r"No weights are named \./bb/vit: expected one of"),
        (["a/b/c"], "", "No weights are named a/b/c"),
        (["a/"], "", "No weights are named a/"),
        (["/"], "", "/ is a path on this machine"),
    ],
)
def test_fetch_weights_refuses_an_invalid_call(settings, names, mirror, expected):
    with pytest.raises(InputError, match=expected):
        fetch_weights(names, settings, mirror)
