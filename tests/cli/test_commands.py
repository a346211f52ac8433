import json
import re
from pathlib import Path

import pytest

from milmer_cli.settings import Settings, load_settings


def test_flags_reach_the_stage_as_settings(milmer, stage):
    train = stage("train")
    outcome = milmer(
        *("train", "--prepared", ".", "--out", "runs/first", "--fusion", "mlp", "--swin", "swin"),
        *("--selection", "amil", "--modalities", "eeg", "--participants", "1,3-5"),
        *(
            "--device",
            "cpu",
            "--seed",
            "4",
            "--set",
            "train.epochs=2",
            "--set",
            "model.fusion=none",
        ),
    )
    assert outcome.code == 0
    (prepared, out, settings), named = train.calls[0]
    assert (prepared, out) == (Path(), Path("runs/first"))
    assert named.keys() == {"progress", "resume"}
    assert named["resume"] is False
    assert settings == load_settings(
        overrides=[
            "model.fusion=mlp",
            "model.backbone=swin",
            "model.selection=amil",
            "model.modalities=eeg",
            "data.participants=1,3-5",
            "run.device=cpu",
            "seed=4",
            "train.epochs=2",
        ]
    )


def test_a_run_without_a_name_gets_the_time(milmer, stage):
    train = stage("train")
    milmer("train", "--prepared", ".")
    (_, out, settings), _ = train.calls[0]
    assert re.fullmatch(r"runs/\d{8}-\d{6}", out.as_posix())
    assert settings == Settings()


def test_resuming_needs_a_run_that_is_there(milmer, stage, tmp_path):
    train, finetune = stage("train"), stage("finetune_swin")
    assert milmer("train", "--prepared", ".", "--resume").code == 2
    assert milmer("finetune-swin", "--data", ".", "--resume").code == 2
    assert train.calls == finetune.calls == []
    (tmp_path / "runs" / "first").mkdir(parents=True)
    assert milmer("train", "--prepared", ".", "--out", "runs/first", "--resume").code == 0
    assert train.calls[0][1]["resume"] is True


def test_evaluate_predict_and_finetune_pass_on_what_they_are_given(milmer, stage, tmp_path):
    (tmp_path / "file").write_text("")
    evaluate, predict, finetune = stage("evaluate"), stage("predict"), stage("finetune_swin")
    milmer("evaluate", "--prepared", ".", "--folds", "3", "--protocol", "participant")
    milmer("evaluate", "--prepared", ".", "--run", ".")
    (_, out, settings), named = evaluate.calls[0]
    assert (out, named["run"]) == (Path("evaluation"), None)
    assert evaluate.calls[1][1]["run"] == Path()
    assert (settings.evaluate.folds, settings.evaluate.protocols) == (3, ("participant",))

    milmer("predict", "file", "file", "--model", ".", "--trial", "2", "--eeg-onset", "1.5")
    (video, eeg, run, out, _), named = predict.calls[0]
    assert (video, eeg, run, out) == (Path("file"), Path("file"), Path(), Path("prediction"))
    assert (named["trial"], named["eeg_onset_s"], named["video_onset_s"]) == (2, 1.5, None)

    milmer("finetune-swin", "--data", "a", "--data", "b.csv", "--backbone", "scratch:micro")
    (data, out, settings), _ = finetune.calls[0]
    assert (data, out) == (["a", "b.csv"], Path("swin"))
    assert settings.model.backbone == "scratch:micro"


def test_a_run_is_scored_on_its_own_split_so_flags_for_another_are_refused(milmer, stage):
    evaluate = stage("evaluate")
    outcome = milmer("evaluate", "--prepared", ".", "--run", ".", "--folds", "3", "--swin", "x")
    assert outcome.code == 2
    assert "--folds, --swin cannot stand beside --run" in outcome.err
    assert evaluate.calls == []


def test_the_demo_offers_only_what_it_honours(milmer, stage):
    demo = stage("run_demo", module="milmer_cli.demo.run")
    assert milmer("demo", "--signal", "0", "--seed", "5").code == 0
    (out,), named = demo.calls[0]
    assert out == Path("demo")
    assert (named["signal"], named["seed"]) == (0.0, 5)
    shown = milmer("demo", "--help").out
    for flag in ("--preset", "--settings"):
        assert flag not in shown
        assert milmer("demo", flag, "x").code == 2
    assert milmer("demo", "--set", "train.lr=1e-3", "--device", "cpu").code == 0
    assert demo.calls[-1][1]["overrides"] == ["train.lr=1e-3", "run.device=cpu"]


def test_the_stdout_of_the_demo_is_one_document(milmer, stage):
    demo = stage("run_demo", module="milmer_cli.demo.run")
    assert milmer("demo", "--json").document
    assert demo.calls[0][1]["stdout"] is not None, "the stages' results go to stderr"


def test_json_is_one_document_without_nan(milmer, stage):
    stage("train")
    outcome = milmer("train", "--prepared", ".", "--json")
    assert outcome.document == {"out": "runs/first", "accuracy": None, "nested": [{"x": None}]}
    assert outcome.err == ""


def test_the_summary_is_not_cut_even_where_the_terminal_is_narrow(milmer, stage, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stage("train")
    assert milmer("train", "--prepared", ".").out == (
        "accuracy (by trial)  0.5\n" + "run                  " + "x" * 300 + "\n"
    )


def test_settings_show_tells_values_and_where_they_come_from(milmer, tmp_path):
    (tmp_path / "my.yaml").write_text("eeg: {segment_s: 2}\n")
    arguments = ("settings", "show", "--settings", "my.yaml", "--set", "seed=3")
    shown = milmer(*arguments).out
    (tmp_path / "again.yaml").write_text(shown)
    assert load_settings(file=tmp_path / "again.yaml") == load_settings(
        overrides=["eeg.segment_s=2", "seed=3"]
    )
    assert "# eeg.segment_s: my.yaml" in shown
    document = milmer(*arguments, "--json").document
    assert document["settings"]["eeg"]["segment_s"] == 2.0
    assert document["asked"] == {"eeg.segment_s": "my.yaml", "seed": "--set"}


def test_settings_init_writes_a_file_once(milmer, tmp_path):
    assert milmer("settings", "init", "sub/my.yaml", "--set", "seed=3").code == 0
    file = tmp_path / "sub" / "my.yaml"
    assert load_settings(file=file).seed == 3
    file.write_text("seed: 9\n")
    again = milmer("settings", "init", "sub/my.yaml")
    assert again.code == 2
    assert "is there already" in again.err
    assert file.read_text() == "seed: 9\n"


def test_settings_schema_is_json(milmer):
    assert "eeg" in json.loads(milmer("settings", "schema").out)["properties"]


@pytest.mark.parametrize("backbone", ["scratch:tiny", "somebody/nowhere", "."])
def test_info_tells_versions_device_and_weights(milmer, backbone):
    facts = milmer("info", "--json", "--device", "cpu", "--set", f"model.backbone={backbone}")
    document = facts.document
    assert document["packages"]["torch"][0].isdigit()
    assert "pytest" not in document["packages"], "extras need not be installed"
    assert "cpu" in document["compute"].lower()
    assert backbone in document["backbone"]
    assert document["face detectors"].endswith("dlib")
    assert document["free disk here"].endswith("GiB")


def test_all_processes_get_the_command_without_the_flag_and_one_run_folder(tmp_path):
    from milmer_cli.cli.train import _for_each_process

    asked = ["train", "--prepared", "p", "--processes", "2", "--resume"]
    run = tmp_path / "run"
    kept = ["train", "--prepared", "p", "--resume", "--out", str(run)]
    assert _for_each_process(asked, run) == kept
    assert _for_each_process([*asked[:3], "--processes=2", "--resume"], run) == kept


def test_only_the_first_process_shows_the_result(monkeypatch, capsys):
    from milmer_cli.cli.command import Call
    from milmer_cli.cli.console import Console
    from milmer_cli.settings import load_settings

    class Done:
        def summary(self):
            return [("done", "yes")]

    for rank, shown in (("1", ""), ("0", "done  yes\n")):
        monkeypatch.setenv("RANK", rank)
        Call(load_settings(), {}, Console()).show(Done())
        assert capsys.readouterr().out == shown
