from __future__ import annotations

import os
import struct
import zipfile
from pathlib import Path

import pytest

from milmer_cli.bundle import files as module
from milmer_cli.bundle.contents import Bundle
from milmer_cli.bundle.document import FILES
from milmer_cli.bundle.files import FolderFiles, ZipFiles, open_files, write_zip
from milmer_cli.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    for name in FILES:
        (path / name).write_bytes(name.encode() * 1000)
    return path


def zip_of(path: Path, entries: dict[str, bytes], **changes: object) -> Path:
    """Write a zip file whose entries get attributes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            for key, value in changes.items():
                setattr(info, key, value)
            archive.writestr(info, content)
    return path


def test_zip_contains_the_same_files_as_the_folder(tmp_path, folder):
    own = FolderFiles(folder)
    write_zip(own, own.names(), tmp_path / "a.zip")
    stored = open_files(tmp_path / "a.zip")
    assert stored.names() == own.names() == list(FILES)
    for name in FILES:
        assert stored.read(name) == own.read(name)
        assert stored.digest(name) == own.digest(name)
        assert stored.size(name) == own.size(name)


def test_zip_does_not_depend_on_the_time_and_the_owner_of_the_files(tmp_path, folder):
    own = FolderFiles(folder)
    write_zip(own, own.names(), tmp_path / "a.zip")
    for name in FILES:
        os.utime(folder / name, (1e9, 1e9))
        (folder / name).chmod(0o600)
    write_zip(own, list(reversed(own.names())), tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_zip_of_a_folder_is_read_and_other_files_are_ignored(tmp_path):
    entries = {"model/config.json": b"{}", "model/run.py": b"raise SystemExit", "model/": b""}
    stored = ZipFiles(zip_of(tmp_path / "a.zip", entries))
    assert stored.names() == ["config.json"]
    assert stored.read("config.json") == b"{}"


@pytest.mark.parametrize(
    ("entries", "changes", "message"),
    [
        ({"../bundle.json": b""}, {}, "a path outside of it"),
        ({"/bundle.json": b""}, {}, "a path outside of it"),
        ({"a/../../bundle.json": b""}, {}, "a path outside of it"),
        ({"C:/bundle.json": b""}, {}, "a path outside of it"),
        ({"..\\bundle.json": b""}, {}, "a path outside of it"),
        ({"bundle.json": b"/etc/passwd"}, {"external_attr": 0o120777 << 16}, "is a link"),
        ({"metrics.json": b"0" * 10**7}, {}, "which expands to a multiple"),
        ({f"{n}.json": b"" for n in range(65)}, {}, "contains 65 files"),
    ],
    ids=["parent", "root", "inner parent", "drive", "backslash", "link", "bomb", "many"],
)
def test_zip_with_contents_of_no_bundle_is_refused(tmp_path, entries, changes, message):
    path = zip_of(tmp_path / "a.zip", entries, **changes)
    if "..\\bundle.json" in entries:  # zipfile writes no backslash on every system
        path.write_bytes(path.read_bytes().replace(b"../bundle", b"..\\bundle"))
    with pytest.raises(InputError, match=message) as caught:
        ZipFiles(path)
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_zip_with_a_repeated_name_is_refused(tmp_path):
    path = zip_of(tmp_path / "a.zip", {"config.json": b"1", "xonfig.json": b"2"})
    path.write_bytes(path.read_bytes().replace(b"xonfig.json", b"config.json"))
    with pytest.raises(InputError, match=r"contains config\.json more than once"):
        ZipFiles(path)


def test_zip_with_a_stated_size_above_the_limit_is_refused(tmp_path, monkeypatch):
    path = zip_of(tmp_path / "a.zip", {"config.json": os.urandom(2000)})
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="which has 2000 bytes: expected at most 1000"):
        ZipFiles(path)


def test_zip_that_states_a_smaller_size_than_it_has_is_refused_when_it_is_read(tmp_path):
    path = zip_of(tmp_path / "a.zip", {"config.json": b"0" * 100_000})
    content = path.read_bytes()
    small = content.replace(struct.pack("<I", 100_000), struct.pack("<I", 10))
    assert small != content
    path.write_bytes(small)
    with pytest.raises(InputError, match=r"config\.json in .* cannot be read"):
        ZipFiles(path).read("config.json")


@pytest.mark.parametrize("content", [b"", b"no zip file", b"PK\x03\x04" + b"\0" * 60])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "model.zip"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not a bundle: it cannot be read as a zip file"):
        Bundle.open(path)


def test_truncated_zip_is_refused(tmp_path, folder):
    own = FolderFiles(folder)
    write_zip(own, own.names(), tmp_path / "a.zip")
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cannot be read as a zip file"):
        Bundle.open(tmp_path / "a.zip")


def test_damaged_zip_is_refused_when_it_is_read(tmp_path, folder):
    own = FolderFiles(folder)
    write_zip(own, own.names(), tmp_path / "a.zip")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    position = content.index(b"model.safetensorsmodel.safetensors")
    content[position + 40] ^= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors in .* cannot be read: Bad CRC"):
        ZipFiles(tmp_path / "a.zip").read("model.safetensors")


def test_file_above_the_limit_is_refused(folder):
    with pytest.raises(InputError, match="has more than 100 bytes"):
        FolderFiles(folder).read("metrics.json", 100)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_with_another_compression_is_refused(tmp_path, method):
    path = zip_of(tmp_path / "a.zip", {"config.json": b"{}"}, compress_type=method)
    with pytest.raises(InputError, match="compressed by another method than deflate"):
        ZipFiles(path)


def test_encrypted_zip_is_refused(tmp_path):
    path = zip_of(tmp_path / "a.zip", {"config.json": b"{}"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="which is encrypted"):
        ZipFiles(path)


def test_zip_with_the_folders_that_macos_adds_is_read(tmp_path):
    entries = {"model/config.json": b"{}", "__MACOSX/model/._config.json": b"x"}
    stored = ZipFiles(zip_of(tmp_path / "a.zip", entries))
    assert stored.read("config.json") == b"{}"
    assert stored.others == ["__MACOSX/model/._config.json"]


def test_zip_of_two_bundles_is_refused(tmp_path):
    path = zip_of(tmp_path / "a.zip", {"a/bundle.json": b"{}", "b/bundle.json": b"{}"})
    with pytest.raises(InputError, match=r"it has no bundle\.json"):
        Bundle.open(path)


@pytest.mark.parametrize("name", ["README.md", "calibration.png"])
def test_file_without_a_digest_is_not_read_through_a_link(tmp_path, folder, name):
    (tmp_path / "secret").write_text("a private key")
    (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match=rf"{name} is a link to a file that is not part"):
        FolderFiles(folder).read(name)


def test_links_in_the_cache_of_the_hub_are_read(tmp_path):
    snapshot, blobs = tmp_path / "repo" / "snapshots" / "commit", tmp_path / "repo" / "blobs"
    for own in (snapshot, blobs):
        own.mkdir(parents=True)
    (blobs / "digest").write_text("card")
    (snapshot / "README.md").symlink_to("../../blobs/digest")
    assert FolderFiles(snapshot).read("README.md") == b"card"
