from __future__ import annotations

import pytest

from milmer_cli.metrics.resampling import GENERALIZES_TO, SAMPLED_AXES, ResamplingOptions
from milmer_cli.settings import load_settings


def test_sampled_axes_of_each_protocol():
    assert SAMPLED_AXES == {
        "segment": (),
        "trial": ("stimulus",),
        "session": ("session",),
        "participant": ("participant",),
        "stimulus": ("stimulus",),
        "participant-stimulus": ("participant", "stimulus"),
        "cross-dataset": ("participant",),
    }
    assert GENERALIZES_TO.keys() == SAMPLED_AXES.keys()


def test_resampling_options_from_settings():
    settings = load_settings(overrides=["evaluate.confidence_level=0.9", "seed=3"])
    options = ResamplingOptions.from_settings(settings, "participant-stimulus")
    assert options.axes == ("participant", "stimulus")
    assert options.percentiles == pytest.approx((5, 95))
    assert (options.seed, options.margin) == (3, settings.evaluate.equivalence_margin)
