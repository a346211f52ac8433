"""Digests of values and files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers import run_python
from milmer_cli import digests
from milmer_cli.errors import InputError


def test_digest_depends_on_values_order_and_limits():
    found = {
        digests.digest("ab"),
        digests.digest("a", "b"),
        digests.digest("b", "a"),
        digests.digest(b"ab"),
        digests.digest(["ab"]),
        digests.digest(np.array([1, 2])),
        digests.digest(np.array([1.0, 2.0])),
        digests.digest(np.array([[1, 2]])),
        digests.digest(torch.tensor([1.0, 2.0])),
        digests.digest(torch.tensor([1.0, 2.0], dtype=torch.bfloat16)),
    }
    assert len(found) == 10
    assert digests.digest({"a": 1, "b": 2}) == digests.digest({"b": 2, "a": 1})
    assert digests.digest("a", length=12) == digests.digest("a", length=64)[:12]
    assert digests.digest(np.array(["a", "b"])) == digests.digest(["a", "b"])


def test_digest_is_the_same_in_another_process():
    code = "from milmer_cli.digests import digest; print(digest({'a', 'b', 'c'}, 'x', 1.5))"
    other = run_python("-c", code, environment={"PYTHONHASHSEED": "12345"})
    assert other.stdout.strip() == digests.digest({"a", "b", "c"}, "x", 1.5)


def test_file_digest_is_the_sha256_of_the_content(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert digests.file_digest(path).startswith("ba7816bf8f01cfea414140de5dae2223")
    with pytest.raises(InputError, match="nothing cannot be read"):
        digests.file_digest(tmp_path / "nothing")


def test_quick_file_digest_sees_both_ends_and_the_size(tmp_path):
    path = tmp_path / "file"
    found = set()
    content = bytearray(300_000)
    for position in (None, 0, -1):
        if position is not None:
            content[position] = 1
        path.write_bytes(content)
        found.add(digests.quick_file_digest(path))
    path.write_bytes(content + b"\0")
    found.add(digests.quick_file_digest(path))
    assert len(found) == 4


def test_content_digest_is_that_of_a_renamed_copy(tmp_path):
    content = bytes(range(256)) * 1000
    (tmp_path / "a.edf").write_bytes(content)
    (tmp_path / "b.edf").write_bytes(content)
    (tmp_path / "c.edf").write_bytes(content[:-1] + b"x")
    first, copy, other = (digests.content_digest(tmp_path / f"{name}.edf") for name in "abc")
    assert first == copy != other
