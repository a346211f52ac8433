from __future__ import annotations

import json

import pytest


def test_export_prints_paths_and_sizes_as_rows_and_as_json(milmer, untrained_run, tmp_path):
    target = tmp_path / "model.zip"
    outcome = milmer("export", untrained_run, "--to", target)
    assert outcome.code == 0, outcome.err
    assert f"{target.stat().st_size:,} bytes" in " ".join(outcome.out.split())
    outcome = milmer("export", untrained_run, "--to", target, "--json")
    document = json.loads(outcome.out)
    assert document["files"] == {str(target): target.stat().st_size}
    assert document["repository"] is None
    outcome = milmer("export", target, "--push", "somebody/emotion", "--dry-run", "--json")
    assert set(json.loads(outcome.out)["files"]) == {
        path.name for path in (untrained_run / "model").iterdir()
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Expected either --to or --push"),
        (["--to", "a", "--push", "a/b"], "Expected either --to or --push"),
        (["--to", "a", "--public"], "--public requires --push"),
        (["--to", "a", "--dry-run"], "--dry-run requires --push"),
        (["--to", "a", "--out", "b"], "--out requires --to onnx"),
        (["--to", "onnx", "--evaluation", "."], "--evaluation cannot be combined with --to onnx"),
    ],
)
def test_export_rejects_flags_that_exclude_each_other(milmer, untrained_run, arguments, message):
    outcome = milmer("export", untrained_run, *arguments)
    assert outcome.code == 2
    assert message in outcome.err


@pytest.mark.slow
def test_export_writes_onnx_files_or_a_bundle_in_a_folder_named_onnx(
    milmer, untrained_run, tmp_path, monkeypatch
):
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    outcome = milmer("export", untrained_run, "--to", "onnx", "--out", "files", "--json")
    assert outcome.code == 0, outcome.err
    names = {path.name for path in (tmp_path / "files").iterdir()}
    assert names == {"face_encoder.onnx", "classifier.onnx", "onnx.json"}
    assert json.loads(outcome.out)["onnx"] is True
    description = json.loads((tmp_path / "files" / "onnx.json").read_text())
    assert description["bundle"]["channels"]
    outcome = milmer("export", untrained_run, "--to", "./onnx")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "onnx" / "bundle.json").is_file()


@pytest.mark.parametrize(
    "command", [["export", "no/run", "--to", "x"], ["predict", "--model", "no/run"]]
)
def test_missing_model_is_refused(milmer, command):
    outcome = milmer(*command)
    assert outcome.code == 2
    assert "The model no/run does not exist" in outcome.err


def test_export_of_a_model_of_synthetic_data_warns(milmer, tmp_path):
    outcome = milmer("export", "demo", "--to", tmp_path / "model.zip")
    assert outcome.code == 0, outcome.err
    assert "Warning: This model was trained on synthetic data" in outcome.err
    assert "the output of the model has no meaning" in outcome.out
