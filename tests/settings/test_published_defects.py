"""The preset `published`, and the warnings about the defects it reproduces."""

from milmer_cli.settings import load_settings
from milmer_cli.settings.published_defects import published_defects


def test_load_settings_published_follows_the_published_code():
    settings = load_settings("published")
    assert settings.data.source == "mat"
    assert (settings.data.ties, settings.eeg.layout) == ("published", "published")
    assert (settings.eeg.eog_correction, settings.eeg.bad_channels, settings.eeg.notch_hz) == (
        "none",
        "keep",
        0,
    )
    assert settings.eeg.band_hz == (1.0, 50.0)
    assert settings.model.scorer == "published"
    assert (settings.train.warmup_ratio, settings.train.max_grad_norm, settings.train.protocol) == (
        0,
        0,
        "segment",
    )


def test_published_defects_names_the_reproduced_defects_only():
    assert published_defects(load_settings()) == []
    (defect,) = published_defects(load_settings(overrides=["data.ties=published"]))
    assert "HALV" in defect
    assert len(published_defects(load_settings("published"))) == 3
