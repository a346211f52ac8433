from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import milmer_cli
from helpers import RecordingProgress
from milmer_cli import load_model
from milmer_cli.bundle.resolve import DEMO_FILE, open_bundle
from milmer_cli.errors import InputError
from milmer_cli.stages.export import export


def test_open_bundle_accepts_a_run_its_model_a_folder_and_a_zip_file(tmp_path, untrained_run):
    export(untrained_run, tmp_path / "model")
    export(untrained_run, tmp_path / "model.zip")
    sources = (untrained_run, untrained_run / "model", tmp_path / "model", tmp_path / "model.zip")
    digests = {open_bundle(source).weights_digest for source in sources}
    digests |= {open_bundle(str(source)).weights_digest for source in sources}
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nothing", "The model .*nothing does not exist"),
        ("empty", r"is not a run folder: it has no model/bundle\.json"),
        ("old", "was written by an earlier version of Milmer"),
        ("unfinished", "The run in .*unfinished has not finished"),
        ("text.zip", "cannot be read as a zip file"),
    ],
)
def test_open_bundle_refuses_everything_else_with_the_next_step(
    tmp_path, untrained_run, source, message
):
    (tmp_path / "empty").mkdir()
    for name in ("old", "unfinished"):
        shutil.copytree(untrained_run, tmp_path / name)
    (tmp_path / "old" / "model" / "bundle.json").unlink()
    (tmp_path / "unfinished" / "unfinished.json").write_text('{"command": "milmer train x"}')
    (tmp_path / "text.zip").write_text("text")
    with pytest.raises(InputError, match=message) as caught:
        open_bundle(tmp_path / source)
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_open_bundle_of_the_demo_says_where_it_is_from_or_that_it_is_absent(monkeypatch, tmp_path):
    (tmp_path / "demo").mkdir()  # a folder of this name does not hide the model
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("milmer_cli.bundle.resolve.DEMO_FILE", "missing.zip")
    with pytest.raises(InputError, match="contains no demo model") as caught:
        open_bundle("demo")
    assert "milmer demo" in caught.value.hint


def test_demo_model_is_small_intact_and_states_that_its_data_are_synthetic():
    path = Path(milmer_cli.__file__).parent / "bundle" / DEMO_FILE
    assert path.stat().st_size < 3_000_000
    bundle = open_bundle("demo")
    bundle.verify()
    assert (bundle.name, bundle.synthetic) == ("demo", True)
    card = bundle.files.read("README.md").decode()
    assert "The training data are synthetic. The output of this model has no meaning" in card


@pytest.mark.slow
def test_demo_model_predicts_a_recording_without_meaning(tmp_path, recording_files):
    files = recording_files / "face.mp4", recording_files / "cap.edf"
    result = load_model("demo").predict(*files, out=tmp_path / "out")
    assert result.probabilities.shape == (3, 4)
    assert not result.abstained.any()
    assert "no meaning" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "source", ["", "~no-such-user/run", "a" * 5000, "a\0b"], ids=["empty", "user", "long", "null"]
)
def test_open_bundle_refuses_names_that_no_file_can_have(source):
    with pytest.raises(InputError, match=r"^The model .* does not exist") as caught:
        open_bundle(source)
    assert "Give a run folder" in caught.value.hint
    assert len(caught.value.message) < 400


def test_open_bundle_warns_if_demo_is_also_a_model_of_the_user(
    untrained_run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    progress = RecordingProgress()
    assert open_bundle("demo", progress).synthetic
    assert progress.warnings == []
    result = export(untrained_run, "demo")
    assert dict(result.summary())["use"] == "milmer predict --model ./demo"
    assert open_bundle("demo", progress).synthetic
    assert progress.warnings == [
        "demo is the model that is part of Milmer: give ./demo for the folder."
    ]
    assert not open_bundle("./demo").synthetic
    assert dict(export("./demo", "my model").summary())["use"].endswith("--model 'my model'")
