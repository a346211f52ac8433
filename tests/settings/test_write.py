import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from milmer_cli.settings import Settings, asked_yaml, dump_yaml, fingerprint, load_settings
from milmer_cli.settings.describe import doc, json_schema, known_keys, section_doc
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


@pytest.mark.parametrize("write", [dump_yaml, asked_yaml, commented_yaml])
@pytest.mark.parametrize("overrides", [[], UNUSUAL])
def test_what_is_written_reads_back_the_same(tmp_path: Path, write, overrides):
    settings = load_settings("demo", overrides=overrides)
    file = tmp_path / "settings.yaml"
    file.write_text(write(settings), encoding="utf-8")
    assert load_settings(file=file) == settings


def test_as_asked_holds_only_what_was_asked():
    settings = load_settings(overrides=["eeg.segment_s=3", "seed=1"])
    assert asked_yaml(settings) == "seed: 1\neeg:\n  segment_s: 3.0\n"


def test_the_commented_file_explains_every_setting_and_changes_nothing(tmp_path: Path):
    text = commented_yaml(Settings())
    words = " ".join(re.sub(r"^ *##", "", text, flags=re.MULTILINE).split())
    for key in known_keys():
        assert doc(key) in words, key
    for section in {key.partition(".")[0] for key in known_keys()} - {"seed"}:
        assert section_doc(section) in words, section
    file = tmp_path / "settings.yaml"
    file.write_text(text, encoding="utf-8")
    assert load_settings(file=file) == Settings()
    assert asked_yaml(load_settings(file=file)) == "{}\n"
    # A user who takes every "# " away has written the defaults.
    uncommented = re.sub(r"^( *)# ", r"\1", text, flags=re.MULTILINE)
    file.write_text(uncommented, encoding="utf-8")
    loaded = load_settings(file=file)
    assert loaded == Settings()
    assert dump_yaml(loaded) == asked_yaml(loaded), "every setting was in the file"


def test_the_json_schema_refuses_what_the_loader_refuses():
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert all(part["additionalProperties"] is False for part in schema["$defs"].values())


def test_a_fingerprint_changes_with_the_values_and_with_nothing_else():
    first = fingerprint(EegSettings(), FacesSettings(), "auto")
    assert first == fingerprint(EegSettings(sfreq_hz=128), FacesSettings(), "auto")
    assert first != fingerprint(EegSettings(sfreq_hz=256), FacesSettings(), "auto")
    assert first != fingerprint(EegSettings(), FacesSettings(), "bdf")
    with pytest.raises(TypeError):
        fingerprint(EegSettings(), RunSettings())


def test_a_fingerprint_is_the_same_in_another_process():
    code = (
        "from milmer_cli.settings import Settings, fingerprint\n"
        "print(fingerprint(Settings().eeg, Settings().faces))"
    )
    # A hash seed of its own, which would move anything that rests on the order of a set.
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert other == fingerprint(Settings().eeg, Settings().faces)
