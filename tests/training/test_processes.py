"""Killed, stopped, and split over processes: the weights at the end are the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from milmer_cli.training import checkpoints
from milmer_cli.training.trainer import fit

SCRIPT = """
import importlib.util, os, signal, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from milmer_cli.compute import Compute
from milmer_cli.progress import SilentProgress
from milmer_cli.training import checkpoints
from milmer_cli.training.trainer import fit

spec = importlib.util.spec_from_file_location("lab", {lab!r})
lab = importlib.util.module_from_spec(spec)
sys.modules["lab"] = lab
spec.loader.exec_module(lab)
{body}
"""


def write(path: Path, body: str) -> Path:
    """Write a program that knows the models and data of this folder's conftest."""
    path.write_text(SCRIPT.format(lab=str(Path(__file__).with_name("conftest.py")), body=body))
    return path


def start(*command: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True, text=True, env=environment, timeout=120, check=False,
    )  # fmt: skip


KILLED = """
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
    s = lab.settings(f"run.checkpoint_min={{minutes}}")
    data = lab.Points(40, 0), lab.Points(12, 1)
    fit(lab.net(), *data, s, Path({out!r}) / name, Compute.choose(s.run), Killer(step))

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
    "before the last epoch is judged": (15, 10, 10),
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Trainings killed in five places."""
    out = tmp_path_factory.mktemp("killed")
    cases = [(name, step, minutes) for name, (step, minutes, _) in CASES.items()]
    ended = start(write(out / "program.py", KILLED.format(out=str(out), cases=cases)))
    assert ended.returncode == 0, ended.stderr[-2000:]
    return out


@pytest.mark.parametrize("name", CASES)
def test_killed_training_goes_on_to_the_same_weights(lab, compute, killed, name):
    last = checkpoints.last_checkpoint(killed / name / "checkpoints")
    assert (last and checkpoints.step_of(last)) == CASES[name][2]
    data = lab.Points(40, 0), lab.Points(12, 1)
    whole, resumed = lab.net(), lab.net(seed=0 if last is None else 9)
    unbroken = fit(whole, *data, lab.settings(), None, compute)
    history = fit(resumed, *data, lab.settings(), killed / name, compute, resume=True)
    assert history.epochs == unbroken.epochs
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


class Stopper:
    """Presses Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.notes: list[str] = []

    def start(self, task, total=None, unit="") -> None: ...

    def advance(self, task, by=1.0) -> None:
        self.left -= by
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)

    def done(self, task) -> None: ...

    def note(self, message, level="info") -> None:
        self.notes.append(message)


@pytest.mark.parametrize("step", [7, 10], ids=["in an epoch", "at its end"])
def test_ctrl_c_saves_first_and_resume_goes_on_exactly(lab, compute, tmp_path, step):
    data = lab.Points(40, 0), lab.Points(12, 1)
    stopper = Stopper(step)
    with pytest.raises(KeyboardInterrupt):
        fit(lab.net(), *data, lab.settings(), tmp_path, compute, stopper)
    assert checkpoints.step_of(checkpoints.last_checkpoint(tmp_path / "checkpoints")) == step
    assert "--resume" in stopper.notes[-1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    whole, resumed = lab.net(), lab.net(seed=9)
    unbroken = fit(whole, *data, lab.settings(), None, compute)
    history = fit(resumed, *data, lab.settings(), tmp_path, compute, resume=True)
    assert history.epochs == unbroken.epochs
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


TWO = """
met = []
class Counted(lab.Points):
    def __getitem__(self, i):
        met.append(i)
        return super().__getitem__(i)

rank, out = os.environ["RANK"], Path({out!r})
for n, batch in {cases!r}:
    met.clear()
    s = lab.settings(f"train.batch_size={{batch}}", "train.ema_decay=0.5")
    model = lab.net(dropout=0.0)
    data = Counted(n, 0), lab.Points(13, 1)
    history = fit(model, *data, s, out / f"run{{n}}", Compute.choose(s.run))
    state = dict(model.state_dict(), met=torch.tensor(met))
    state["losses"] = torch.tensor([[e.train_loss, e.validation_loss] for e in history.epochs])
    save_file(state, out / f"{{n}}-{{rank}}.safetensors")
"""
SPLITS = [(41, 8), (43, 7)]
LAUNCHER = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Trainings by two processes."""
    out = tmp_path_factory.mktemp("two")
    ended = start(*LAUNCHER, write(out / "program.py", TWO.format(out=str(out), cases=SPLITS)))
    assert ended.returncode == 0, ended.stderr[-2000:]
    return out


@pytest.mark.parametrize(("n", "batch"), SPLITS, ids=["a ghost", "uneven shares"])
def test_two_processes_equal_one_at_the_same_global_batch(lab, compute, two, n, batch):
    ranks = [load_file(two / f"{n}-{rank}.safetensors") for rank in (0, 1)]
    s = lab.settings(f"train.batch_size={batch}", "train.ema_decay=0.5")
    model = lab.net(dropout=0.0)
    history = fit(model, lab.Points(n, 0), lab.Points(13, 1), s, None, compute)
    losses = torch.tensor([[e.train_loss, e.validation_loss] for e in history.epochs])
    for rank in ranks:
        for name, value in model.state_dict().items():
            torch.testing.assert_close(rank[name], value, atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(rank["losses"], losses, atol=1e-5, rtol=1e-4)
    # three epochs: each sample three times, but for the ghost that fills a last batch of one
    met = torch.bincount(torch.cat([rank["met"] for rank in ranks]), minlength=n)
    assert met.sum() == 3 * n + (3 if n % batch == 1 else 0)
    assert met.min() == 3
    names = {path.name for path in (two / f"run{n}" / "checkpoints").iterdir()}
    assert sum(name.startswith("checkpoint-") for name in names) == 1


@pytest.mark.slow
def test_both_processes_resume(tmp_path):
    """A checkpoint of two processes in the middle of an epoch goes on to the same weights."""
    body = """
s = lab.settings("run.checkpoint_min=1e-9", "train.epochs=2")
model = lab.net()
out = Path({out!r}) / {name!r}
class Killer(SilentProgress):
    step = 0
    def advance(self, task, by=1.0):
        self.step += by
        if self.step == {step}:
            os.kill(os.getpid(), signal.SIGKILL)
data = lab.Points(40, 0), lab.Points(12, 1)
fit(model, *data, s, out, Compute.choose(s.run), Killer(), {resume})
if os.environ["RANK"] == "0":
    save_file(dict(model.state_dict()), Path({out!r}) / ({name!r} + ".safetensors"))
"""
    for name, step, resume in (("whole", 0, False), ("cut", 7, False), ("cut", 0, True)):
        text = body.format(out=str(tmp_path), name=name, step=step, resume=resume)
        ended = start(*LAUNCHER, write(tmp_path / "program.py", text))
        assert (ended.returncode == 0) == (step == 0), ended.stderr[-2000:]
    whole, cut = (load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "cut"))
    for name, value in whole.items():
        assert torch.equal(value, cut[name]), name
