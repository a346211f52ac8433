from __future__ import annotations

import dataclasses

import numpy as np

from milmer_cli.reports.video_overlay import VideoOverlay


def test_video_overlay_fits_long_names_into_a_narrow_frame(prediction_of):
    result = prediction_of(n=1, n_classes=2, faces=False)
    segment = dataclasses.replace(
        result.segments[0], label="low valence", probabilities=np.array([0.7, 0.3])
    )
    result = dataclasses.replace(result, segments=(segment,))
    drawn = VideoOverlay(result, (180, 640)).draw(np.zeros((640, 180, 3), np.uint8), 1.0)
    names, begin = slice(640 + 15, None), round(0.16 * 180)  # below the headline
    assert (drawn[names, begin - 1] == 255).all()
    assert (drawn[names, begin + 1] != 255).any()
