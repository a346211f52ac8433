from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import edit_bundle, replace_bundle_file
from milmer_cli import load_model
from milmer_cli.bundle.contents import SYNTHETIC, Bundle
from milmer_cli.bundle.document import stored_settings
from milmer_cli.bundle.resolve import open_bundle
from milmer_cli.errors import InputError, WeightsError
from milmer_cli.settings import load_settings
from milmer_cli.stages.export import export


@pytest.fixture
def folder(tmp_path, untrained_run) -> Path:
    return shutil.copytree(untrained_run / "model", tmp_path / "model")


def test_copied_bundle_and_zip_give_the_probabilities_of_the_run(
    tmp_path, write_run, recording_files
):
    """Everything but the bundle is removed before it is used."""
    run = write_run(tmp_path / "work" / "run")
    eeg, video = recording_files / "cap.edf", recording_files / "face.mp4"
    expected = load_model(run).predict(video, eeg, duration_s=6.0)
    export(run, tmp_path / "empty" / "model")
    export(run, tmp_path / "empty" / "model.zip")
    shutil.rmtree(tmp_path / "work")
    for name in ("model", "model.zip"):
        moved = tmp_path / "other" / name
        moved.parent.mkdir(exist_ok=True)
        (tmp_path / "empty" / name).rename(moved)
        result = load_model(moved).predict(video, eeg, duration_s=6.0)
        np.testing.assert_allclose(result.probabilities, expected.probabilities, rtol=0, atol=1e-6)
        assert result.model.test_score == expected.model.test_score
        assert result.model.name == str(moved)
        assert result.to_json()["request"]["weights_sha256"] == expected.model.weights_sha256


@pytest.mark.parametrize(
    "name", ["bundle.json", "config.json", "model.safetensors", "metrics.json"]
)
def test_bundle_refuses_a_changed_file(folder, name):
    content = bytearray((folder / name).read_bytes())
    position = content.index(b"e") if name.endswith("json") else len(content) - 3
    content[position] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match="damaged") as caught:
        load_model(folder)
    assert name in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "metrics.json"])
def test_bundle_refuses_a_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"has no {name}"):
        load_model(folder)


def test_bundle_of_a_newer_format_is_refused_with_the_next_step(folder):
    edit_bundle(folder, lambda document: document.update(format=2, new="value"))
    with pytest.raises(InputError, match=r"bundle\.json has format 2, expected format 1"):
        load_model(folder)


@pytest.mark.parametrize("version", [0, True, "1", None, 1.0])
def test_bundle_of_an_impossible_format_is_refused(folder, version):
    edit_bundle(folder, lambda document: document.update(format=version))
    with pytest.raises(InputError, match=r"has format .*, expected format 1"):
        Bundle.open(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"{", b"\xff", b"[" * 100_000])
def test_bundle_with_a_damaged_document_is_refused(folder, content):
    (folder / "bundle.json").write_bytes(content)
    with pytest.raises(InputError, match=r"bundle\.json") as caught:
        Bundle.open(folder)
    assert "\n" not in caught.value.message


def test_bundle_without_a_digest_of_the_weights_is_refused(folder):
    edit_bundle(folder, lambda document: document["files"].pop("model.safetensors"))
    with pytest.raises(InputError, match=r"lists no model\.safetensors"):
        Bundle.open(folder)


def test_bundle_ignores_pickles_and_code(folder, tmp_path):
    """A pickle beside the weights is not read, also if the weights are missing."""

    class Harmful:
        def __reduce__(self):
            return Path.touch, (tmp_path / "executed",)

    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Harmful()))
    (folder / "modeling.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "modeling.Model"}
    replace_bundle_file(folder, "config.json", json.dumps(config).encode())
    load_model(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no model\.safetensors"):
        load_model(folder)
    assert not (tmp_path / "executed").exists()


def test_bundle_with_a_pickle_as_weights_is_refused(folder):
    path = folder / "weights.pt"
    torch.save({"classifier.weight": torch.zeros(3)}, path)
    replace_bundle_file(folder, "model.safetensors", path.read_bytes())
    with pytest.raises(WeightsError, match=r"model\.safetensors cannot be read"):
        load_model(folder)


def test_card_may_be_edited(folder):
    (folder / "README.md").write_text("My licence.")
    assert Bundle.open(folder).load_model() is not None


def test_prediction_with_a_model_of_synthetic_data_has_no_meaning(
    folder, tmp_path, recording_files
):
    edit_bundle(folder, lambda document: document.update(synthetic=True))
    result = load_model(folder).predict(eeg=recording_files / "cap.edf", out=tmp_path / "out")
    assert SYNTHETIC in result.notes
    assert "without meaning" in dict(result.summary())["recording"]
    assert json.loads((tmp_path / "out" / "timeline.json").read_text())["synthetic"] is True
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count(SYNTHETIC) == 1
    assert page.index(SYNTHETIC) < page.index("<h2>Result</h2>")
    assert "which has no meaning" in page


def test_bundle_can_be_sent_to_a_worker(untrained_run):
    bundle = open_bundle(untrained_run)
    copy = pickle.loads(pickle.dumps(bundle))
    assert copy.weights_digest == bundle.weights_digest
    assert copy.metrics() == bundle.metrics()


def test_changed_bundle_document_is_refused(folder):
    path = folder / "bundle.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "label_rule": "another rule"}))
    with pytest.raises(
        InputError, match=r"bundle\.json is damaged: it changed since it was written"
    ):
        Bundle.open(folder)


def test_stored_settings_name_no_files_and_no_participants(tmp_path):
    overrides = ["data.participants=anna", f"faces.weights_dir={tmp_path}"]
    overrides.append(f"model.backbone={tmp_path / 'swin'}")
    values = stored_settings(load_settings(overrides=overrides))
    assert values["model"]["backbone"] == "local folder"
    assert not any(name in json.dumps(values) for name in ("anna", str(tmp_path)))


def test_bundle_with_the_temperatures_of_another_model_is_refused(folder):
    edit_bundle(folder, lambda document: document["temperatures"].update(both=9.0))
    with pytest.raises(InputError, match="does not belong to the model: expected the temperatures"):
        load_model(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda document: document["classes"].reverse(), "expected the classes HAHV, LAHV"),
        (lambda document: document["settings"]["faces"].update(instances=9), "3 face images"),
        (lambda document: document["settings"]["model"].update(modalities="eeg"), "=both, got eeg"),
        (
            lambda document: document["settings"]["model"].update(eeg_alignment="euclidean"),
            r"expected model\.eeg_alignment=none, got euclidean",
        ),
    ],
    ids=["order of the classes", "instances", "modalities", "alignment"],
)
def test_bundle_with_the_document_of_another_model_is_refused(folder, edit, message):
    edit_bundle(folder, edit)
    with pytest.raises(InputError, match=f"does not belong to the model: .*{message}"):
        load_model(folder)


@pytest.mark.parametrize("name", ["../../secret.txt", "/etc/hostname", "README.md"])
def test_bundle_that_lists_other_files_is_refused(folder, name):
    edit_bundle(folder, lambda document: document["files"].update({name: "0" * 64}))
    with pytest.raises(InputError, match=r"files: expected digests of config\.json, model"):
        Bundle.open(folder)


@pytest.mark.parametrize("values", [{"n_samples": -3}, {"image_mean": "x"}], ids=str)
def test_bundle_with_an_impossible_configuration_is_refused(folder, values):
    config = json.loads((folder / "config.json").read_text()) | values
    replace_bundle_file(folder, "config.json", json.dumps(config).encode())
    with pytest.raises(WeightsError, match="cannot be created with its config") as caught:
        Bundle.open(folder).load_model()
    assert "\n" not in caught.value.message


def test_digest_of_a_bundle_is_the_stated_one_in_any_working_directory(
    folder, tmp_path, monkeypatch
):
    edit_bundle(folder, lambda document: document["settings"]["model"].update(backbone="a/b"))
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    stated = json.loads((folder / "bundle.json").read_text())["digest"]
    assert Bundle.open(folder).digest == stated


def test_file_that_changes_after_its_digest_was_computed_is_refused(folder, monkeypatch):
    """Each file is read once: its content is what was compared."""
    bundle = Bundle.open(folder)
    changed = (folder / "metrics.json").read_bytes().replace(b"41.7", b"99.9")
    digest = bundle.files.digest("metrics.json")
    (folder / "metrics.json").write_bytes(changed)
    monkeypatch.setattr(type(bundle.files), "digest", lambda *_: digest)
    with pytest.raises(WeightsError, match=r"metrics\.json changed since the training"):
        bundle.metrics()
