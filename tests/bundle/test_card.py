from __future__ import annotations

import json
import re

import pytest
import yaml

from milmer_cli.bundle.card import Evaluation, escape_markdown, model_card, read_evaluation
from milmer_cli.bundle.document import BundleDocument, TrainingFacts, training_fingerprint
from milmer_cli.errors import InputError
from milmer_cli.json_files import write_json
from milmer_cli.references import PAPER, SOFTWARE
from milmer_cli.settings import load_settings

METRICS = {
    "headline": "trial protocol: accuracy 41.7 % [33.1, 50.2], majority class 27.1 %",
    "headline_per_modality": {"eeg": "accuracy 31.3 %", "face": "accuracy 40.0 %"},
    "calibration": {"calibrated": {"error": 0.0625}},
    "test": {"above_chance": True},
}


def document(*overrides: str, **changes) -> BundleDocument:
    values = {
        "class_names": ("low | <b>", "high\n# Title"),
        "label_rule": "A rating above 5 is high.",
        "temperatures": {},
        "channels": ("Fp1", "O2"),
        "settings": load_settings(overrides=overrides),
        "training": TrainingFacts(7, 840),
        "fingerprints": {"store": "abc"},
    }
    return BundleDocument(**values | changes)


def test_card_states_use_data_results_and_citation():
    card = model_card(document(), METRICS)
    assert "not for judging people" in card
    assert "840 segments of 7 participants" in card
    assert "State the data set and its licence here" in card
    assert "majority class 27.1 %" in card
    assert "| EEG alone | accuracy 31.3 % |" in card
    assert "Expected calibration error on the test set: 6.2 %" in card
    assert "![Confidence and accuracy on the test set](calibration.png)" in card
    assert "not shown to be above chance" not in card
    assert "@article{wang2025milmer," in card
    (usage,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(usage.strip().splitlines()) == 3


def test_card_has_metadata_of_the_hub():
    header = model_card(document("model.modalities=eeg"), METRICS).split("---\n")[1]
    metadata = yaml.safe_load(header)
    assert metadata["library_name"] == "milmer"
    assert metadata["tags"] == ["emotion-recognition", "eeg", "milmer"]


def test_card_escapes_text_from_data():
    card = model_card(document(), METRICS)
    assert r"low \| \<b\>, high \# Title" in card
    assert escape_markdown("[a](b) *c* `d`\n\n<e>") == r"\[a\](b) \*c\* \`d\` \<e\>"


def test_card_states_that_the_verdict_is_not_known_or_the_verdict():
    unknown = model_card(document(), METRICS)
    assert "The shortcut verdict has not been computed" in unknown
    assert "milmer evaluate --prepared STORE" in unknown
    evaluation = Evaluation("The participant explains the accuracy.", "41 %", of_this_model=False)
    card = model_card(document(), METRICS, evaluation)
    assert "The participant explains the accuracy." in card
    assert "Of an evaluation of models trained like this one: 41 %" in card
    assert "has not been computed" not in card


def test_card_of_a_model_of_synthetic_data():
    card = model_card(document(synthetic=True), METRICS)
    assert "The output of this model has no meaning" in card
    assert "synthetic-data" in yaml.safe_load(card.split("---\n")[1])["tags"]


def test_card_without_a_test_set():
    metrics = {"headline": "no test set", "calibration": {"temperatures": {}}, "test": None}
    card = model_card(document(), metrics)
    assert "The calibration was not measured" in card
    assert "calibration.png" not in card
    assert "It is not shown to be above chance." in card


def test_read_evaluation_refuses_an_evaluation_of_another_store(tmp_path):
    values = {"verdict": "None.", "headline": "41 %", "store_fingerprint": "abc", "run": "runs/a"}
    write_json(tmp_path / "metrics.json", values)
    assert read_evaluation(tmp_path, document()) == Evaluation("None.", "41 %", True)
    write_json(tmp_path / "metrics.json", values | {"store_fingerprint": "other"})
    with pytest.raises(InputError, match=r"is of another prepared store: .* abc, got other"):
        read_evaluation(tmp_path, document())
    (tmp_path / "metrics.json").unlink()
    with pytest.raises(InputError, match=r"metrics\.json"):
        read_evaluation(tmp_path, document())


def test_read_evaluation_refuses_an_evaluation_of_another_model(tmp_path):
    values = {"verdict": "None.", "headline": "41 %", "store_fingerprint": "abc"}
    own = document("train.epochs=3", files={"model.safetensors": "12"})
    accepted = [
        {"run": "runs/a", "weights_sha256": "12"},
        {"run": None, "settings_fingerprint": training_fingerprint(own.settings)},
    ]
    for more in accepted:
        write_json(tmp_path / "metrics.json", values | more)
        assert read_evaluation(tmp_path, own).of_this_model == bool(more["run"])
    refused = [
        (
            {"run": "runs/a", "weights_sha256": "13"},
            r"of runs/a: expected the weights 12, got 13\.",
        ),
        ({"run": "runs/a"}, "is of another model, that of runs/a: .* got None"),
        ({"run": None, "settings_fingerprint": "0"}, "trained with other settings"),
        ({"run": None}, "trained with other settings"),
    ]
    for more, message in refused:
        write_json(tmp_path / "metrics.json", values | more)
        with pytest.raises(InputError, match=message) as caught:
            read_evaluation(tmp_path, own)
        assert "milmer evaluate" in caught.value.hint or "--settings" in caught.value.hint


@pytest.mark.parametrize(
    ("override", "equal"),
    [
        ("train.protocol=participant", True),
        ("run.device=cpu", True),
        ("data.target=valence", False),
        ("model.fusion=none", False),
        ("quality.min_faces=0.5", False),
        ("train.epochs=7", False),
    ],
)
def test_training_fingerprint_depends_on_what_a_model_learns(override, equal):
    own, other = (training_fingerprint(load_settings(overrides=o)) for o in ([], [override]))
    assert (own == other) == equal


def test_card_cites_what_milmer_cite_states():
    card = model_card(document(milmer="0.0.9"), METRICS)
    assert PAPER.bibtex() in card
    assert SOFTWARE.bibtex().replace(SOFTWARE.fields["version"], "0.0.9") in card


def test_training_fingerprint_of_a_bundle_is_that_of_its_training(tmp_path):
    (tmp_path / "swin").mkdir()
    overrides = (f"model.backbone={tmp_path / 'swin'}", "train.lr=3e-4", "data.conditions=[x]")
    own = document(*overrides, class_names=("low", "high"), files={})
    read = BundleDocument.from_json(json.loads(json.dumps(own.to_json())), "bundle.json")
    assert read.settings.model.backbone == "local folder"
    assert training_fingerprint(read.settings) == training_fingerprint(own.settings)
