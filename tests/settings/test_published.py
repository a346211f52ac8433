"""The preset that puts the published number in context, and what a user is told of it."""

from milmer_cli.settings import load_settings
from milmer_cli.settings.published import published_notes


def test_the_preset_is_what_the_published_code_does():
    settings = load_settings("published")
    assert settings.data.source == "mat"
    assert (settings.data.ties, settings.eeg.layout) == ("published", "published")
    assert (settings.eeg.eog, settings.eeg.bad_channels, settings.eeg.notch_hz) == (
        "none",
        "keep",
        0,
    )
    assert settings.eeg.band_hz == (1.0, 50.0)
    assert settings.model.scorer == "published"
    assert (settings.train.warmup, settings.train.clip_norm, settings.train.protocol) == (
        0,
        0,
        "segment",
    )


def test_every_fault_in_force_is_named_and_no_other():
    assert published_notes(load_settings()) == []
    (note,) = published_notes(load_settings(overrides=["data.ties=published"]))
    assert "HALV" in note
    assert len(published_notes(load_settings("published"))) == 3
