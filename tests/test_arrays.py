"""Archives of arrays: damage of any kind is recognized."""

from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.arrays import read_arrays


def test_read_arrays_returns_all_arrays(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.arange(5), name=np.array("text"))
    arrays = read_arrays(tmp_path / "a.npz")
    assert arrays["x"].tolist() == [0, 1, 2, 3, 4]
    assert str(arrays["name"]) == "text"


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("seed", range(100))
def test_read_arrays_never_raises_for_a_damaged_file(tmp_path, compressed, seed):
    random = np.random.default_rng(seed)
    path = tmp_path / "a.npz"
    save = np.savez_compressed if compressed else np.savez
    save(path, x=random.normal(size=50), identity=np.array("i" * 200))
    content = bytearray(path.read_bytes())
    start = int(random.integers(len(content)))
    match seed % 3:
        case 0:
            content[start] ^= 1 << int(random.integers(8))
        case 1:
            content[start : start + 64] = bytes(min(64, len(content) - start))
        case 2:
            del content[start:]
    path.write_bytes(content)
    read_arrays(path)


def test_read_arrays_never_loads_objects(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}], object))
    assert read_arrays(tmp_path / "a.npz") is None
