"""HDF5 files are opened only if all their data are inside the file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.store import PreparedParticipant, write_participant
from milmer_cli.store.hdf5_file import MAX_OBJECTS, open_hdf5


def external_link(file: h5py.File, secret: Path) -> None:
    file["onset"] = h5py.ExternalLink(str(secret), "onset")


def external_link_in_group(file: h5py.File, secret: Path) -> None:
    file["onset"] = np.zeros(12, np.float32)
    file["faces/other"] = h5py.ExternalLink(str(secret), "/")


def soft_link(file: h5py.File, secret: Path) -> None:
    file["onset"] = h5py.SoftLink("/trial")


def virtual(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout((12,), np.float32)
    layout[:] = h5py.VirtualSource(str(secret), "onset", (12,))
    file.create_virtual_dataset("onset", layout)


def external_storage(file: h5py.File, secret: Path) -> None:
    file.create_dataset("onset", (12,), np.float32, external=[(str(secret), 0, 48)])


def circle(file: h5py.File, secret: Path) -> None:
    file["faces/again"] = file["/"]


def named_type(file: h5py.File, secret: Path) -> None:
    file["onset"] = np.dtype("float32")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (external_link, "/onset is an external link"),
        (external_link_in_group, "/faces/other is an external link"),
        (soft_link, "/onset is a soft link"),
        (virtual, "/onset is a virtual data set"),
        (external_storage, "/onset has external storage"),
        (circle, f"more than {MAX_OBJECTS} objects"),
        (named_type, "/onset is neither a group nor a data set"),
    ],
)
def test_open_participant_rejects_data_outside_of_the_file(
    tmp_path: Path, header, trials, change: Callable[[h5py.File, Path], None], reason: str
) -> None:
    path, secret = tmp_path / "s01.h5", tmp_path / "secret"
    write_participant(path, header("s01"), trials)
    with h5py.File(secret, "w") as file:
        file["onset"] = np.full(12, 7, np.float32)
    with h5py.File(path, "r+") as file:
        del file["onset"]
        change(file, secret)
    with pytest.raises(InputError, match=reason) as caught:
        PreparedParticipant.open(path)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_open_hdf5_reads_plain_files(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("g/x", data=np.arange(10), compression="gzip", shuffle=True)
    with open_hdf5(tmp_path / "a.h5", "") as file:
        assert file["g/x"][3] == 3
    (tmp_path / "b.h5").write_text("no HDF5")
    os.mkfifo(tmp_path / "c.h5")
    for name in ("b.h5", "c.h5"):
        with pytest.raises(InputError):
            open_hdf5(tmp_path / name, "")
