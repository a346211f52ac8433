"""``milmer weights``; the downloads are tested in tests/weights."""

from __future__ import annotations

import socket

import pytest

from milmer_cli.faces.detector import DETECTORS

SFD = "s3fd-619a316812.pth"


@pytest.fixture
def no_backbone():
    return ("--set", "model.backbone=scratch:tiny")


def test_weights_list_as_rows_and_as_json(milmer, tmp_path):
    arguments = ("--weights-dir", "weights", "--swin", "somebody/some-swin")

    shown = milmer("weights", "list", *arguments)
    document = milmer("weights", "list", *arguments, "--json").document

    assert shown.code == 0
    names = [*DETECTORS, "somebody/some-swin"]
    assert [line.split()[0] for line in shown.out.splitlines()[: len(names)]] == names
    assert [item["name"] for item in document["weights"]] == names
    [sfd] = document["weights"][0]["files"]
    assert sfd["path"] == f"weights/{SFD}"
    assert sfd["state"] == "missing"
    assert len(sfd["sha256"]) == 64
    assert document["folder"] == "weights"


def test_weights_verify_fails_for_a_damaged_file(milmer, tmp_path, no_backbone):
    assert milmer("weights", "verify", "--weights-dir", "weights", *no_backbone).code == 0
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / SFD).write_bytes(b"damaged")

    outcome = milmer("weights", "verify", "--weights-dir", "weights", *no_backbone)

    assert outcome.code == 1
    assert f"damaged, weights/{SFD}" in outcome.out


def test_weights_fetch_without_a_connection(milmer, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        mirror = f"http://127.0.0.1:{probe.getsockname()[1]}"  # nothing listens there

    outcome = milmer("weights", "fetch", "sfd", "--weights-dir", "weights", "--mirror", mirror)

    assert outcome.code == 2
    assert f"Error: {mirror}/{SFD} cannot be reached" in outcome.err
    assert "Hint: " in outcome.err
    assert not (tmp_path / "weights" / SFD).exists()


def test_weights_fetch_passes_its_arguments(milmer, monkeypatch):
    from milmer_cli.weights import catalog

    calls = []

    def record(names, settings, mirror, progress):
        calls.append((names, settings.faces.weights_dir, mirror))
        return catalog.list_weights(settings)

    monkeypatch.setattr(catalog, "fetch_weights", record)
    assert milmer("weights", "fetch", "sfd", "a/b", "--weights-dir", "w").code == 0
    assert calls == [(["sfd", "a/b"], "w", "")]


def test_weights_fetch_requires_a_name(milmer):
    assert milmer("weights", "fetch").code == 2


def test_info_names_the_command_for_a_missing_backbone(milmer):
    outcome = milmer("info", "--set", "model.backbone=somebody/some-swin")
    assert "run milmer weights fetch somebody/some-swin" in outcome.out
