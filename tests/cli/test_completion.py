"""Completion in shells: words with ``=``, and the script of bash with the real program."""

import shutil
import subprocess
import sys

import pytest

from helpers import run_python
from milmer_cli.cli.completion import complete_in_bash, join_words, without_prefix


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["milmer", "tr"], (["milmer", "tr"], 1, "")),
        (["milmer", "train", "--set", ""], (["milmer", "train", "--set", ""], 3, "")),
        (["milmer", "--set", "a.b", "="], (["milmer", "--set", "a.b="], 2, "a.b=")),
        (["milmer", "--set", "a.b", "=", "m"], (["milmer", "--set", "a.b=m"], 2, "a.b=")),
        (["milmer", "--set", "=", "a.b", "=", "m"], (["milmer", "--set=a.b=m"], 1, "--set=a.b=")),
        (["milmer", "--seed", "=", "1", "tr"], (["milmer", "--seed=1", "tr"], 2, "")),
    ],
)
def test_join_words_undoes_the_split_of_bash(words, expected):
    assert join_words(words, len(words) - 1) == expected


@pytest.mark.parametrize(
    ("completion", "kept", "expected"),
    [
        ("a.b=mlp", "a.b=", "mlp"),
        ("a.b=mlp", "--set=a.b=", "mlp"),
        ("mlp", "--fusion=", "mlp"),
        ("train", "", "train"),
    ],
)
def test_without_prefix_leaves_what_bash_replaces(completion, kept, expected):
    assert without_prefix(completion, kept) == expected


def test_complete_in_bash_passes_joined_words_and_returns_the_rest(monkeypatch):
    monkeypatch.setenv("COMP_WORDS", "milmer\n--set\nmodel.fusion\n=\nm\n")
    monkeypatch.setenv("COMP_CWORD", "4")

    def run() -> int:
        import os

        assert os.environ["COMP_WORDS"].split("\n") == ["milmer", "--set", "model.fusion=m"]
        assert os.environ["COMP_CWORD"] == "2"
        print("model.fusion=mlp")  # noqa: T201
        raise SystemExit(0)

    assert complete_in_bash(run) == "mlp\n"


BASH = """
milmer() {{ "{python}" -m milmer_cli "$@"; }}
_complete() {{
    local IFS=$'\\n'
    COMPREPLY=( $( COMP_WORDS="${{COMP_WORDS[*]}}" COMP_CWORD=$COMP_CWORD \
        _MILMER_COMPLETE=complete_bash milmer ) )
}}
COMP_WORDS=({words})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_complete milmer
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("milmer wei", ["weights"]),
        ("milmer weights ver", ["verify"]),
        ("milmer train --fus", ["--fusion"]),
        ("milmer train --fusion = c", ["cross_attention"]),
        ("milmer train --set model.fusion =", ["none", "mlp", "cross_attention"]),
        ("milmer train --set train.lr = 1 --set model.fusion = m", ["mlp"]),
        ("milmer train --set model.freeze_backbone = t", ["true"]),
        ("milmer help settings sc", ["schema"]),
        ("milmer formats pred", ["prediction", "predict-manifest"]),
        ("milmer cite --data-set MA", ["MAHNOB-HCI"]),
    ],
)
def test_bash_completes(words, expected):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    script = BASH.format(python=sys.executable, words=words)
    done = subprocess.run(
        [bash, "--norc", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == expected, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("shell", "separator"), [("complete_zsh", '"'), ("complete_fish", "\n")])
def test_other_shells_complete_values(shell, separator):
    environment = {
        "_MILMER_COMPLETE": shell,
        "_TYPER_COMPLETE_ARGS": "milmer train --set model.fusion=m",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    code = "from milmer_cli.cli.app import main; import sys; sys.argv[0] = 'milmer'; main()"
    done = run_python("-c", code, environment=environment)
    assert "model.fusion=mlp" in done.stdout.split(separator), done.stderr
