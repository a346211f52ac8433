from __future__ import annotations

import numpy as np
import pytest

from helpers import preprocessed_eeg
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.segment import (
    count_segments,
    cut_segments,
    published_reshape,
    published_segments,
    segment_onsets,
    segment_quality,
)
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import EegSettings

DEFAULT = EegSettings()


def test_cut_segments_are_exact_slices():
    """Each value encodes electrode and sample, so any shift shows."""
    data = np.arange(32)[:, None] * 50_000.0 + np.arange(40 * 128)
    eeg = preprocessed_eeg(data, 128.0, GENEVA, {1: 3.0, 2: 10.004})
    segments = cut_segments(eeg, 1, 20.0, DEFAULT)
    assert segments.shape == (6, 32, 384)
    for s in range(6):
        np.testing.assert_array_equal(segments[s], data[:, 384 * (s + 1) : 384 * (s + 2)])
    # 10.004 s is sample 1280.5, rounded to even
    assert cut_segments(eeg, 2, 3.0, DEFAULT)[0, 0, 0] == round(10.004 * 128)


def test_cut_segments_with_overlap_start_at_segment_onsets():
    data = np.arange(40 * 128, dtype=float)[None]
    eeg = preprocessed_eeg(data, 128.0, ("Cz",), {1: 1.0})
    overlapping = EegSettings(overlap_s=2.0)
    onsets = segment_onsets(12.0, overlapping)
    np.testing.assert_array_equal(onsets, np.arange(10.0))
    segments = cut_segments(eeg, 1, 12.0, overlapping)
    np.testing.assert_array_equal(segments[:, 0, 0], 128 * (1 + onsets))


@pytest.mark.parametrize(
    ("duration_s", "segment_s", "overlap_s", "count"),
    [
        (60.0, 3.0, 0.0, 20),
        (59.98, 3.0, 0.0, 20),  # a late code 4 or an early code 5
        (60.04, 3.0, 0.0, 20),
        (59.5, 3.0, 0.0, 19),
        (2.5, 3.0, 0.0, 0),
        (0.0, 3.0, 0.0, 0),
        (6.0, 3.0, 1.5, 3),
        (0.3, 0.1, 0.0, 4),
    ],
)
def test_count_segments_tolerates_jitter_of_the_end(duration_s, segment_s, overlap_s, count):
    assert count_segments(duration_s, segment_s, overlap_s) == count
    if segment_s >= 0.5:
        settings = EegSettings(segment_s=segment_s, overlap_s=overlap_s)
        assert len(segment_onsets(duration_s, settings)) == count


def test_cut_segments_omits_segments_beyond_the_recording():
    eeg = preprocessed_eeg(np.ones((2, 10 * 128)), 128.0, ("Fz", "Cz"), {1: 2.0, 2: 9.0, 3: 50.0})
    assert len(cut_segments(eeg, 1, 60.0, DEFAULT)) == 2
    assert cut_segments(eeg, 2, 60.0, DEFAULT).shape == (0, 2, 384)
    assert cut_segments(eeg, 3, 60.0, DEFAULT).shape == (0, 2, 384)
    with pytest.raises(InputError, match="has no trial 4"):
        cut_segments(eeg, 4, 60.0, DEFAULT)


def test_cut_segments_published_layout_is_not_the_plain_cut():
    data = np.random.default_rng(0).normal(0, 10, (32, 40 * 128))
    eeg = preprocessed_eeg(data, 128.0, GENEVA, {1: 3.0})
    published = cut_segments(eeg, 1, 30.0, EegSettings(layout="published"))
    assert published.shape == (10, 32, 384)
    assert published.dtype == np.float32
    assert not np.allclose(published, cut_segments(eeg, 1, 30.0, DEFAULT), atol=5)


def test_published_reshape_equals_the_published_code_element_for_element():
    trial = np.arange(32 * 7680, dtype=float).reshape(32, 7680)
    k, j = np.ogrid[:32, :7680]
    np.testing.assert_array_equal(published_reshape(trial), 32 * j + k)


def test_published_reshape_segment_contains_two_or_three_electrodes():
    trial = np.repeat(np.arange(32.0)[:, None], 7680, axis=1)
    reshaped = published_reshape(trial)
    assert {len(np.unique(reshaped[:, 384 * s : 384 * (s + 1)])) for s in range(20)} <= {2, 3}


def test_published_segments_filter_runs_over_the_reshaped_trial():
    trial = np.random.default_rng(0).normal(0, 10, (32, 7680)) + 40
    segments = published_segments(trial, 384, 128.0, (1.0, 50.0))
    assert segments.shape == (20, 32, 384)
    assert abs(segments.mean()) < 1
    whole = published_reshape(trial)
    assert abs(whole.mean() - 40) < 1


def test_segment_quality_flags_the_segments_that_overlap_a_bad_window():
    eeg = preprocessed_eeg(
        np.ones((2, 12 * 128)) * np.arange(12 * 128), 128.0, ("Fz", "Cz"), {1: 0.5}
    )
    eeg.bad[1, 3] = True  # seconds 3 to 4; segments at 0.5, 3.5 and 6.5 s
    eeg.bad[0, 11] = eeg.interpolated_windows[0, 11] = True
    segments = cut_segments(eeg, 1, 9.0, DEFAULT)
    quality = segment_quality(eeg, 1, 9.0, DEFAULT, segments)
    assert quality.bad.tolist() == [[False, True], [False, True], [False, False]]
    assert not quality.interpolated.any()
    np.testing.assert_array_equal(quality.ptp_uv, 383.0)

    longer = EegSettings(segment_s=3.8)
    late = segment_quality(eeg, 1, 11.4, longer, cut_segments(eeg, 1, 11.4, longer))
    assert late.bad.tolist()[2] == [True, False]
    assert late.interpolated.tolist()[2] == [True, False]
