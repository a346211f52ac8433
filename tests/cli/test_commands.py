import json
import re
from pathlib import Path

import pytest

import milmer_cli
from helpers import run_python
from milmer_cli.data.named_splits import SHA256
from milmer_cli.errors import InputError
from milmer_cli.prediction.request import Outputs, Request
from milmer_cli.settings import Settings, load_settings
from milmer_cli.training.run_marker import write_marker


def test_command_passes_flags_as_settings(milmer, stage):
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
    assert named.keys() == {"progress", "restart"}
    assert named["restart"] is False
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


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_store_replaces_the_eeg_and_faces_of_a_preset_with_one_note(milmer, stage, command):
    recorded = stage(command)
    own = ("--set", "eeg.segment_s=2", "--set", "faces.margin=0.2")
    outcome = milmer(command, "--prepared", ".", "--preset", "published", "--quiet", "--json", *own)
    settings = recorded.calls[0][0][2]
    assert settings.eeg.model_fields_set == {"segment_s"}
    assert settings.faces.model_fields_set == {"margin"}
    assert (settings.model.num_select, settings.train.protocol) == (3, "segment")
    expected = "The preset's values of eeg and faces are not used: the store has its own."
    assert outcome.document["notes"].count(expected) == 1
    assert expected not in milmer(command, "--prepared", ".").err


def test_train_names_a_run_by_the_time(milmer, stage):
    train = stage("train")
    milmer("train", "--prepared", ".")
    (_, out, settings), _ = train.calls[0]
    assert re.fullmatch(r"runs/\d{8}-\d{6}", out.as_posix())
    assert settings == Settings()


def test_resume_requires_a_run_folder(milmer, stage, tmp_path):
    train, finetune = stage("train"), stage("finetune_swin")
    assert milmer("train", "--prepared", ".", "--resume").code == 2
    assert milmer("finetune-swin", "--data", ".", "--resume").code == 2
    assert train.calls == finetune.calls == []
    (tmp_path / "runs" / "first").mkdir(parents=True)
    assert milmer("train", "--prepared", ".", "--out", "runs/first", "--resume").code == 0
    assert train.calls[0][1]["restart"] is False
    both = milmer("train", "--prepared", ".", "--out", "runs/first", "--resume", "--restart")
    assert both.code == 2
    assert milmer("train", "--prepared", ".", "--out", "runs/first", "--restart").code == 0
    assert [named["restart"] for _, named in train.calls] == [False, True]


def test_train_without_out_resumes_the_unfinished_run_of_the_same_command(milmer, stage, tmp_path):
    train = stage("train")
    asked = ("train", "--prepared", ".", "--seed", "3")
    for name, command in (
        ("20260101-000000", "milmer train --prepared . --seed 3"),
        ("20260102-000000", "milmer train --prepared . --seed 4"),
        ("my-notes", "milmer train --prepared . --seed 3"),
    ):
        (tmp_path / "runs" / name).mkdir(parents=True)
        write_marker(tmp_path / "runs" / name, {}, command)
    milmer(*asked, "--json")
    milmer(*asked[:-1], "5")
    assert train.calls[0][0][1] == Path("runs/20260101-000000")
    assert train.calls[1][0][1].name > "20260102"


def test_commands_pass_their_arguments_to_the_stages(milmer, stage, tmp_path):
    (tmp_path / "file").write_text("")
    evaluate, evaluate_run = stage("evaluate"), stage("evaluate_run")
    predict, finetune = stage("predict"), stage("finetune_swin")
    milmer("evaluate", "--prepared", ".", "--folds", "3", "--protocol", "participant")
    milmer("evaluate", "--prepared", ".", "--run", ".")
    (_, out, settings), named = evaluate.calls[0]
    assert (out, named["splits"]) == (Path("evaluation"), None)
    (run, *_), _ = evaluate_run.calls[0]
    assert (len(evaluate.calls), run) == (1, Path())
    assert (settings.evaluate.folds, settings.evaluate.protocols) == (3, ("participant",))

    milmer("predict", "file", "file", "--model", ".", "--trial", "2", "--eeg-onset", "1.5")
    (request, run, outputs, _), _ = predict.calls[0]
    assert request == Request(Path("file"), Path("file"), trial=2, eeg_onset_s=1.5)
    assert (run, outputs) == (".", Outputs(Path("prediction")))

    milmer("finetune-swin", "--data", "a", "--data", "b.csv", "--backbone", "scratch:micro")
    (data, out, settings), _ = finetune.calls[0]
    assert (data, out) == (["a", "b.csv"], Path("swin"))
    assert settings.model.backbone == "scratch:micro"


def test_prepared_has_the_default_of_prepare(milmer, stage, tmp_path):
    train, evaluate = stage("train"), stage("evaluate")
    refused = milmer("train")
    assert refused.code == 2
    assert "'prepared' does not exist" in refused.err
    (tmp_path / "prepared").mkdir()
    milmer("train")
    milmer("evaluate")
    assert train.calls[0][0][0] == evaluate.calls[0][0][0] == Path("prepared")


def test_inspect_writes_beside_the_store(milmer, stage, tmp_path):
    inspect = stage("inspect")
    (tmp_path / "data" / "prepared").mkdir(parents=True)
    milmer("inspect", "data/prepared")
    milmer("inspect", "data/prepared", "--out", "page.html")
    assert [call[0][1] for call in inspect.calls] == [
        Path("data/inspection.html"),
        Path("page.html"),
    ]


FACE_64 = ("--set", "finetune.image_size=64")
REFUSED = """
from milmer_cli.cli.app import run
import sys
code = run(sys.argv[1:])
print(code, [name for name in ("torch", "transformers", "sklearn") if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--swin", "./missing"], "The backbone './missing' does not exist"),
        (
            ["finetune-swin", "--data", ".", "--backbone", "scratch:tiny", *FACE_64],
            "Images of 64 x 64 pixels have 2 x 2 tokens",
        ),
    ],
)
def test_backbone_is_refused_before_slow_imports(tmp_path, monkeypatch, arguments, message):
    (tmp_path / "prepared").mkdir()
    monkeypatch.chdir(tmp_path)
    environment = {"PYTHONPATH": str(Path(milmer_cli.__file__).parents[1])}
    done = run_python("-c", REFUSED, *arguments, environment=environment)
    assert done.stdout.splitlines()[-1] == "2 []", done.stderr
    assert done.stderr.startswith(f"Error: {message}")


def test_evaluate_rejects_flags_that_a_run_defines(milmer, stage):
    evaluate = stage("evaluate_run")
    outcome = milmer("evaluate", "--prepared", ".", "--run", ".", "--folds", "3", "--swin", "x")
    assert outcome.code == 2
    assert "--folds, --swin cannot be combined with --run" in outcome.err
    assert evaluate.calls == []


def test_evaluate_passes_two_stores(milmer, stage, tmp_path):
    evaluate = stage("evaluate")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert milmer("evaluate", "--train-on", "a", "--test-on", "b").code == 0
    (prepared, out, _), named = evaluate.calls[0]
    assert (prepared, named["test_on"], out) == (Path("a"), Path("b"), Path("evaluation"))
    milmer("evaluate", "--prepared", "a")
    assert evaluate.calls[1][1]["test_on"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train-on", "."], "name the two stores of one evaluation: expected both"),
        (["--test-on", "."], "name the two stores of one evaluation: expected both"),
        (["--prepared", "."], "--prepared or --run cannot be combined with --train-on"),
        (["--splits", "deap-trial-5fold"], "--splits cannot be combined with --train-on"),
        (
            ["--folds", "3", "--protocol", "trial"],
            "--folds, --protocol cannot be combined with --train-on",
        ),
        (["--participants", "1"], "--participants cannot be combined with --train-on"),
    ],
)
def test_evaluate_rejects_what_two_stores_define(milmer, stage, arguments, message):
    evaluate = stage("evaluate")
    stores = [] if "both" in message else ["--train-on", ".", "--test-on", "."]
    outcome = milmer("evaluate", *stores, *arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert evaluate.calls == []


def test_evaluate_rejects_a_dry_run_of_a_trained_run(milmer, stage):
    evaluate = stage("evaluate_run")
    outcome = milmer("evaluate", "--prepared", ".", "--run", ".", "--dry-run")
    assert outcome.code == 2
    assert "--dry-run cannot be combined with --run" in outcome.err
    assert evaluate.calls == []


def test_demo_offers_only_the_options_it_uses(milmer, stage):
    demo = stage("run_demo", module="milmer_cli.stages.demo")
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


def test_demo_json_sends_the_output_of_the_stages_to_stderr(milmer, stage):
    demo = stage("run_demo", module="milmer_cli.stages.demo")
    assert milmer("demo", "--json").document
    assert demo.calls[0][1]["stdout"] is not None


def test_json_is_one_document_without_nan(milmer, stage):
    stage("train")
    outcome = milmer("train", "--prepared", ".", "--json")
    assert outcome.document == {
        "format": 1,
        "out": "runs/first",
        "accuracy": None,
        "nested": [{"x": None}],
        "notes": [],
    }
    assert outcome.err == ""


class Noting(list):
    """Records of calls; each call notes something on every level."""

    def append(self, call):
        super().append(call)
        for level in ("detail", "step", "info", "warning", "info"):
            call[1]["progress"].note(f"A message of level {level}.", level)


def test_json_keeps_the_messages_on_stderr_and_lists_notes(milmer, stage):
    stage("train").calls = Noting()
    outcome = milmer("train", "--prepared", ".", "--json")
    notes = ["A message of level info.", "A message of level warning."]
    assert outcome.document["notes"] == notes
    assert outcome.err.splitlines() == [
        "A message of level step.", notes[0], f"Warning: {notes[1]}", notes[0],
    ]  # fmt: skip
    quiet = milmer("train", "--prepared", ".", "--json", "--quiet")
    assert quiet.err.splitlines() == [f"Warning: {notes[1]}"]
    assert quiet.document["notes"] == notes


@pytest.mark.parametrize("error", [InputError("Refused."), KeyboardInterrupt()])
def test_json_error_lists_the_notes_before_the_error(milmer, stage, error):
    class Failing(Noting):
        def append(self, call):
            super().append(call)
            raise error

    stage("train").calls = Failing()
    document = milmer("train", "--prepared", ".", "--json").document
    assert document["error"]["exit_code"] in (2, 130)
    assert "A message of level warning." in document["notes"]


def test_info_json_has_the_free_disk_space_as_a_number(milmer):
    document = milmer("info", "--json", "--device", "cpu").document
    assert document["free_disk_bytes"] > 0
    assert document["notes"] == []


def test_print_rows_does_not_wrap_on_a_narrow_terminal(milmer, stage, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stage("train")
    assert milmer("train", "--prepared", ".").out == (
        "accuracy (by trial)  0.5\n" + "run                  " + "x" * 300 + "\n"
    )


def test_settings_show_prints_values_and_origins(milmer, tmp_path):
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
    assert document["origins"] == {"eeg.segment_s": "my.yaml", "seed": "--set"}


def test_settings_init_does_not_overwrite_a_file(milmer, tmp_path):
    assert milmer("settings", "init", "sub/my.yaml", "--set", "seed=3").code == 0
    file = tmp_path / "sub" / "my.yaml"
    assert load_settings(file=file).seed == 3
    file.write_text("seed: 9\n")
    again = milmer("settings", "init", "sub/my.yaml")
    assert again.code == 2
    assert "already exists" in again.err
    assert file.read_text() == "seed: 9\n"


def test_settings_schema_is_json(milmer):
    assert "eeg" in json.loads(milmer("settings", "schema").out)["properties"]


@pytest.mark.parametrize("backbone", ["scratch:tiny", "somebody/nowhere", "."])
def test_info_shows_versions_device_and_weights(milmer, backbone):
    facts = milmer("info", "--json", "--device", "cpu", "--set", f"model.backbone={backbone}")
    document = facts.document
    assert document["packages"]["torch"][0].isdigit()
    assert "pytest" not in document["packages"], "extras are not required"
    assert "cpu" in document["device"].lower()
    assert backbone in document["backbone"]
    assert document["face detectors"].endswith("dlib")
    assert document["free disk space"].endswith("GiB")


@pytest.mark.parametrize(
    ("version", "shown"),
    [("2030.1", "2030.1"), ("", "not installed: pip install 'milmer-cli[openvino]'")],
)
def test_info_shows_whether_openvino_is_installed(milmer, monkeypatch, version, shown):
    monkeypatch.setattr("milmer_cli.device.openvino_version", lambda: version)
    assert milmer("info", "--json", "--device", "cpu").document["OpenVINO"] == shown


def test_train_gives_all_processes_the_same_run_folder(tmp_path):
    from milmer_cli.cli.train import _process_arguments

    asked = ["train", "--prepared", "p", "--processes", "2", "--resume"]
    run = tmp_path / "run"
    kept = ["train", "--prepared", "p", "--resume", "--out", str(run)]
    assert _process_arguments(asked, run) == kept
    assert _process_arguments([*asked[:3], "--processes=2", "--resume"], run) == kept


def test_print_result_prints_only_in_the_main_process(monkeypatch, capsys):
    from milmer_cli.cli.console import Console
    from milmer_cli.cli.options import CommandContext
    from milmer_cli.settings import load_settings

    class Done:
        def summary(self):
            return [("done", "yes")]

    for rank, shown in (("1", ""), ("0", "done  yes\n")):
        monkeypatch.setenv("RANK", rank)
        CommandContext(load_settings(), {}, Console()).print_result(Done())
        assert capsys.readouterr().out == shown


def test_info_report_has_versions_and_the_last_error_but_no_names_or_paths(milmer, stage):
    secret = "/home/ada/secret"
    first = milmer("info", "--report", "--json", "--device", "cpu").document
    assert first["last error"] == "none"
    stage("train", ValueError(secret))
    milmer("train", "--prepared", ".", "--out", "secret")
    options = ["--set", f"faces.weights_dir={secret}", "--set", "train.epochs=7"]
    facts = milmer("info", "--report", "--json", "--device", "cpu", *options).document
    assert facts["settings that differ from the defaults"] == (
        "faces.weights_dir, train.epochs, run.device"
    )
    assert facts["last error"].startswith("ValueError in train (cli/")
    assert {"milmer", "python", "platform", "device"} < set(facts)
    assert "torch" in facts["packages"]
    text = milmer("info", "--report", "--device", "cpu", *options).out
    for private in ("secret", "ada", str(Path.cwd()), str(Path.home())):
        assert private not in text


def test_evaluate_list_splits_prints_the_checksum_of_every_split(milmer):
    outcome = milmer("evaluate", "--list-splits")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(SHA256)
    assert all(line.endswith(f"SHA-256 {SHA256[line.partition(':')[0]]}") for line in lines)


def test_evaluate_lists_the_baselines_without_a_store(milmer):
    outcome = milmer("evaluate", "--list-baselines", "--json")
    assert outcome.code == 0
    listed = {entry["name"]: entry for entry in outcome.document["baselines"]}
    assert set(outcome.document["groups"]["all"]) == set(listed)
    assert listed["late-fusion"]["trains_network"]
    assert listed["late-fusion"]["needs"] == "EEG and faces"
    assert not listed["de-svm"]["trains_network"]
    assert listed["riemann"]["package"] == "pyriemann"
    assert listed["face-tokens"]["installed"]
    external = ["braindecode:CLASS", "MODULE:CLASS", "braindecode:CLASS@WEIGHTS", "face:WEIGHTS"]
    assert list(outcome.document["external"]) == external
    text = milmer("evaluate", "--list-baselines").out
    for name, entry in listed.items():
        assert f"{name} " in text
        assert entry["title"].split()[0] in text
    assert all(name in text for name in external)


def test_evaluate_without_a_store_states_what_is_missing(milmer):
    outcome = milmer("evaluate")
    assert outcome.code == 2
    assert "--prepared: expected the folder of a prepared store" in outcome.err
