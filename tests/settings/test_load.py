import os
from pathlib import Path
from typing import get_args

import pytest

from milmer_cli.errors import InputError, SettingsError
from milmer_cli.settings import Settings, load_settings
from milmer_cli.settings.docs import property_schemas
from milmer_cli.settings.load import RENAMED, Preset, collect, validate


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "my.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def error_message(*overrides: str, file: Path | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(file=file, overrides=overrides)
    return caught.value.message


def test_collect_gives_precedence_to_later_sources(write):
    file = write(
        "faces: {image_size: 64, instances: 4}\nmodel: {num_select: 2}\ntrain: {lr: 0.1}\n"
    )
    given = collect(
        "demo", file, ["model.num_select=1", "train.lr=0.2"], {"--lr": ("train.lr", "0.3")}
    )
    settings = validate(given)
    assert load_settings("demo").faces.image_size == 112
    assert settings.faces.image_size == 64, "file over preset"
    assert settings.model.num_select == 1, "--set over file"
    assert settings.train.lr == 0.3, "flag over --set"
    assert settings.faces.margin == Settings().faces.margin
    assert given["train.lr"].origin == "--lr"
    assert given["faces.image_size"].origin == str(file)
    assert given["model.backbone"].origin == "preset demo"


def test_load_settings_accepts_every_preset_file():
    folder = Path(__file__).parents[2] / "milmer_cli" / "settings" / "presets"
    assert {path.stem for path in folder.glob("*.yaml")} == set(get_args(Preset))
    for preset in get_args(Preset):
        load_settings(preset)
    assert load_settings("default") == Settings()


@pytest.mark.parametrize("text", ["", "# nothing\n", "eeg:\n  # segment_s: 2\n", "---\n"])
def test_load_settings_from_an_empty_file_gives_the_defaults(write, text):
    assert load_settings(file=write(text)) == Settings()


def test_load_settings_avoids_the_traps_of_yaml_1_1(write):
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
            "eeg.segment_s: expected a number >= 0.5 and <= 60, got '99' (--set).",
        ),
        ("seed=1.5", "seed: expected an integer >= 0 and <= 2147483647, got '1.5'"),
        ("seed=true", "seed: expected an integer >= 0 and <= 2147483647, got 'true'"),
        ("data.source=edf", "data.source: expected one of auto, bdf, dat, mat, got 'edf'"),
        (
            "model.freeze_backbone=maybe",
            "model.freeze_backbone: expected true or false, got 'maybe'",
        ),
        ("eeg.band_hz=3", "eeg.band_hz: expected a list of 2, each a number, got '3'"),
        ("eeg.band_hz=[1, x]", "eeg.band_hz: expected a list of 2, each a number, got ['1', 'x']"),
        ("eeg.band_hz=[3, 70]", "eeg: band_hz must satisfy 0 < low < high < sfreq_hz / 2 = 64"),
        ("train.lr=nan", "train.lr: expected a number > 0 and <= 100, got 'nan'"),
        ("train.lr=~", "train.lr: expected a number > 0 and <= 100, got null"),
        ("segment_s", "--set: expected section.key=value, got 'segment_s'"),
        ("seed=[1", "--set seed=[1, line 1 is not valid YAML"),
        ("seed=!!python/name:os.system", "could not determine a constructor"),
    ],
)
def test_load_settings_explains_an_invalid_value_in_one_line(override, expected):
    message = error_message(override)
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize("old", RENAMED)
def test_load_settings_names_the_new_key_of_a_renamed_setting(old):
    assert f"Unknown setting {old} (--set): it is now {RENAMED[old]}." in error_message(f"{old}=1")
    assert RENAMED[old] in property_schemas()
    assert old not in property_schemas()


def test_load_settings_reports_all_errors_together():
    lines = error_message("seed=x", "data.source=edf", "eeg.segmnt_s=2").splitlines()
    assert len(lines) == 3
    assert {line.split()[0] for line in lines} == {"Unknown", "seed:", "data.source:"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "eeg:\n  segment_s: 2\n  segment_s: 3\n",
            "line 3 is not valid YAML: duplicate key 'segment_s'",
        ),
        ("eeg: {segment_s: 2}\neeg: {notch_hz: 0}\n", "duplicate key 'eeg'"),
        ("eeg: {segment_s: 2}\neeg.segment_s: 3\n", "contains eeg.segment_s twice"),
        ("- 1\n", "expected a mapping of sections"),
        ("eeg: [1\n", "line 2 is not valid YAML"),
        ("seed: 1\n---\nseed: 2\n", "is not valid YAML"),
        ("? [a]\n: 1\n", "a key must be a scalar"),
        ("~: 1\n", "Unknown setting None"),
        (
            "seed: &a 1\ntrain: {epochs: *a}\n",
            "line 2 is not valid YAML: aliases are not supported",
        ),
        (f"seed: {'[' * 21}{']' * 21}\n", "expected at most 20 levels"),
        (f"seed: {'[' * 100_000}", "expected at most 20 levels"),
        ("seed: !!timestamp 2020-99-99\n", "an explicit tag with an invalid value"),
        ("seed: !!int x\n", "an explicit tag with an invalid value"),
        (f"seed: {'9' * 100_000}\n", "seed: expected an integer"),
        (f"{'x' * 1000}: 1\n", "Unknown setting xxx"),
        ("#" * 2**20 + "\n", "has 1048577 bytes, expected at most 1048576"),
        ("eeg:\n\tsegment_s: 2\n", "line 2 is not valid YAML"),
    ],
)
def test_load_settings_names_an_invalid_file_and_its_line(write, text, expected):
    message = error_message(file=write(text))
    assert expected in message
    assert "my.yaml" in message
    assert "\n" not in message
    assert len(message) < 500


def test_load_settings_names_an_unreadable_file(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml cannot be read: no such file"):
        load_settings(file=tmp_path / "nowhere.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(file=binary)


def test_load_settings_rejects_ten_levels_of_aliases(write):
    levels = ["a0: &a0 [1, 1]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 11)]
    assert "aliases are not supported" in error_message(file=write("\n".join(levels) + "\n"))


def test_load_settings_lists_a_limited_number_of_problems(write):
    message = error_message(file=write("".join(f"x{i}: 1\n" for i in range(5000))))
    assert message.endswith(" and 4980 more")
    assert len(message.splitlines()) == 20


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_load_settings_never_waits_for_a_pipe(tmp_path):
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="expected a regular file"):
        load_settings(file=pipe)


def numbers() -> list[str]:
    """Keys of all settings that are numbers, except fractions of a fixed band."""
    return [
        key
        for key, schema in property_schemas().items()
        if {"integer", "number"}
        & {schema.get("type"), *(o.get("type") for o in schema.get("anyOf", ()))}
    ]


@pytest.mark.parametrize("key", numbers())
@pytest.mark.parametrize("value", ["1e20", "100000000000000000000", "4294967296", "-2"])
def test_load_settings_bounds_every_number(key, value):
    assert f"{key}: expected a" in error_message(f"{key}={value}")


def test_load_settings_refuses_code_in_a_file_but_not_on_the_command_line(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("evaluate:\n  baselines: quick,os:system\n")
    with pytest.raises(SettingsError, match="os:system would run code, which a settings file must"):
        load_settings(file=file)
    file.write_text("evaluate.baselines: 'quick, os:system'\n")
    with pytest.raises(SettingsError, match=r"--baselines os:system\."):
        load_settings(file=file)
    file.write_text("evaluate:\n  baselines: quick,braindecode:EEGNet,face:folder\n")
    assert load_settings(file=file).evaluate.baselines == "quick,braindecode:EEGNet,face:folder"
    own = load_settings(file=file, overrides=["evaluate.baselines=own.module:Net"])
    assert own.evaluate.baselines == "own.module:Net"
