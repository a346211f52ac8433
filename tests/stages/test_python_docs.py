"""The examples of docs/python.md run."""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
PANDAS = ("to_dataframe", "metadata")
SETTINGS = """
data: {target: valence}
eeg: {segment_s: 2}
faces: {instances: 2, image_size: 64}
model: {backbone: "scratch:micro", dim_feedforward: 32, num_layers: 1, num_select: 2}
train: {batch_size: 8}
run: {workers: 1, device: cpu, report_to: none}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch, deap, prepared):
    shutil.copytree(deap, tmp_path / "DEAP", copy_function=shutil.copy2)
    shutil.copytree(prepared, tmp_path / "prepared")
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(examples):
    for example in examples:
        exec(compile(example, PAGE.name, "exec"), {})


@pytest.mark.slow
def test_examples_from_recordings_to_batches_run_in_order(folder):
    run([example for example in EXAMPLES if not any(word in example for word in PANDAS)])
    assert (folder / "runs" / "first" / "metrics.json").is_file()


def test_examples_with_pandas_run(folder):
    pytest.importorskip("pandas")
    examples = [example for example in EXAMPLES if any(word in example for word in PANDAS)]
    assert len(examples) == len(PANDAS)
    run(examples)


CALLS = re.findall(r"`(\w+)\.(\w+)\(([\w, ]+)(?:, \w+=\w+)?\)`", PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("module", "name", "arguments"), CALLS, ids=lambda value: value)
def test_documented_calls_have_the_order_of_the_parameters(module, name, arguments):
    function = getattr(importlib.import_module(f"milmer_cli.stages.{module}"), name)
    parameters = list(inspect.signature(function).parameters)
    given = arguments.split(", ")
    assert len(given) <= len(parameters)
    known = [argument for argument in given if argument in parameters]
    assert known == [parameters[given.index(argument)] for argument in known]
