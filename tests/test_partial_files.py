"""Temporary files: random names, no link is followed, and those of killed processes are removed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from milmer_cli import io, partial_files
from milmer_cli.partial_files import (
    create_partial_file,
    new_text_file,
    open_partial,
    remove_partial_files,
    remove_tree,
)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of the user, outside of the shared folder."""
    path = tmp_path / "victim"
    path.write_text("precious")
    return path


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "shared").mkdir()
    return tmp_path / "shared"


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def abandoned(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The name of a temporary file of a process that has ended."""
    pid = dead_pid()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: pid)
        return path.with_name(partial_files._partial_name(path.name))


def test_atomic_write_follows_no_planted_link(shared: Path, victim: Path) -> None:
    (shared / "file").symlink_to(victim)
    (shared / f".file.{os.getpid()}.part").symlink_to(victim)  # the name of earlier versions
    io.atomic_write(shared / "file", "new")
    assert (shared / "file").read_text() == "new"
    assert not (shared / "file").is_symlink()
    assert victim.read_text() == "precious"


def test_create_partial_file_refuses_an_existing_name(
    shared: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "urandom", lambda size: b"\0" * size)
    create_partial_file(shared / "a").unlink()
    name = partial_files._partial_name("a")
    (shared / name).symlink_to(victim)
    with pytest.raises(FileExistsError):
        create_partial_file(shared / "a")
    assert victim.read_text() == "precious"


def test_partial_names_are_random_and_short(shared: Path) -> None:
    names = {create_partial_file(shared / ("\u00e9" * 120)).name for _ in range(20)}
    assert len(names) == 20
    assert all(len(name.encode()) < 256 for name in names)


@pytest.mark.parametrize("target", ["file", "new"])
def test_open_partial_and_new_text_file_follow_no_link(
    shared: Path, victim: Path, target: str
) -> None:
    link = shared / "link"
    link.symlink_to(victim if target == "file" else victim.with_name("new"))
    for append in (False, True):
        with pytest.raises(OSError, match="link"):
            open_partial(link, append=append)
    with new_text_file(link) as file:
        file.write("table")
    assert (shared / "link").read_text() == "table"
    assert victim.read_text() == "precious"
    assert not victim.with_name("new").exists()


def test_atomic_path_refuses_a_temporary_file_that_became_a_link(
    shared: Path, victim: Path
) -> None:
    def replace_by_link() -> None:
        with io.atomic_path(shared / "file") as temporary:
            temporary.unlink()
            temporary.symlink_to(victim)

    with pytest.raises(io.MilmerError):
        replace_by_link()
    assert not (shared / "file").exists()
    assert list(shared.iterdir()) == []
    assert victim.read_text() == "precious"


def test_remove_partial_files_removes_only_those_of_ended_processes(
    shared: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_file, old_folder, link = (
        abandoned(shared / name, monkeypatch) for name in ("s01.h5", "model", "s02.h5")
    )
    old_file.touch()
    old_folder.mkdir()
    (old_folder / "inner").symlink_to(victim.parent)
    link.symlink_to(victim)
    other_host = old_file.name.replace(partial_files._host(), "0" * 8)
    kept = [link.name, other_host, "s01.h5", ".s01.h5.part", ".s01.h5.12.part", ".a", "x.part"]
    for name in kept[1:]:
        (shared / name).touch()
    kept.append(create_partial_file(shared.parent / "x").name)
    (shared.parent / kept[-1]).rename(shared / kept[-1])
    remove_partial_files(shared)
    assert sorted(path.name for path in shared.iterdir()) == sorted(kept)
    remove_partial_files(shared, is_locked=True)
    expected = [link.name, "s01.h5", ".s01.h5.part", ".a", "x.part"]
    assert sorted(path.name for path in shared.iterdir()) == sorted(expected)
    assert victim.read_text() == "precious"


def test_atomic_write_removes_what_a_killed_writer_left(shared: Path) -> None:
    code = (
        "import os\nfrom pathlib import Path\nfrom milmer_cli.io import atomic_path\n"
        f"with atomic_path(Path({str(shared / 'a.h5')!r})): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(list(shared.iterdir())) == 1
    io.atomic_write(shared / "b", "content")
    assert [path.name for path in shared.iterdir()] == ["b"]


def test_atomic_files_moves_every_file_and_replaces_links(shared: Path, victim: Path) -> None:
    (shared / "config.json").symlink_to(victim)
    with io.atomic_files(shared) as staged:
        assert staged.stat().st_mode & 0o077 == 0
        (staged / "config.json").write_text("{}")
        (staged / "weights").write_text("w")
    assert sorted(path.name for path in shared.iterdir()) == ["config.json", "weights"]
    assert (shared / "config.json").read_text() == "{}"
    assert victim.read_text() == "precious"


def test_remove_tree_that_is_killed_leaves_no_incomplete_folder(shared: Path, monkeypatch) -> None:
    folder = shared / "checkpoint-2"
    folder.mkdir()
    for name in ("model", "state"):
        (folder / name).touch()

    def killed(path: Path) -> None:
        (path / "model").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        remove_tree(folder)
    assert not folder.exists()
    monkeypatch.undo()
    remove_partial_files(shared, is_locked=True)
    assert list(shared.iterdir()) == []


def test_remove_tree_of_a_link_keeps_its_target(shared: Path, victim: Path) -> None:
    (shared / ".writing").symlink_to(victim.parent)
    remove_tree(shared / ".writing")
    remove_tree(shared / "missing")
    assert victim.exists()
    assert list(shared.iterdir()) == []


def test_written_files_have_the_usual_permissions(shared: Path) -> None:
    (shared / "usual").touch()
    io.atomic_write(shared / "file", "x")
    assert (shared / "file").stat().st_mode == (shared / "usual").stat().st_mode
