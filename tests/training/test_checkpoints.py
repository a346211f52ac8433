"""Checkpoints: a training that was killed or stopped continues with the same results."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

from helpers import RecordingProgress, run_python
from milmer_cli.errors import InputError, MilmerError
from milmer_cli.progress import SILENT
from milmer_cli.training import checkpoints
from milmer_cli.training.callbacks import FlowCallback


def last_step(out: Path) -> int | None:
    """Step of the last checkpoint below a run folder."""
    last = checkpoints.last_checkpoint(out / "checkpoints")
    return checkpoints.step_of(last) if last else None


KILLED = """
import importlib.util, os, signal, sys
from pathlib import Path
from milmer_cli.progress import SilentProgress
from milmer_cli.training import checkpoints

spec = importlib.util.spec_from_file_location("toy", {conftest!r})
toy = importlib.util.module_from_spec(spec)
sys.modules["toy"] = toy
spec.loader.exec_module(toy)

class Killer(SilentProgress):
    def __init__(self, step):
        self.left = step
    def advance(self, task, by=1.0):
        self.left -= by
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

publish = checkpoints.publish
def killed_in_publish(staged, folder):
    if checkpoints.step_of(staged) == 7:
        (staged / "optimizer.pt").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    publish(staged, folder)

def train(name, step, minutes):
    if name == "while saving":
        checkpoints.publish = killed_in_publish
    data = toy.Points(40, 0), toy.Points(12, 1)
    interval = f"run.checkpoint_interval_min={{minutes}}"
    toy.train(toy.net(), *data, interval, out=Path({out!r}) / name, progress=Killer(step))

for case in {cases!r}:
    child = os.fork()
    if not child:
        train(*case)
    status = os.waitpid(child, 0)[1]
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        sys.exit(f"{{case}} was not killed")
"""
CASES = {  # name: step at which it is killed, minutes between checkpoints, step of the last one
    "in a step": (8, 1e-9, 7),
    "while saving": (0, 1e-9, 6),
    "before the first checkpoint": (3, 10, None),
    "in an epoch without checkpoints": (9, 10, 5),
    "before the last validation": (15, 10, 10),
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Run folders of trainings that were killed in five places."""
    out = tmp_path_factory.mktemp("killed")
    cases = [(name, step, minutes) for name, (step, minutes, _) in CASES.items()]
    program = out / "program.py"
    conftest = str(Path(__file__).with_name("conftest.py"))
    program.write_text(KILLED.format(conftest=conftest, out=str(out), cases=cases))
    ended = run_python(program, environment={"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""})
    assert ended.returncode == 0, ended.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def uninterrupted(toy):
    """Model and history of the training that `killed` interrupts."""
    model = toy.net()
    return model, toy.train(model, toy.Points(40, 0), toy.Points(12, 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_resume_after_a_kill_gives_the_same_weights(toy, killed, uninterrupted, name):
    assert last_step(killed / name) == CASES[name][2]
    model = toy.net(seed=0 if CASES[name][2] is None else 9)
    data = toy.Points(40, 0), toy.Points(12, 1)
    history = toy.train(model, *data, out=killed / name, resume=True)
    assert history.epochs == uninterrupted[1].epochs
    toy.assert_equal_weights(model, uninterrupted[0])


@pytest.mark.slow
@pytest.mark.parametrize("step", [7, 10], ids=["within an epoch", "at the end of an epoch"])
def test_interrupt_saves_a_checkpoint_and_resume_gives_the_same_weights(
    toy, uninterrupted, tmp_path, step
):
    def interrupt() -> None:
        if progress.amounts["train"] == step:
            os.kill(os.getpid(), signal.SIGINT)

    progress = RecordingProgress(on_advance=interrupt)
    data = toy.Points(40, 0), toy.Points(12, 1)
    with pytest.raises(KeyboardInterrupt):
        toy.train(toy.net(), *data, out=tmp_path, progress=progress)
    assert last_step(tmp_path) == step
    assert "the same command again" in progress.messages[-1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    model = toy.net(seed=9)
    history = toy.train(model, *data, out=tmp_path, resume=True)
    assert history.epochs == uninterrupted[1].epochs
    toy.assert_equal_weights(model, uninterrupted[0])


def test_interrupt_during_validation_saves_the_epoch(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(FlowCallback, "_saving_is_cheap", lambda self: False)

    class Interrupting(toy.Points):
        n_read = 0

        def __getitem__(self, i):
            self.n_read += 1
            if self.n_read == 6 + 1:  # in the second epoch
                signal.raise_signal(signal.SIGINT)
            return super().__getitem__(i)

    with pytest.raises(KeyboardInterrupt):
        toy.train(toy.net(), toy.Points(24, 0), Interrupting(6, 1), out=tmp_path)
    assert last_step(tmp_path) == 2 * 3


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 2])
def test_resume_within_an_epoch_restores_the_weight_average(toy, tmp_path, epoch):
    settings = ("run.checkpoint_interval_min=1e-9", "train.ema_decay=0.9")
    data, validation = toy.Points(40, 0), toy.Points(12, 1)
    reference = toy.net()
    expected = toy.train(reference, data, validation, *settings, out=tmp_path / "whole")

    class CutError(Exception):
        pass

    class Breaking(toy.Points):
        left = 8 * 5 * epoch - 9  # samples before it fails: not at the end of an epoch

        def __getitem__(self, i):
            if self.left == 0:
                raise CutError
            self.left -= 1
            return super().__getitem__(i)

    broken = tmp_path / "broken"
    with pytest.raises(CutError):
        toy.train(toy.net(), Breaking(40, 0), validation, *settings, out=broken)
    torch.rand(100)
    model = toy.net(seed=5)
    resumed = toy.train(model, data, validation, *settings, out=broken, resume=True)
    assert resumed.epochs == expected.epochs
    assert resumed.best_epoch == expected.best_epoch
    toy.assert_equal_weights(model, reference)


def test_resume_of_a_finished_training_changes_nothing(toy, tmp_path):
    model, again = toy.net(), toy.net(seed=3)
    data = toy.Points(20, 0), toy.Points(6, 1)
    toy.train(model, *data, out=tmp_path)
    toy.train(again, *data, out=tmp_path, resume=True)
    toy.assert_equal_weights(model, again)


def test_resume_refuses_other_settings(toy, tmp_path):
    data = toy.Points(20, 0), toy.Points(6, 1)
    toy.train(toy.net(), *data, out=tmp_path)
    with pytest.raises(InputError, match="other training settings"):
        toy.train(toy.net(), *data, "train.lr=0.02", out=tmp_path, resume=True)


@pytest.mark.slow
def test_full_disk_keeps_the_last_complete_checkpoint(toy, tmp_path, monkeypatch):
    n_written = 0
    save_file = checkpoints.save_file

    def full_after_two(tensors, path):
        nonlocal n_written
        if n_written == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        n_written += 1
        save_file(tensors, path)

    data = toy.Points(20, 0), toy.Points(6, 1)
    monkeypatch.setattr("milmer_cli.training.trainer.save_file", full_after_two)
    with pytest.raises(MilmerError, match=r"the disk is full.*checkpoint-6, is kept") as caught:
        toy.train(toy.net(), *data, out=tmp_path)
    assert "the same command again" in caught.value.hint
    monkeypatch.undo()
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert "checkpoint-6" in names
    assert checkpoints.STAGING not in names
    model, reference = toy.net(), toy.net()
    toy.train(model, *data, out=tmp_path, resume=True)
    toy.train(reference, *data)
    toy.assert_equal_weights(model, reference)


def test_full_disk_is_reported_for_the_best_weights(toy, tmp_path, monkeypatch):
    def full(tensors, path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(MilmerError, match="the disk is full; there is no earlier one"):
        toy.train(toy.net(), toy.Points(20, 0), toy.Points(6, 1), out=tmp_path)


def test_checkpoint_without_permission_names_permissions_in_the_hint(toy, tmp_path, monkeypatch):
    def denied(tensors, path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(checkpoints, "save_file", denied)
    with pytest.raises(
        MilmerError, match=r"cannot be written: Permission denied; there is no"
    ) as caught:
        toy.train(toy.net(), toy.Points(20, 0), toy.Points(6, 1), out=tmp_path)
    assert "permissions" in caught.value.hint


@pytest.fixture(scope="module")
def interrupted(toy, tmp_path_factory):
    """A folder with a checkpoint in the middle of a training with a moving average."""
    out = tmp_path_factory.mktemp("interrupted")

    def stop():
        if last_step(out):
            raise InterruptedError

    data = toy.Points(40, 0), toy.Points(12, 1)
    with pytest.raises(InterruptedError):
        toy.train(
            toy.net(), *data, "train.ema_decay=0.5", out=out, progress=RecordingProgress(stop)
        )
    return out


def resume(toy, out, progress=SILENT):
    data = toy.Points(40, 0), toy.Points(12, 1)
    toy.train(toy.net(), *data, "train.ema_decay=0.5", out=out, resume=True, progress=progress)


@pytest.mark.parametrize("with_checksums", [True, False])
@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 half"])
@pytest.mark.parametrize("name", [*checkpoints.PARTS, checkpoints.AVERAGE])
def test_resume_rejects_a_checkpoint_without_one_of_its_parts(
    toy, interrupted, tmp_path, name, content, with_checksums
):
    out = shutil.copytree(interrupted, tmp_path / "run")
    checkpoint = checkpoints.last_checkpoint(out / "checkpoints")
    if not with_checksums:
        (checkpoint / checkpoints.CHECKSUMS).unlink()
    (checkpoint / name).unlink()
    if content is not None:
        (checkpoint / name).write_bytes(content)
    with pytest.raises(InputError, match="cannot be resumed") as caught:
        resume(toy, out)
    assert name in caught.value.message
    assert "start again" in caught.value.hint
    assert checkpoint.is_dir(), "nothing is removed"


def test_resume_rejects_the_loss_of_the_best_weights(toy, interrupted, tmp_path):
    out = shutil.copytree(interrupted, tmp_path / "run")
    [best] = (out / "checkpoints").glob("best-*.safetensors")
    best.write_bytes(best.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"best-0001\.safetensors is missing or damaged"):
        resume(toy, out)


def test_resume_falls_back_to_the_newest_complete_checkpoint(toy, interrupted, tmp_path):
    out = shutil.copytree(interrupted, tmp_path / "run")
    older = checkpoints.last_checkpoint(out / "checkpoints")
    newer = shutil.copytree(older, older.with_name("checkpoint-9"))
    (newer / "scheduler.pt").unlink()
    (older.parent / "checkpoint-backup").mkdir()
    progress = RecordingProgress()
    resume(toy, out, progress)
    [warning] = progress.warnings
    assert "scheduler.pt with the state of the learning rate schedule is missing" in warning
    assert f"continues from {older.name}" in warning


def test_resume_rejects_a_checkpoint_of_another_number_of_processes(toy, interrupted, tmp_path):
    out = shutil.copytree(interrupted, tmp_path / "run")
    checkpoint = checkpoints.last_checkpoint(out / "checkpoints")
    (checkpoint / "rng_state.pth").rename(checkpoint / "rng_state_0.pth")
    with pytest.raises(InputError, match="because another number of processes saved it"):
        resume(toy, out)
