import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from milmer_cli.settings import Settings, dump_yaml, fingerprint, load_settings
from milmer_cli.settings.docs import json_schema, property_schemas, section_doc, setting_doc
from milmer_cli.settings.schema import EegSettings, FacesSettings, RunSettings
from milmer_cli.settings.write import commented_yaml

UNUSUAL = [
    "seed=7",
    "data.participants=010",
    "eeg.band_hz=[0.1, 30]",
    "model.backbone='on'",
    "train.lr=1e-7",
    "model.freeze_backbone=true",
]


def explicit_yaml(settings: Settings) -> str:
    return dump_yaml(settings, exclude_unset=True)


@pytest.mark.parametrize("write", [dump_yaml, explicit_yaml, commented_yaml])
@pytest.mark.parametrize("overrides", [[], UNUSUAL])
def test_yaml_round_trip_gives_the_same_settings(tmp_path: Path, write, overrides):
    settings = load_settings("demo", overrides=overrides)
    file = tmp_path / "settings.yaml"
    file.write_text(write(settings), encoding="utf-8")
    assert load_settings(file=file) == settings


def test_dump_yaml_exclude_unset_contains_only_explicit_settings():
    settings = load_settings(overrides=["eeg.segment_s=3", "seed=1"])
    assert explicit_yaml(settings) == "seed: 1\neeg:\n  segment_s: 3.0\n"


def test_commented_yaml_documents_every_setting_and_changes_nothing(tmp_path: Path):
    text = commented_yaml(Settings())
    words = " ".join(re.sub(r"^ *##", "", text, flags=re.MULTILINE).split())
    for key in property_schemas():
        assert setting_doc(key) in words, key
    for section in {key.partition(".")[0] for key in property_schemas()} - {"seed"}:
        assert section_doc(section) in words, section
    file = tmp_path / "settings.yaml"
    file.write_text(text, encoding="utf-8")
    assert load_settings(file=file) == Settings()
    assert explicit_yaml(load_settings(file=file)) == "{}\n"
    # Removing every "# " gives a file with all defaults.
    uncommented = re.sub(r"^( *)# ", r"\1", text, flags=re.MULTILINE)
    file.write_text(uncommented, encoding="utf-8")
    loaded = load_settings(file=file)
    assert loaded == Settings()
    assert dump_yaml(loaded) == explicit_yaml(loaded), "the file contains every setting"


def test_json_schema_rejects_unknown_keys():
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert all(part["additionalProperties"] is False for part in schema["$defs"].values())


def test_fingerprint_depends_on_the_values_only():
    first = fingerprint(EegSettings(), FacesSettings(), "auto")
    assert first == fingerprint(EegSettings(sfreq_hz=128), FacesSettings(), "auto")
    assert first != fingerprint(EegSettings(sfreq_hz=256), FacesSettings(), "auto")
    assert first != fingerprint(EegSettings(), FacesSettings(), "bdf")
    with pytest.raises(TypeError):
        fingerprint(EegSettings(), RunSettings())


def test_fingerprint_is_the_same_in_another_process():
    code = (
        "from milmer_cli.settings import Settings, fingerprint\n"
        "print(fingerprint(Settings().eeg, Settings().faces))"
    )
    # Another hash seed would change anything that depends on the order of a set.
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert other == fingerprint(Settings().eeg, Settings().faces)
