"""Stages from Python: paths as text, and default settings."""

from __future__ import annotations

import shutil

import pytest

from milmer_cli.errors import InputError, MilmerError
from milmer_cli.settings import load_settings
from milmer_cli.stages.audit import audit
from milmer_cli.stages.evaluate import evaluate
from milmer_cli.stages.evaluate_run import evaluate_run
from milmer_cli.stages.finetune_swin import finetune_swin
from milmer_cli.stages.inspect import inspect
from milmer_cli.stages.predict_batch import predict_batch
from milmer_cli.stages.prepare import prepare
from milmer_cli.stages.train import train, train_dry_run

pytestmark = pytest.mark.slow

PREPARE_SMALL = ["eeg.segment_s=2", "faces.instances=2", "faces.image_size=64", "run.workers=1"]


@pytest.mark.parametrize(
    ("stage", "arguments", "message"),
    [
        (prepare, ("nowhere", "out"), "There is no data set nowhere"),
        (inspect, ("nowhere", "page.html"), "The prepared store nowhere does not exist"),
        (finetune_swin, ("nowhere", "out"), "nowhere"),
        (train, ("nowhere", "out"), "nowhere"),
        (train_dry_run, ("nowhere", "out"), "nowhere"),
        (evaluate, ("nowhere", "out"), "nowhere"),
        (evaluate_run, ("run", "nowhere", "out"), "run"),
        (predict_batch, ("nowhere.csv", "run", "out"), "nowhere.csv"),
        (audit, ("nowhere.csv", "out"), "nowhere.csv"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_stage_reports_a_missing_input_that_is_given_as_text(
    stage, arguments, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        stage(*arguments)


def test_prepare_opens_the_data_set_of_a_path(deap, prepared, tmp_path):
    out = tmp_path / "prepared"
    shutil.copytree(prepared, out)
    result = prepare(str(deap), str(out), load_settings(overrides=PREPARE_SMALL))
    assert (result.prepared, result.unchanged) == ((), ("s01", "s29"))
    assert result.out == out


def test_prepare_gives_its_workers_the_path_of_the_home_folder(deap, tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    contexts = []

    def record(given, *arguments):
        contexts.extend(given)
        raise MilmerError("recorded")

    monkeypatch.setattr("milmer_cli.stages.prepare.prepare_participants", record)
    settings = load_settings(overrides=[*PREPARE_SMALL, "faces.weights_dir=~/weights"])
    with pytest.raises(MilmerError, match="recorded"):
        prepare(deap, tmp_path / "out", settings)
    assert contexts[0].settings.faces.weights_dir == str(tmp_path / "weights")


def test_audit_uses_the_default_options(tmp_path):
    rows = [f"s{p},{t},{t},{t % 2},{(t + p) % 2},{p}" for p in range(3) for t in range(4)]
    table = tmp_path / "predictions.csv"
    table.write_text("\n".join(["participant,trial,stimulus,truth,predicted,fold", *rows]) + "\n")
    output = audit(str(table), str(tmp_path / "audit"))
    assert output.result.path == table
    assert repr(output).startswith("<AuditOutput | result: ")
    assert (tmp_path / "audit" / "report.html").is_file()
