"""Every file that a user names is opened only if it is a regular file."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from milmer_cli.datasets.deap.preprocessed import _read_dat, _read_mat
from milmer_cli.datasets.table import TableErrors, read_table
from milmer_cli.digests import file_digest, quick_file_digest
from milmer_cli.eeg.biosemi import check_bdf
from milmer_cli.eeg.io import open_eeg
from milmer_cli.errors import InputError
from milmer_cli.fer.image_files import read_rgb
from milmer_cli.fer.readers.csv_file import read_header
from milmer_cli.input_files import open_input, read_input, require_regular_file
from milmer_cli.json_files import read_json
from milmer_cli.models.pretrained_files import read_tensors
from milmer_cli.settings import load_settings
from milmer_cli.store import PreparedParticipant
from milmer_cli.video.decode import open_container
from milmer_cli.video.file_size import lacks_mp4_index

READERS = {
    "settings": lambda path: load_settings(file=path),
    "table": lambda path: read_table(TableErrors(path, ""), ()),
    "dat": _read_dat,
    "mat": _read_mat,
    "bdf": check_bdf,
    "eeg": open_eeg,
    "video": open_container,
    "video size": lacks_mp4_index,
    "image": read_rgb,
    "expression list": read_header,
    "json": read_json,
    "digest": file_digest,
    "quick digest": quick_file_digest,
    "weights": read_tensors,
    "store": PreparedParticipant.open,
}


@pytest.mark.parametrize("reader", READERS)
def test_reader_never_waits_for_a_named_pipe(tmp_path: Path, reader: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(InputError, match="is a named pipe: expected a regular file"):
            READERS[reader](tmp_path / name)


@pytest.mark.parametrize("reader", ["table", "image", "eeg", "video", "settings"])
def test_reader_opens_no_device(reader: str) -> None:
    with pytest.raises(InputError, match="is a device"):
        READERS[reader](Path("/dev/zero"))


def test_open_eeg_opens_no_pipe_beside_the_header(tmp_path: Path) -> None:
    header = tmp_path / "a.vhdr"
    header.write_text("Brain Vision Data Exchange Header File Version 1.0\nDataFile=b.eeg\n")
    os.mkfifo(tmp_path / "b.eeg")
    with pytest.raises(InputError, match=r"b\.eeg is a named pipe"):
        open_eeg(header)
    (tmp_path / "b.eeg").unlink()
    os.mkfifo(tmp_path / "a.vmrk")
    with pytest.raises(InputError, match=r"a\.vmrk is a named pipe"):
        open_eeg(header)


def test_open_input_refuses_sockets_and_folders() -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder) / "s"  # the names of sockets are short
        listener.bind(str(path))
        with pytest.raises(InputError, match="is a socket"):
            open_input(path)
        with pytest.raises(InputError, match="is a folder"):
            require_regular_file(Path(folder))


def test_read_input_follows_links_to_regular_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_input(tmp_path / "link") == b"content"
    with pytest.raises(InputError, match="does not exist"):
        require_regular_file(tmp_path / "missing")
