"""A link in a shared run folder never makes a training change what it points to."""

from __future__ import annotations

import os

import pytest

from helpers import RecordingProgress
from milmer_cli.errors import InputError
from milmer_cli.training import checkpoints

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links need special rights on Windows")


@pytest.fixture
def victim(tmp_path):
    """A folder of the user with the names that checkpoints have."""
    folder = tmp_path / "victim"
    for name in ("checkpoint-1/model", ".writing/file", "best-0001.safetensors", "optimizer.pt"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("precious")
    return folder


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def assert_unchanged(victim):
    files = {p.relative_to(victim).as_posix(): p for p in victim.rglob("*") if p.is_file()}
    assert set(files) == {
        "checkpoint-1/model", ".writing/file", "best-0001.safetensors", "optimizer.pt"
    }  # fmt: skip
    assert all(path.read_text() == "precious" for path in files.values())


def data(toy):
    return toy.Points(16, 0), toy.Points(6, 1)


def test_training_replaces_a_link_with_the_name_of_the_checkpoints(toy, victim, out):
    (out / "checkpoints").symlink_to(victim)
    toy.train(toy.net(), *data(toy), "train.epochs=1", out=out)
    assert not (out / "checkpoints").is_symlink()
    assert checkpoints.last_checkpoint(out / "checkpoints").name == "checkpoint-2"
    assert_unchanged(victim)


def test_resume_refuses_a_link_with_the_name_of_the_checkpoints(toy, victim, out):
    (out / "checkpoints").symlink_to(victim)
    with pytest.raises(InputError, match="checkpoints is a link"):
        toy.train(toy.net(), *data(toy), "train.epochs=1", out=out, resume=True)
    assert_unchanged(victim)


@pytest.mark.parametrize("planted", ["folder of links", "link"])
def test_checkpoint_is_written_into_a_new_folder(toy, victim, out, planted):
    def plant():
        staging = out / "checkpoints" / checkpoints.STAGING
        if progress.amounts["train"] != 1:
            return
        if planted == "link":
            staging.symlink_to(victim)
        else:
            (staging / "checkpoint-2").mkdir(parents=True)
            (staging / "checkpoint-2" / "optimizer.pt").symlink_to(victim / "optimizer.pt")

    progress = RecordingProgress(on_advance=plant)
    toy.train(toy.net(), *data(toy), "train.epochs=1", out=out, progress=progress)
    last = checkpoints.last_checkpoint(out / "checkpoints")
    assert last.name == "checkpoint-2"
    assert not (last / "optimizer.pt").is_symlink()
    assert_unchanged(victim)
