import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from helpers import run_python
from milmer_cli import __version__
from milmer_cli.cli.app import COMMANDS, _load_command
from milmer_cli.cli.setting_names import complete_setting
from milmer_cli.errors import InputError, MilmerError
from milmer_cli.process_end import Terminated

EVERY_COMMAND = [
    ["demo"],
    ["prepare"],
    ["manifest", "events"],
    ["inspect"],
    ["finetune-swin"],
    ["train"],
    ["evaluate"],
    ["predict"],
    ["audit"],
    ["info"],
    ["weights", "list"],
    ["weights", "fetch"],
    ["weights", "verify"],
    ["settings", "show"],
    ["settings", "schema"],
    ["settings", "init"],
    ["export"],
    ["docs"],
    ["version"],
    ["formats"],
    ["cite"],
]
FUSIONS = ("none", "mlp", "cross_attention")
WITHOUT_OUTPUT_FILES = {"cite", "docs", "formats", "info", "settings", "version", "weights"}


def test_help_lists_all_commands(milmer):
    outcome = milmer("--help")
    assert outcome.code == 0
    assert {command[0] for command in EVERY_COMMAND} | {"help"} == COMMANDS.keys()
    for name in COMMANDS:
        assert f"│ {name} " in outcome.out


@pytest.mark.parametrize("arguments", [(), ("-h",), ("help",)])
def test_help_without_a_command_is_the_list_of_commands(milmer, arguments):
    assert milmer(*arguments).out == milmer("--help").out


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
def test_help_of_a_command_is_shown_in_three_ways(milmer, command):
    expected = milmer(*command, "--help").out
    assert f"Usage: milmer {' '.join(command)} " in expected
    assert milmer(*command, "-h").out == expected
    assert milmer("help", *command).out == expected


def test_settings_without_a_subcommand_shows_its_help(milmer):
    outcome = milmer("settings")
    assert outcome.code == 0
    assert outcome.out.strip() == milmer("settings", "--help").out.strip()


@pytest.mark.parametrize("name", COMMANDS)
def test_list_of_commands_shows_the_first_line_of_each_help(name):
    assert _load_command(name).help.partition("\n")[0] == COMMANDS[name]


@pytest.mark.parametrize(
    ("words", "index", "expected"),
    [
        ("milmer fine", 1, {"finetune-swin"}),
        ("milmer train --fusion ", 3, {"none", "mlp", "cross_attention"}),
        ("milmer settings s", 2, {"show", "schema"}),
        ("milmer help inf", 2, {"info"}),
        ("milmer train --set train.ep", 3, {"train.epochs="}),
        ("milmer demo --set model.fus", 3, {"model.fusion="}),
    ],
)
def test_completion_offers_commands_and_choices(words, index, expected):
    environment = {
        "_MILMER_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(index),
    }
    code = "from milmer_cli.cli.app import app; app(prog_name='milmer')"
    done = run_python("-c", code, environment=environment)
    assert set(done.stdout.split()) >= expected, done.stderr


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
def test_help_of_a_command_has_an_example_and_its_files(milmer, command):
    outcome = milmer(*command, "--help")
    assert outcome.code == 0
    assert "Example:" in outcome.out
    example = outcome.out.partition("Example:")[2].splitlines()[1]
    assert example.strip().startswith(f"milmer {' '.join(command)}")
    assert ("Writes:" in outcome.out) == (command[0] not in WITHOUT_OUTPUT_FILES)
    for shared in ("--seed", "--json", "--quiet", "--verbose", "--set ", "--device"):
        assert shared in outcome.out
    for shared in ("--settings", "--preset"):  # the demo has its own preset
        assert (shared in outcome.out) == (command != ["demo"])


def test_version(milmer):
    assert milmer("--version").out == f"milmer {__version__}\n"
    assert milmer("version").out.split() == ["milmer", __version__]
    assert milmer("version", "--json").document == {
        "format": 1,
        "version": __version__,
        "notes": [],
    }


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["train", "--epochs", "3"], "Use --set train.epochs=3."),
        (["train", "--prepared", ".", "--epochs=3"], "Use --set train.epochs=3."),
        (["finetune-swin", "--lr", "1e-4"], "Use --set finetune.lr=1e-4."),
        (["evaluate", "--train-batch-size", "8"], "Use --set train.batch_size=8."),
        (["evaluate", "--train.lr=2"], "Use --set train.lr=2."),
        (["prepare", "--segment-s"], "Use --set eeg.segment_s=VALUE."),
        (["predict", "--temperature", "2"], "See milmer predict --help."),
        (["train", "--segment-s", "2"], "See milmer train --help."),
        (["settings", "show", "--epochs", "2"], "See milmer settings show --help."),
    ],
)
def test_unknown_flag_that_ends_like_a_setting_gets_its_set(milmer, arguments, hint):
    outcome = milmer(*arguments)
    assert outcome.code == 2
    first, second = outcome.err.splitlines()
    assert first.startswith("Error: No such option: --")
    assert second == f"Hint: {hint}"


@pytest.mark.parametrize(
    ("incomplete", "expected"),
    [
        ("train.warm", ["train.warmup_ratio=", "train.warmup_ratio=0.05"]),
        ("model.fus", ["model.fusion=", *(f"model.fusion={name}" for name in FUSIONS)]),
        ("train.wa", ["train.warmup_ratio=", "train.warmup_ratio=0.05"]),
        ("evaluate.protocols=[tr", ["evaluate.protocols=[trial]"]),
        ("model.fusion=m", ["model.fusion=mlp"]),
        ("model.freeze_backbone=", ["model.freeze_backbone=true", "model.freeze_backbone=false"]),
        ("train.lr=", ["train.lr=0.0001"]),
        ("nothing", []),
    ],
)
def test_complete_setting_offers_keys_and_choices(incomplete, expected):
    assert complete_setting(incomplete) == expected


def test_main_of_the_module_reports_errors_like_the_script():
    done = run_python("-m", "milmer_cli", "settings", "show", "--set", "seed=x")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == (
        "Error: seed: expected an integer >= 0 and <= 2147483647, got 'x' (--set)."
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nope"], "No such command 'nope'"),
        (["trian"], "Did you mean 'train'?"),
        (["prepare"], "Expected one of --deap-root, --manifest, --eav-root, --mahnob-root, "),
        (["prepare", "--deap-root", "nowhere"], "'nowhere' does not exist"),
        (["prepare", "--deap-root", ".", "--source", "edf"], "data.source: expected one of auto"),
        (["prepare", "--deap-root", ".", "--set", "eeg.segmnt_s=2"], "did you mean eeg.segment_s?"),
        (["prepare", "--deap-root", ".", "--settings", "no.yaml"], "no.yaml cannot be read"),
        (["prepare", "--deap-root", ".", "--out", "file/store"], "file is not a folder"),
        (["prepare", "--deap-root", ".", "--out", "file"], "file is not a folder"),
        (["train", "--prepared", ".", "--out", "file/run"], "file is not a folder"),
        (["train", "--prepared", "file"], "is a file"),
        (["train", "--prepared", ".", "--fusion", "concat"], "model.fusion: expected one of none"),
        (["train", "--prepared", ".", "--seed", "-1"], "seed: expected an integer >= 0"),
        (["evaluate", "--prepared", ".", "--folds", "1"], "evaluate.folds: expected an integer"),
        (["predict", "file", "no.bdf", "--model", "."], "'no.bdf' does not exist"),
        (["predict", "file", "file", "--model", ".", "--trial", "0"], "--trial"),
        (["info", "--preset", "huge"], "'huge' is not one of 'default', 'published', 'demo'"),
        (["settings", "nope"], "No such command 'nope'"),
        (["help", "nope"], "No such command 'nope'"),
    ],
)
def test_run_reports_an_invalid_call_in_one_sentence(milmer, tmp_path, arguments, expected):
    (tmp_path / "file").write_text("")
    outcome = milmer(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    first, *rest = outcome.err.splitlines()
    assert first.startswith("Error: ")
    assert expected in first
    assert len(rest) <= 1
    assert all(line.startswith("Hint: ") for line in rest)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare", "--deap-root=~/no"],
        ["prepare", "--manifest=~/no"],
        ["train", "--prepared=~/no"],
        ["predict", "--model=~/no"],
        ["audit", "--splits=~/no", "file"],
        ["info", "--settings=~/no"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_run_expands_the_home_folder_after_an_equals_sign(milmer, tmp_path, monkeypatch, arguments):
    (tmp_path / "file").write_text("participant,trial,stimulus,truth,predicted\n")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    outcome = milmer(*arguments)
    assert outcome.code == 2
    assert str(tmp_path / "home" / "no") in outcome.err


@pytest.mark.parametrize(
    ("error", "code", "first", "hint"),
    [
        (InputError("No ratings in x.", "Put them there."), 2, "No ratings in x.", "Put them"),
        (MilmerError("The loss is not finite."), 1, "The loss is not finite.", ""),
        (
            OSError(errno.ENOSPC, "No space left on device", "runs/a"),
            1,
            "No space left on device: runs/a.",
            "Free some space",
        ),
        (ValueError("odd"), 1, "Unexpected error: ValueError: odd", "--verbose"),
        (KeyboardInterrupt(), 130, "Interrupted.", ""),
        (Terminated(), 130, "run the same command again to resume.", ""),
        (EOFError("Ran out of input"), 1, "EOFError: Ran out of input", "--verbose"),
        (MemoryError(), 1, "Memory ran out.", "--workers"),
        (RuntimeError("CUDA out of memory. Tried"), 1, "Memory ran out.", "--workers"),
        (RuntimeError("DataLoader worker (pid 7) is killed"), 1, "memory ran out", "--workers"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_run_reports_errors_of_a_stage(milmer, stage, error, code, first, hint, as_json):
    stage("train", error)
    outcome = milmer("train", "--prepared", ".", *(["--json"] if as_json else []))
    assert outcome.code == code
    lines = outcome.err.splitlines()
    assert first in lines[0]
    assert len(lines) == (2 if hint else 1)
    assert hint in lines[-1]
    if as_json:
        reported = outcome.document["error"]
        assert first in reported["message"]
        assert hint in reported["hint"]
        assert reported["exit_code"] == code
    else:
        assert outcome.out == ""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_run_stops_on_sigterm_and_names_the_command_that_resumes(milmer, stage):
    class Stop(list):
        def append(self, call):
            os.kill(os.getpid(), signal.SIGTERM)

    stage("run_demo", module="milmer_cli.stages.demo").calls = Stop()
    outcome = milmer("demo")
    assert outcome.code == 130
    assert outcome.err == (
        "Error: Interrupted. Finished parts are kept; run the same command again to resume.\n"
    )
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_command_rejects_quiet_with_verbose(milmer, stage):
    demo = stage("run_demo", module="milmer_cli.stages.demo")
    assert milmer("demo", "--quiet", "--verbose").code == 2
    assert demo.calls == []


def test_run_reports_an_invalid_call_as_json(milmer):
    outcome = milmer("train", "--json")
    assert outcome.document["error"]["exit_code"] == outcome.code == 2


def test_run_shows_the_traceback_only_with_verbose(milmer, stage):
    stage("train", ValueError("odd"))
    assert "Traceback" not in milmer("train", "--prepared", ".").err
    assert "Traceback" in milmer("train", "--prepared", ".", "--verbose").err


def test_run_accepts_that_the_reader_closes_the_pipe(tmp_path):
    command = [sys.executable, "-m", "milmer_cli", "settings", "schema"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=tmp_path) as process:
        process.stdout.close()  # as `| head` does, here before the first line
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_run_reports_a_full_disk_on_stdout_in_one_sentence(tmp_path):
    command = [sys.executable, "-m", "milmer_cli", "settings", "schema"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: No space left on device.\nHint: Free some space")
    assert len(done.stderr.splitlines()) == 2


def test_command_rejects_an_unwritable_output_folder_before_the_work(
    milmer, tmp_path, stage, monkeypatch
):
    train = stage("train")

    def refuse(**_: Path) -> None:  # the tests may run as root, who may write everywhere
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    outcome = milmer("train", "--prepared", ".", "--out", "runs/first")
    assert outcome.code == 2
    assert "runs/first cannot be written: Permission denied." in outcome.err
    assert train.calls == []
    assert not (tmp_path / "runs").exists()
