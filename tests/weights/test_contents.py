"""A file without a published checksum is read once, so that a part of it is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from milmer_cli.errors import WeightsError
from milmer_cli.weights.contents import require_complete

URL = "https://weights.example/net"


def complete_file(name):
    """A small file of weights in the format of its name."""
    content, tensors = io.BytesIO(), {"weight": torch.zeros(1000)}
    match name.rpartition(".")[2]:
        case "pth":  # the older format is no zip file
            zipped = not name.startswith("old")
            torch.save(tensors, content, _use_new_zipfile_serialization=zipped)
        case "npy":
            np.save(content, np.zeros((896, 4)))
        case "onnx":  # ir_version 8, producer_name, graph of 300 bytes, a fixed32 field
            content.write(b"\x08\x08\x12\x02cv" + b"\x3a\xac\x02" + bytes(300) + b"\x6d" + bytes(4))
    return content.getvalue()


@pytest.fixture(params=["net.pth", "old.pth", "net.onnx", "anchors.npy"])
def name(request):
    return request.param


def test_require_complete_accepts_a_whole_file(tmp_path, name):
    path = tmp_path / "file.part"
    path.write_bytes(complete_file(name))
    require_complete(path, name, URL)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 1])
def test_require_complete_refuses_a_part(tmp_path, name, share):
    path, content = tmp_path / "file.part", complete_file(name)
    path.write_bytes(content[: int(share * len(content)) - 1])
    with pytest.raises(WeightsError, match=f"{URL}: expected a complete") as caught:
        require_complete(path, name, URL)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(5))
def test_require_complete_refuses_other_bytes(tmp_path, name, seed):
    path = tmp_path / "file.part"
    path.write_bytes(np.random.default_rng(seed).bytes(3000))
    with pytest.raises(WeightsError, match="got 3000 bytes"):
        require_complete(path, name, URL)
