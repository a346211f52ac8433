from __future__ import annotations

import json
import shutil
import zipfile

import pytest

from helpers import edit_bundle
from milmer_cli.bundle.contents import Bundle
from milmer_cli.bundle.document import (
    FILES,
    BundleDocument,
    TrainingFacts,
    training_fingerprint,
)
from milmer_cli.bundle.write import bundle_metrics, write_bundle
from milmer_cli.errors import InputError
from milmer_cli.models import MilmerConfig, MilmerModel
from milmer_cli.settings import load_settings
from milmer_cli.stages.export import export


def test_export_can_be_repeated_and_the_zip_is_the_same(tmp_path, untrained_run):
    for name in ("model", "model.zip"):
        first = export(untrained_run, tmp_path / name)
        content = {path: (tmp_path / path).read_bytes() for path in first.files}
        assert first.files == {path: len(own) for path, own in content.items()}
        again = export(untrained_run, tmp_path / name)
        assert again.files == first.files
        assert content == {path: (tmp_path / path).read_bytes() for path in again.files}
        assert Bundle.open(tmp_path / name).weights_digest == first.weights_sha256


def test_export_of_a_folder_and_a_zip_are_the_same_bundle(tmp_path, untrained_run):
    export(untrained_run, tmp_path / "model")
    export(tmp_path / "model", tmp_path / "a.zip")
    export(tmp_path / "a.zip", tmp_path / "again")
    export(untrained_run, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    for path in (tmp_path / "model").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("folder", "is not an exported bundle: it contains thesis.md"),
        ("file", "exists and is not a folder"),
        ("file.zip", "exists and is not an exported bundle"),
        ("folder.zip", "exists and is not an exported bundle"),
        ("run/model", "is the bundle that is exported"),
        ("run", "is not an exported bundle: it contains environment.json"),
    ],
)
def test_export_replaces_nothing_but_an_export(tmp_path, untrained_run, target, message):
    run = shutil.copytree(untrained_run, tmp_path / "run")
    for name in ("folder", "folder.zip"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.md").write_text("mine")
    for name in ("file", "file.zip"):
        (tmp_path / name).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message) as caught:
        export(run, tmp_path / target)
    assert "--to" in caught.value.hint or ".zip" in caught.value.hint
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == (tmp_path / "file.zip").read_text() == "mine"


def test_export_removes_the_files_that_only_an_earlier_export_had(tmp_path, untrained_run):
    export(untrained_run, tmp_path / "model")
    (tmp_path / "model" / "sources.json").write_text("{}")
    export(untrained_run, tmp_path / "model")
    assert not (tmp_path / "model" / "sources.json").exists()
    Bundle.open(tmp_path / "model").verify()


def test_export_refuses_a_damaged_model_and_writes_nothing(tmp_path, untrained_run):
    run = shutil.copytree(untrained_run, tmp_path / "run")
    weights = run / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    for name in ("model", "model.zip"):
        with pytest.raises(InputError, match=r"damaged: model\.safetensors changed"):
            export(run, tmp_path / name)
        assert not (tmp_path / name).exists()


def test_export_states_the_verdict_of_an_evaluation(tmp_path, untrained_run):
    run = shutil.copytree(untrained_run, tmp_path / "run")
    edit_bundle(run / "model", lambda document: document["fingerprints"].update(store="abc"))
    (tmp_path / "evaluation").mkdir()
    values = {
        "verdict": "Stimuli explain it.",
        "headline": "41 %",
        "store_fingerprint": "abc",
        "settings_fingerprint": training_fingerprint(Bundle.open(run / "model").settings),
    }
    (tmp_path / "evaluation" / "metrics.json").write_text(json.dumps(values))
    for name in ("model", "model.zip"):
        export(run, tmp_path / name, evaluation=tmp_path / "evaluation")
        bundle = Bundle.open(tmp_path / name)
        assert "Stimuli explain it." in bundle.files.read("README.md").decode()
        bundle.verify()
        assert set(bundle.files.names()) <= set(FILES)
    assert "has not been computed" in (run / "model" / "README.md").read_text()


def test_export_does_not_replace_an_edited_card(tmp_path, untrained_run):
    for name in ("model", "model.zip"):
        source = tmp_path / f"{name}-source"
        export(untrained_run, source)
        card = source / "README.md"
        card.write_text(card.read_text() + "The licence is ours.")
        export(source, tmp_path / name)
        with pytest.raises(InputError, match=r"The model card in .* was edited") as caught:
            export(untrained_run, tmp_path / name)
        assert "--to" in caught.value.hint
        export(source, tmp_path / name)  # the same card
        own = Bundle.open(tmp_path / name).files.read("README.md")
        assert own.endswith(b"The licence is ours.")


def test_export_replaces_a_card_whose_verdict_differs(tmp_path, untrained_run):
    export(untrained_run, tmp_path / "model")
    card = tmp_path / "model" / "README.md"
    before = card.read_text()
    start, end = before.index("The shortcut verdict"), before.index("## Preprocessing")
    card.write_text(f"{before[:start]}Stimuli explain it.\n\n{before[end:]}")
    export(untrained_run, tmp_path / "model")
    assert card.read_text() == before


def test_export_does_not_need_a_card(tmp_path, untrained_run):
    source = shutil.copytree(untrained_run / "model", tmp_path / "source")
    (source / "README.md").unlink()
    assert not [path for path in export(source, tmp_path / "model").files if "README" in path]


def test_export_does_not_replace_a_zip_file_with_files_of_the_user(tmp_path, untrained_run):
    export(untrained_run, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("thesis.md", "mine")
    with pytest.raises(InputError, match="exists and is not an exported bundle"):
        export(untrained_run, tmp_path / "a.zip")
    assert "thesis.md" in zipfile.ZipFile(tmp_path / "a.zip").namelist()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (".", "is the working directory"),
        ("../here", "is the working directory"),
        ("model.onnx", "expected a folder, a file that ends in .zip, or onnx"),
        ("a" * 300, "File name too long"),
        ("a" * 300 + ".zip", "File name too long"),
    ],
    ids=["dot", "name", "onnx", "long folder", "long zip"],
)
def test_export_refuses_impossible_targets(tmp_path, untrained_run, monkeypatch, target, message):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match=message) as caught:
        export(untrained_run, target)
    assert "--to" in caught.value.hint
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "here"]


def test_bundle_metrics_contain_no_scores_of_participants():
    test = {"above_chance": True, "participants": {"anna": 0.4}}
    names = ("protocol", "headline", "transductive", "headline_per_modality", "calibration")
    names += ("above_chance_per_modality", "segments", "segments_per_class")
    kept = bundle_metrics({**dict.fromkeys(names, 1), "test": test, "store": "anna"})
    assert kept == {**dict.fromkeys(names, 1), "test": {"above_chance": True}}


def test_bundle_document_states_the_temperatures_of_the_model(tmp_path):
    temperatures = {"both": 1.5, "eeg": 2.0, "face": 3.0}
    model = make_small_model(temperatures)
    document = BundleDocument((), "", {}, (), load_settings(), TrainingFacts(), {})
    metrics = {"protocol": "trial", "headline": "41 %", "transductive": False, "test": None}
    names = ("headline_per_modality", "above_chance_per_modality", "calibration", "segments")
    metrics |= {name: {} for name in (*names, "segments_per_class")}
    write_bundle(tmp_path, model, document, metrics)
    written = json.loads((tmp_path / "bundle.json").read_text())
    assert written["temperatures"] == temperatures
    assert set(written["files"]) == {"config.json", "model.safetensors", "metrics.json"}


def make_small_model(temperatures):
    sizes = {"n_channels": 2, "n_samples": 64, "hidden_size": 8, "num_heads": 2, "num_layers": 1}
    config = MilmerConfig(**sizes, dim_feedforward=8, modalities="eeg", temperatures=temperatures)
    return MilmerModel(config)
