from __future__ import annotations

import numpy as np

from milmer_cli.recordings.published import published_layout, published_segments


def test_the_scramble_is_element_for_element_that_of_the_published_code():
    trial = np.arange(32 * 7680, dtype=float).reshape(32, 7680)
    segments = published_layout(trial)
    assert segments.shape == (20, 32, 384)
    s, k, j = np.ogrid[:20, :32, :384]
    np.testing.assert_array_equal(segments, s * 12288 + 32 * j + k)


def test_a_segment_of_it_is_two_or_three_electrodes():
    trial = np.repeat(np.arange(32.0)[:, None], 7680, axis=1)
    assert {len(np.unique(segment)) for segment in published_layout(trial)} <= {2, 3}


def test_its_filter_runs_over_the_scrambled_trial():
    trial = np.random.default_rng(0).normal(0, 10, (32, 7680)) + 40
    segments = published_segments(trial, 384, 128.0, (1.0, 50.0))
    assert segments.shape == (20, 32, 384)
    assert abs(segments.mean()) < 1
    assert abs(published_layout(trial).mean() - 40) < 1
