"""Training with several processes: the launcher, and results equal to those of one process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import milmer_cli
from helpers import run_python, write_labeled_store
from milmer_cli.training.distributed import (
    INTERRUPTED,
    is_launched,
    is_main_process,
    join_processes,
    launch_processes,
)


@pytest.mark.slow
def test_launch_processes_shows_the_output_of_the_first_process_only(capfd):
    handler = signal.getsignal(signal.SIGINT)
    assert launch_processes(2, ["--version"]) == 0
    captured = capfd.readouterr()
    assert captured.out.count(milmer_cli.__version__) == 1
    assert captured.err == ""
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.slow
def test_launch_processes_returns_exit_code_and_message_of_a_failure(capfd):
    assert launch_processes(2, ["train", "--prepared"]) == 2
    assert "--prepared" in capfd.readouterr().err


def start_launcher(folder: Path, body: str) -> subprocess.Popen[str]:
    """Start the launcher where ``python -m milmer_cli`` runs ``body`` instead of the commands."""
    stub = folder / "stub" / "milmer_cli"
    stub.mkdir(parents=True)
    (stub / "__init__.py").touch()
    (stub / "__main__.py").write_text(body)
    program = folder / "program.py"
    program.write_text(
        "import sys\n"
        "from milmer_cli.training.distributed import launch_processes\n"
        "sys.exit(launch_processes(2, []))\n"
    )
    return subprocess.Popen(
        [sys.executable, program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=stub.parent,
    )


@pytest.mark.slow
def test_launch_processes_shows_the_message_if_only_the_second_process_fails(tmp_path):
    body = (
        "import os, sys, time\n"
        "if os.environ['RANK'] == '0':\n"
        "    time.sleep(60)\n"
        "sys.exit('broken in the second process')\n"
    )
    launcher = start_launcher(tmp_path, body)
    _, errors = launcher.communicate(timeout=60)
    assert launcher.returncode == 1
    assert errors.count("broken in the second process") == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_launch_processes_passes_a_signal_to_every_process_once(tmp_path, number):
    body = (
        "import os, pathlib, signal, sys, time\n"
        f"out = pathlib.Path({str(tmp_path)!r}) / os.environ['RANK']\n"
        "def note(number, frame):\n"
        "    with out.open('a') as file: file.write(f'{number} ')\n"
        "    time.sleep(1)\n"  # saves a checkpoint
        "    sys.exit(130)\n"
        "signal.signal(signal.SIGINT, note)\n"
        "signal.signal(signal.SIGTERM, note)\n"
        "out.touch()\n"
        "time.sleep(60)\n"
    )
    launcher = start_launcher(tmp_path, body)
    files = [tmp_path / "0", tmp_path / "1"]
    while launcher.poll() is None and not all(file.exists() for file in files):
        time.sleep(0.05)
    launcher.send_signal(number)
    output, errors = launcher.communicate(timeout=60)
    assert (launcher.returncode, output, errors) == (INTERRUPTED, "", "")
    assert [file.read_text() for file in files] == [f"{int(number)} "] * 2


def test_is_launched_and_is_main_process_read_the_environment_of_the_launcher():
    assert not is_launched({})
    assert is_main_process({})
    assert is_launched({"WORLD_SIZE": "2", "RANK": "1"})
    assert not is_main_process({"WORLD_SIZE": "2", "RANK": "1"})


@pytest.mark.slow
def test_join_processes_leaves_the_process_group_before_the_interpreter_ends(tmp_path):
    # exit handlers run in reverse order: this one is registered first, so it runs last;
    # one file a process, because processes that share an output mix their lines
    body = (
        "import atexit, os, torch.distributed as dist\n"
        "from pathlib import Path\n"
        f"file = Path({str(tmp_path)!r}) / os.environ['RANK']\n"
        "atexit.register(lambda: file.write_text(f'connected: {dist.is_initialized()}'))\n"
        "from milmer_cli.training.distributed import join_processes\n"
        "assert join_processes('cpu').num_processes == 2\n"
        "assert join_processes('cpu').num_processes == 2\n"
        "assert dist.is_initialized()\n"
    )
    program = tmp_path / "program.py"
    program.write_text(body)
    ended = run_python(*TORCHRUN, program, environment={"CUDA_VISIBLE_DEVICES": ""})
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["connected: False"] * 2


def test_join_processes_without_a_launcher_is_one_process():
    assert join_processes("cpu").num_processes == 1


TOY = """
import importlib.util, os, signal, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from milmer_cli.progress import SilentProgress
from milmer_cli.training.distributed import join_processes

join_processes("cpu")
spec = importlib.util.spec_from_file_location("toy", {conftest!r})
toy = importlib.util.module_from_spec(spec)
sys.modules["toy"] = toy
spec.loader.exec_module(toy)
{body}
"""
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def run_two_processes(program: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Run a program in two processes; it can use ``toy`` as the tests do."""
    conftest = str(Path(__file__).with_name("conftest.py"))
    program.write_text(TOY.format(conftest=conftest, body=body))
    environment = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return run_python(*TORCHRUN, program, environment=environment)


TWO = """
indices = []
class Recorded(toy.Points):
    def __getitem__(self, i):
        indices.append(i)
        return super().__getitem__(i)

rank, out = os.environ["RANK"], Path({out!r})
for n, batch_size in {cases!r}:
    indices.clear()
    settings = f"train.batch_size={{batch_size}}", "train.ema_decay=0.5"
    model = toy.net(dropout=0.0)
    data = Recorded(n, 0), toy.Points(13, 1)
    history = toy.train(model, *data, *settings, out=out / f"run{{n}}")
    state = dict(model.state_dict(), indices=torch.tensor(indices))
    state["losses"] = torch.tensor([[e.train_loss, e.validation_loss] for e in history.epochs])
    save_file(state, out / f"{{n}}-{{rank}}.safetensors")
"""
CASES = {"placeholder": (41, 8), "uneven shares": (43, 7)}


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """Folder with the results of trainings in two processes."""
    out = tmp_path_factory.mktemp("two")
    body = TWO.format(out=str(out), cases=list(CASES.values()))
    ended = run_two_processes(out / "program.py", body)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_processes_give_the_weights_of_one_process(toy, two_processes, name):
    n, batch_size = CASES[name]
    ranks = [load_file(two_processes / f"{n}-{rank}.safetensors") for rank in (0, 1)]
    model = toy.net(dropout=0.0)
    settings = (f"train.batch_size={batch_size}", "train.ema_decay=0.5")
    history = toy.train(model, toy.Points(n, 0), toy.Points(13, 1), *settings)
    losses = torch.tensor([[e.train_loss, e.validation_loss] for e in history.epochs])
    for rank in ranks:
        for weight, value in model.state_dict().items():
            torch.testing.assert_close(rank[weight], value, atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(rank["losses"], losses, atol=1e-5, rtol=1e-4)
    # three epochs read each sample three times, and the placeholder of a last batch of one
    counts = torch.bincount(torch.cat([rank["indices"] for rank in ranks]), minlength=n)
    assert counts.sum() == 3 * n + (3 if n % batch_size == 1 else 0)
    assert counts.min() == 3
    names = {path.name for path in (two_processes / f"run{n}" / "checkpoints").iterdir()}
    assert sum(name.startswith("checkpoint-") for name in names) == 1


RESUMED = """
class Killer(SilentProgress):
    step = 0
    def advance(self, task, by=1.0):
        self.step += by
        if self.step == {step}:
            os.kill(os.getpid(), signal.SIGKILL)

settings = "run.checkpoint_interval_min=1e-9", "train.epochs=2"
data = toy.Points(40, 0), toy.Points(12, 1)
out = Path({out!r})
model = toy.net()
toy.train(model, *data, *settings, out=out / {name!r}, progress=Killer(), resume={resume})
if os.environ["RANK"] == "0":
    save_file(dict(model.state_dict()), out / ({name!r} + ".safetensors"))
"""


@pytest.mark.slow
def test_two_processes_resume_with_the_same_weights(tmp_path):
    for name, step, resume in (("whole", 0, False), ("cut", 7, False), ("cut", 0, True)):
        body = RESUMED.format(out=str(tmp_path), name=name, step=step, resume=resume)
        ended = run_two_processes(tmp_path / "program.py", body)
        assert (ended.returncode == 0) == (step == 0), ended.stderr[-2000:]
    whole, cut = (load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "cut"))
    for name, value in whole.items():
        assert torch.equal(value, cut[name]), name


@pytest.mark.slow
def test_launch_processes_trains_the_same_model_as_one_process(tmp_path):
    """From the command line, with a model whose only random numbers are the sample order."""
    store = tmp_path / "store"
    write_labeled_store(store)
    chosen = {
        "model.backbone": "scratch:micro", "model.modalities": "eeg", "model.dim_feedforward": 32,
        "model.dropout": 0, "model.classifier_dropout": 0, "train.epochs": 2,
        "train.batch_size": 8, "run.device": "cpu", "run.report_to": "none",
    }  # fmt: skip
    settings = [word for key, value in chosen.items() for word in ("--set", f"{key}={value}")]
    for n_processes in (1, 2):
        out = tmp_path / f"run{n_processes}"
        words = ["train", "--prepared", str(store), "--out", str(out), *settings]
        assert launch_processes(n_processes, words) == 0
    one, two = (load_file(tmp_path / f"run{n}" / "model" / "model.safetensors") for n in (1, 2))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=2e-5, rtol=1e-4)
