import errno
import subprocess
import sys
from pathlib import Path

import pytest

from milmer_cli import __version__
from milmer_cli.errors import InputError, MilmerError

COMMANDS = [
    ["demo"],
    ["prepare"],
    ["finetune-swin"],
    ["train"],
    ["evaluate"],
    ["predict"],
    ["info"],
    ["settings", "show"],
    ["settings", "schema"],
    ["settings", "init"],
]
WRITING = {"demo", "prepare", "finetune-swin", "train", "evaluate", "predict"}


def test_the_list_of_commands_is_the_one_tested_here(milmer):
    outcome = milmer("--help")
    assert outcome.code == 0
    for name in {command[0] for command in COMMANDS}:
        assert f"│ {name} " in outcome.out
    assert milmer().out == outcome.out, "no arguments at all show the help"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_shows_an_example_and_what_it_writes(milmer, command):
    outcome = milmer(*command, "--help")
    assert outcome.code == 0
    assert "Example:" in outcome.out
    example = outcome.out.partition("Example:")[2].splitlines()[1]
    assert example.strip().startswith(f"milmer {' '.join(command)}")
    assert ("Writes:" in outcome.out) == (command[0] in WRITING)
    for shared in ("--seed", "--json", "--quiet", "--verbose", "--set ", "--device"):
        assert shared in outcome.out
    for shared in ("--settings", "--preset"):  # the demo's are its own
        assert (shared in outcome.out) == (command != ["demo"])


def test_version(milmer):
    assert milmer("--version").out == f"milmer {__version__}\n"


def test_the_installed_script_and_the_module_are_the_same(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "milmer_cli", "settings", "show", "--set", "seed=x"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == (
        "Error: seed must be a whole number at least 0; got 'x' (--set)."
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nope"], "No such command 'nope'"),
        (["prepare"], "needs one of --deap-root and --manifest"),
        (["prepare", "--deap-root", "nowhere"], "'nowhere' does not exist"),
        (["prepare", "--deap-root", ".", "--source", "edf"], "data.source must be one of auto"),
        (["prepare", "--deap-root", ".", "--set", "eeg.segmnt_s=2"], "did you mean eeg.segment_s?"),
        (["prepare", "--deap-root", ".", "--settings", "no.yaml"], "no.yaml cannot be read"),
        (["prepare", "--deap-root", ".", "--out", "file/store"], "file is not a folder"),
        (["prepare", "--deap-root", ".", "--out", "file"], "file is not a folder"),
        (["train", "--prepared", ".", "--out", "file/run"], "file is not a folder"),
        (["train", "--prepared", "file"], "is a file"),
        (["train", "--prepared", ".", "--fusion", "concat"], "model.fusion must be one of none"),
        (["train", "--prepared", ".", "--seed", "-1"], "seed must be a whole number at least 0"),
        (["evaluate", "--prepared", ".", "--folds", "1"], "evaluate.folds must be a whole number"),
        (["predict", "file", "no.bdf", "--model", "."], "'no.bdf' does not exist"),
        (["predict", "file", "file", "--model", ".", "--trial", "0"], "--trial"),
        (["info", "--preset", "huge"], "'huge' is not one of 'default', 'published', 'demo'"),
        (["settings"], "Missing command"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_exit_code_2(milmer, tmp_path, arguments, expected):
    (tmp_path / "file").write_text("")
    outcome = milmer(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    first, *rest = outcome.err.splitlines()
    assert first.startswith("Error: ")
    assert expected in first
    assert len(rest) <= 1
    assert all(line.startswith("Hint: ") for line in rest)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"], "nothing is left behind"


@pytest.mark.parametrize(
    ("error", "code", "first", "hint"),
    [
        (InputError("No ratings in x.", "Put them there."), 2, "No ratings in x.", "Put them"),
        (MilmerError("The loss is not finite."), 1, "The loss is not finite.", ""),
        (
            OSError(errno.ENOSPC, "No space left on device", "runs/a"),
            1,
            "No space left on device: runs/a.",
            "Make room",
        ),
        (ValueError("odd"), 1, "unexpected went wrong: ValueError: odd", "--verbose"),
        (KeyboardInterrupt(), 130, "Interrupted.", ""),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_errors_of_a_stage(milmer, stage, error, code, first, hint, as_json):
    stage("train", error)
    outcome = milmer("train", "--prepared", ".", *(["--json"] if as_json else []))
    assert outcome.code == code
    lines = outcome.err.splitlines()
    assert first in lines[0]
    assert len(lines) == (2 if hint else 1)
    assert hint in lines[-1]
    if as_json:
        told = outcome.document["error"]
        assert first in told["message"]
        assert hint in told["hint"]
        assert told["exit_code"] == code
    else:
        assert outcome.out == ""


def test_quiet_and_verbose_exclude_each_other(milmer, stage):
    demo = stage("run_demo", module="milmer_cli.demo.run")
    assert milmer("demo", "--quiet", "--verbose").code == 2
    assert demo.calls == []


def test_a_wrong_call_is_a_json_document_too(milmer):
    outcome = milmer("train", "--json")
    assert outcome.document["error"]["exit_code"] == outcome.code == 2


def test_the_traceback_is_shown_on_demand_only(milmer, stage):
    stage("train", ValueError("odd"))
    assert "Traceback" not in milmer("train", "--prepared", ".").err
    assert "Traceback" in milmer("train", "--prepared", ".", "--verbose").err


def test_a_reader_that_has_enough_is_no_fault(tmp_path):
    command = [sys.executable, "-m", "milmer_cli", "settings", "schema"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=tmp_path) as process:
        process.stdout.close()  # as `| head` does, here before the first line
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_an_output_folder_without_permission_is_refused(milmer, tmp_path, stage, monkeypatch):
    train = stage("train")

    def refuse(**_: Path) -> None:  # the tests may run as root, whom no permission stops
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("milmer_cli.cli.command.tempfile.TemporaryFile", refuse)
    outcome = milmer("train", "--prepared", ".", "--out", "runs/first")
    assert outcome.code == 2
    assert "runs/first cannot be written: Permission denied." in outcome.err
    assert train.calls == [], "before any work begins"
    assert not (tmp_path / "runs").exists()
