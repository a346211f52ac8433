"""Several processes on this machine, trackers, and wishes to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import milmer_cli
from milmer_cli.errors import SettingsError
from milmer_cli.training.launch import is_launched, is_main, launch
from milmer_cli.training.stopping import stop_wishes
from milmer_cli.training.trackers import tracker_callbacks


def test_the_first_process_alone_talks(capfd):
    assert launch(2, ["--version"]) == 0
    assert capfd.readouterr().out.count(milmer_cli.__version__) == 1


def test_exit_code_and_message_of_a_failure_come_through_once(capfd):
    assert launch(2, ["train", "--prepared"]) == 2
    assert capfd.readouterr().err.count("--prepared") == 1


def test_who_is_who():
    assert not is_launched({})
    assert is_main({})
    assert is_launched({"WORLD_SIZE": "2", "RANK": "1"})
    assert not is_main({"WORLD_SIZE": "2", "RANK": "1"})


def test_first_signal_is_a_wish_and_the_second_an_order():
    with stop_wishes(True) as wish:
        assert not wish.asked
        os.kill(os.getpid(), signal.SIGINT)
        assert wish.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_termination_is_never_more_than_a_wish():
    with stop_wishes(True) as wish:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):  # Slurm, then torchrun
            os.kill(os.getpid(), number)
        assert wish.asked


def test_unknown_tracker_is_one_sentence(tmp_path):
    assert tracker_callbacks("none", tmp_path) == []
    assert tracker_callbacks("auto", None) == []
    with pytest.raises(SettingsError, match="'crystal-ball'"):
        tracker_callbacks("none,crystal-ball", tmp_path)


@pytest.mark.slow
def test_milmer_train_in_two_processes_equals_one(tmp_path):
    """From the command line, where nothing random but the order of samples is left."""
    maker = (
        "import importlib.util, sys, pathlib\n"
        "spec = importlib.util.spec_from_file_location('t', sys.argv[1])\n"
        "t = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(t)\n"
        "t.make_store(pathlib.Path(sys.argv[2]))\n"
    )
    stage_tests = Path(__file__).parents[1] / "stages" / "test_train.py"
    store = tmp_path / "store"
    subprocess.run([sys.executable, "-c", maker, stage_tests, store], check=True)
    chosen = {
        "model.backbone": "scratch:micro", "model.modalities": "eeg", "model.feedforward": 32,
        "model.dropout": 0, "model.classifier_dropout": 0, "train.epochs": 2,
        "train.batch_size": 8, "run.device": "cpu", "run.report_to": "none",
    }  # fmt: skip
    settings = [word for key, value in chosen.items() for word in ("--set", f"{key}={value}")]
    for processes in (1, 2):
        out = tmp_path / f"run{processes}"
        words = ["train", "--prepared", str(store), "--out", str(out), *settings]
        assert launch(processes, words) == 0
    one, two = (load_file(tmp_path / f"run{n}" / "model" / "model.safetensors") for n in (1, 2))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=2e-5, rtol=1e-4)
