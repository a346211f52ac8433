"""JSON documents."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from milmer_cli import json_files
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import EegSettings


@dataclass
class _Result:
    path: Path
    score: float


def test_to_json_converts_everything_that_results_contain(tmp_path):
    value = {
        1: np.float32(0.5),
        "nan": float("nan"),
        "infinite": [np.inf, -np.inf],
        "result": _Result(Path("a/b"), np.float64("nan")),
        "array": np.array([[1.0, np.nan]]),
        "tensor": torch.tensor([1, 2]),
        "names": ("a", None, True),
        "set": {"b", "a"},
        "settings": EegSettings().model_copy(update={"band_hz": (1.0, 50.0)}),
    }
    plain = json_files.to_json(value)
    assert plain["settings"].pop("band_hz") == [1.0, 50.0]
    del plain["settings"]
    assert plain == {
        "1": 0.5,
        "nan": None,
        "infinite": [None, None],
        "result": {"path": "a/b", "score": None},
        "array": [[1.0, None]],
        "tensor": [1, 2],
        "names": ["a", None, True],
        "set": ["a", "b"],
    }
    json_files.write_json(tmp_path / "file.json", value)
    assert json.loads((tmp_path / "file.json").read_text())["result"]["score"] is None


def test_json_text_refuses_what_json_cannot_hold():
    with pytest.raises(TypeError):
        json_files.json_text({"x": object()})


def test_read_json_names_the_file(tmp_path):
    path = tmp_path / "file.json"
    with pytest.raises(InputError, match=r"file\.json cannot be read") as caught:
        json_files.read_json(path, "Run prepare again.")
    assert caught.value.hint == "Run prepare again."
    path.write_text("{")
    with pytest.raises(InputError, match=r"file\.json is not valid JSON"):
        json_files.read_json(path)
    json_files.write_json(path, [1])
    assert json_files.read_json(path) == [1]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\x00" * 64, b"\xff\xfe{", b"[" * 100_000, b"9" * 5000]
)
def test_read_json_names_a_damaged_file_in_one_sentence(tmp_path, content):
    path = tmp_path / "index.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"index\.json is not valid JSON") as caught:
        json_files.read_json(path, "Prepare again.")
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300 + len(str(path))
    assert caught.value.hint == "Prepare again."


@pytest.mark.parametrize(("content", "problem"), [("[1]", "got list"), ("{}", "it has no name")])
def test_read_json_object_requires_its_keys(tmp_path, content, problem):
    path = tmp_path / "index.json"
    path.write_text(content)
    with pytest.raises(InputError, match=problem):
        json_files.read_json_object(path, ["name"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_read_json_never_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(InputError, match="expected a regular file"):
        json_files.read_json(tmp_path / "pipe.json")
