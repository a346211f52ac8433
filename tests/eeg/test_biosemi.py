from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.eeg.biosemi import open_bdf
from milmer_cli.errors import InputError

N = 512 * 6
SIGNALS = {"Fz": np.zeros(N), "Cz": np.zeros(N)}


def test_open_bdf_without_status_channel(tmp_path, write_bdf):
    path = write_bdf(tmp_path / "s01.bdf", SIGNALS, None)
    with pytest.raises(InputError, match="no status channel"):
        open_bdf(path)


@pytest.mark.parametrize("keep", [0.99, 0.5, 0.0])
def test_open_bdf_rejects_a_truncated_file(tmp_path, write_bdf, status_words, keep):
    path = write_bdf(tmp_path / "s01.bdf", SIGNALS, status_words(N, [(1000, 4)]))
    whole = path.read_bytes()
    head = 256 * 4
    path.write_bytes(whole[: head + int(keep * (len(whole) - head))])
    with pytest.raises(InputError, match=r"s01\.bdf is truncated: expected") as error:
        open_bdf(path)
    assert error.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"\xffBIOSEMI", "not a BDF"), (b"no recording at all" * 100, "not a BDF")],
)
def test_open_bdf_rejects_another_file(tmp_path, content, message):
    path = tmp_path / "s01.bdf"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_bdf(path)
