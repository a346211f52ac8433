from pathlib import Path
from typing import get_args

import pytest

from milmer_cli.errors import InputError, SettingsError
from milmer_cli.settings import Settings, load_settings
from milmer_cli.settings.load import Preset, ask, resolve


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "my.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def mistake(*overrides: str, file: Path | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(file=file, overrides=overrides)
    return caught.value.message


def test_later_sources_win_and_the_rest_keeps_its_default(write):
    file = write("faces: {size: 64, instances: 4}\nmodel: {num_select: 2}\ntrain: {lr: 0.1}\n")
    asked = ask("demo", file, ["model.num_select=1", "train.lr=0.2"], {"--lr": ("train.lr", "0.3")})
    settings = resolve(asked)
    assert load_settings("demo").faces.size == 112
    assert settings.faces.size == 64, "file over preset"
    assert settings.model.num_select == 1, "--set over file"
    assert settings.train.lr == 0.3, "flag over --set"
    assert settings.faces.widen == Settings().faces.widen
    assert asked["train.lr"].origin == "--lr"
    assert asked["faces.size"].origin == str(file)
    assert asked["model.backbone"].origin == "preset demo"


def test_every_preset_is_offered_and_loads():
    folder = Path(__file__).parents[2] / "milmer_cli" / "settings" / "presets"
    assert {path.stem for path in folder.glob("*.yaml")} == set(get_args(Preset))
    for preset in get_args(Preset):
        load_settings(preset)
    assert load_settings("default") == Settings()


@pytest.mark.parametrize("text", ["", "# nothing\n", "eeg:\n  # segment_s: 2\n", "---\n"])
def test_a_file_that_sets_nothing_gives_the_defaults(write, text):
    assert load_settings(file=write(text)) == Settings()


def test_words_of_yaml_mean_what_they_say(write):
    file = write(
        "seed: 010\n"
        "train: {lr: 1e-4}\n"
        "model: {backbone: on, freeze_backbone: yes}\n"
        "data: {participants: 12}\n"
        "eeg: {band_hz: [1e0, 40]}\n"
    )
    settings = load_settings(file=file)
    assert settings.train.lr == 1e-4, "YAML 1.1 reads 1e-4 as text"
    assert settings.seed == 10, "YAML 1.1 reads 010 as 8"
    assert settings.model.backbone == "on", "YAML 1.1 reads on as true"
    assert settings.model.freeze_backbone is True
    assert settings.data.participants == "12"
    assert settings.eeg.band_hz == (1.0, 40.0)
    off = load_settings(overrides=["model.freeze_backbone=off", "data.participants="])
    assert off.model.freeze_backbone is False
    assert off.data.participants == ""


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.fusionn=mlp", "Unknown setting model.fusionn (--set): did you mean model.fusion?"),
        ("segment_s=2", "Unknown setting segment_s (--set): did you mean eeg.segment_s?"),
        ("faces.segment_s=2", "did you mean eeg.segment_s?"),
        ("zzz=2", "Unknown setting zzz (--set)."),
        ("eeg=2", "eeg is a section"),
        (
            "eeg.segment_s=99",
            "eeg.segment_s must be a number at least 0.5 and at most 60; got '99'",
        ),
        ("seed=1.5", "seed must be a whole number at least 0; got '1.5'"),
        ("seed=true", "seed must be a whole number at least 0; got 'true'"),
        ("data.source=edf", "data.source must be one of auto, bdf, dat, mat; got 'edf'"),
        ("model.freeze_backbone=maybe", "model.freeze_backbone must be true or false; got 'maybe'"),
        ("eeg.band_hz=3", "eeg.band_hz must be a list of 2, each a number; got '3'"),
        ("eeg.band_hz=[1, x]", "eeg.band_hz must be a list of 2, each a number; got ['1', 'x']"),
        ("eeg.band_hz=[3, 70]", "eeg: band_hz must satisfy 0 < low < high < sfreq_hz / 2 = 64"),
        ("train.lr=nan", "train.lr must be a number above 0; got 'nan'"),
        ("train.lr=~", "train.lr must be a number above 0; got nothing"),
        ("segment_s", "--set segment_s is not an assignment"),
        ("seed=[1", "--set seed=[1, line 1 is not valid YAML"),
        ("seed=!!python/name:os.system", "could not determine a constructor"),
    ],
)
def test_a_mistake_is_one_sentence(override, expected):
    message = mistake(override)
    assert expected in message
    assert "\n" not in message


def test_all_mistakes_are_told_at_once():
    lines = mistake("seed=x", "data.source=edf", "eeg.segmnt_s=2").splitlines()
    assert len(lines) == 3
    assert {line.split()[0] for line in lines} == {"Unknown", "seed", "data.source"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eeg:\n  segment_s: 2\n  segment_s: 3\n", "line 3 is not valid YAML: 'segment_s' stands"),
        ("eeg: {segment_s: 2}\neeg: {notch_hz: 0}\n", "'eeg' stands there twice"),
        ("eeg: {segment_s: 2}\neeg.segment_s: 3\n", "gives eeg.segment_s twice"),
        ("- 1\n", "must be a mapping of sections"),
        ("eeg: [1\n", "line 2 is not valid YAML"),
        ("seed: 1\n---\nseed: 2\n", "is not valid YAML"),
        ("? [a]\n: 1\n", "a key must be a word"),
        ("eeg:\n\tsegment_s: 2\n", "line 2 is not valid YAML"),
    ],
)
def test_a_broken_file_is_one_sentence_naming_it(write, text, expected):
    message = mistake(file=write(text))
    assert expected in message
    assert "my.yaml" in message
    assert "\n" not in message


def test_a_file_that_cannot_be_read_says_so(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml cannot be read: no such file"):
        load_settings(file=tmp_path / "nowhere.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(file=binary)
