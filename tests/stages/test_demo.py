"""The commands that the demo runs. `milmer demo` takes minutes and is run manually."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from itertools import pairwise

import pytest

from helpers import replace_bundle_file
from milmer_cli.bundle.sources import UsedTrial, sources_to_json
from milmer_cli.datasets.synthetic import SyntheticConfig
from milmer_cli.datasets.synthetic.listed.generate import plan_listed
from milmer_cli.datasets.synthetic.listed.truth import DEFAULT_SIZES
from milmer_cli.datasets.synthetic.schedule import draw_truth
from milmer_cli.digests import content_digest
from milmer_cli.errors import InputError, MilmerError, SettingsError
from milmer_cli.folder_lock import FolderLock
from milmer_cli.process_end import Terminated, interrupted_by_sigterm
from milmer_cli.stages import demo
from milmer_cli.stages.demo import (
    DemoResult,
    listed_arguments,
    run_demo,
    stage_arguments,
    trial_to_predict,
)
from milmer_cli.store.sources import TrialSource


def test_stage_arguments_pass_preset_and_options_to_every_stage(tmp_path):
    truth = draw_truth(SyntheticConfig())
    stages = list(stage_arguments(tmp_path, truth, ["--seed", "3"]))
    assert [stage[0] for stage in stages] == [
        "prepare", "finetune-swin", "train", "evaluate", "predict",
    ]  # fmt: skip
    assert all(stage[-4:] == ["--preset", "demo", "--seed", "3"] for stage in stages)


def test_summary_names_an_undefined_accuracy(tmp_path):
    accuracies = {"Milmer": 0.75, "face only": None}
    result = DemoResult(tmp_path, "headline", accuracies, "conclusion", "verdict", {})
    assert dict(result.summary())["models"] == "Milmer 75 %, face only undefined"


@pytest.mark.parametrize("name", DEFAULT_SIZES)
def test_listed_arguments_read_the_data_set_with_its_classes_and_protocols(tmp_path, name):
    truth = plan_listed(DEFAULT_SIZES[name])
    prepare, train, evaluate = listed_arguments(tmp_path, truth, ["--seed", "3"])
    assert prepare[:3] == ["prepare", f"--{name}-root", str(tmp_path / "data")]
    assert set(truth.options) <= set(prepare)
    assert (train[0], evaluate[0]) == ("train", "evaluate")
    for stage in (prepare, train, evaluate):
        assert stage[-2:] == ["--seed", "3"]
        assert ("data.target=label" in stage) == (name in ("eav", "bids"))
    protocols = [b for a, b in pairwise(evaluate) if a == "--protocol"]
    # EAV shares no clip between trials, and one participant of the BIDS data set has no faces.
    own = {"eav": ["trial", "participant"], "bids": ["trial", "stimulus"]}
    assert protocols == own.get(name, [])


def test_run_demo_like_reports_the_folders_and_the_page_of_its_stages(tmp_path, monkeypatch):
    generated = []

    def generate(folder, config, _):
        generated.append((folder, config.data_set, config.signal, config.seed))
        return plan_listed(config)

    def run_stage(arguments, _):
        if "evaluate" in arguments:
            (tmp_path / "evaluation").mkdir()
            models = {"Milmer": {"trial": {"accuracy": {"value": 0.5}}}}
            metrics = {
                "protocol": "trial",
                "headline": "trial protocol: accuracy 50 %",
                "conclusion": "Above chance.",
                "verdict": "The emotion.",
                "protocols": {"trial": {"models": models}},
            }
            (tmp_path / "evaluation" / "metrics.json").write_text(json.dumps(metrics))
        return 0

    monkeypatch.setattr(demo, "generate_listed", generate)
    monkeypatch.setattr(demo, "run_stage", run_stage)
    result = run_demo(tmp_path, like="mahnob", signal=0.5, seed=4)
    assert generated == [(tmp_path / "data", "mahnob", 0.5, 4)]
    assert result.to_json()["pages"] == [str(tmp_path / "evaluation" / "report.html")]
    rows = dict(result.summary())
    assert {"data", "prepared", "run", "evaluation"} <= set(rows)
    assert not {"swin", "prediction"} & set(rows)


def test_run_demo_rejects_an_unknown_data_set(tmp_path):
    with pytest.raises(InputError, match="expected one of eav, mahnob, amigos, bids, got seed"):
        run_demo(tmp_path / "demo", like="seed")
    assert not (tmp_path / "demo").exists()


def test_trial_to_predict_is_not_in_the_training_or_validation_set(tmp_path, untrained_run):
    truth = draw_truth(SyntheticConfig())
    with_video = [
        str(trial.video)
        for participant in truth.participants
        for trial in participant.trials
        if trial.video is not None
    ]
    for number, path in enumerate(with_video):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"video %d" % number)
    sources = [
        UsedTrial(number, (own,), TrialSource(4.0, video=content_digest(tmp_path / path)))
        for number, (path, own) in enumerate(
            zip(with_video, ["training", "validation", "test"], strict=False)
        )
    ]
    run = shutil.copytree(untrained_run, tmp_path / "run")
    content = json.dumps(sources_to_json(sources)).encode()
    replace_bundle_file(run / "model", "sources.json", content)
    _, trial = trial_to_predict(truth, tmp_path, run)
    assert str(trial.video) == with_video[2]


def test_run_demo_rejects_an_invalid_override_before_any_work(tmp_path):
    with pytest.raises(SettingsError, match="train"):
        run_demo(tmp_path / "demo", overrides=["train.epochz=1"])
    assert not (tmp_path / "demo").exists()


def test_run_demo_rejects_the_folder_of_a_running_demo(tmp_path):
    with FolderLock(tmp_path), pytest.raises(InputError, match="is being run by process"):
        run_demo(tmp_path)
    assert not list(tmp_path.iterdir())


def test_run_demo_names_the_stage_that_failed(tmp_path, monkeypatch):
    truth = draw_truth(SyntheticConfig())
    monkeypatch.setattr(demo, "generate_dataset", lambda *_: truth)
    monkeypatch.setattr(demo, "run_stage", lambda *_: 1)
    with pytest.raises(MilmerError, match="milmer prepare failed with exit code 1"):
        run_demo(tmp_path / "demo")


def test_run_demo_reports_every_model_and_the_verdict(tmp_path, monkeypatch):
    truth = draw_truth(SyntheticConfig())
    models = {
        name: {"trial": {"accuracy": {"value": value}}}
        for name, value in (("Milmer", 0.875), ("EEG only", 0.5))
    }
    metrics = {
        "protocol": "trial",
        "headline": "trial protocol: accuracy 87.5 %",
        "conclusion": "Above chance.",
        "verdict": "The emotion.",
        "protocols": {"trial": {"models": models}},
    }

    def run_stage(arguments, _):
        if "evaluate" in arguments:
            (tmp_path / "evaluation").mkdir()
            (tmp_path / "evaluation" / "metrics.json").write_text(json.dumps(metrics))
        return 0

    monkeypatch.setattr(demo, "generate_dataset", lambda *_: truth)
    monkeypatch.setattr(demo, "run_stage", run_stage)
    result = run_demo(tmp_path)
    assert dict(result.summary())["models"] == "Milmer 88 %, EEG only 50 %"
    assert result.to_json()["accuracies"] == {"Milmer": 0.875, "EEG only": 0.5}
    assert dict(result.summary())["conclusion"] == "Above chance."
    assert result.verdict == "The emotion."


def test_run_demo_is_interrupted_with_its_stage(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "generate_dataset", lambda *_: draw_truth(SyntheticConfig()))
    monkeypatch.setattr(demo, "run_stage", lambda *_: 130)
    with pytest.raises(KeyboardInterrupt):
        run_demo(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_run_stage_lets_the_stage_stop_after_sigterm(tmp_path, monkeypatch):
    stopped = tmp_path / "stopped"
    script = tmp_path / "stage"
    script.write_text(f"#!/bin/sh\ntrap 'touch {stopped}; exit 130' TERM\nsleep 30 & wait\n")
    script.chmod(0o700)
    monkeypatch.setattr(demo.sys, "executable", str(script))
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(Terminated), interrupted_by_sigterm():
        demo.run_stage([], None)
    assert stopped.exists()
