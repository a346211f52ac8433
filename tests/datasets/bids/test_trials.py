from __future__ import annotations

import pytest

STEM = "sub-01/eeg/sub-01_task-film"


def test_read_trials_takes_ratings_with_their_scale(bids):
    header = "onset\tduration\tvalence\tarousal\tarousal_range\tliking"
    bids.write("task-film_events.json", '{"valence": {"Minimum": 0, "Maximum": 100}}')
    events = ["1\t5\t50\t-1\t-3-3\t5", "9\t5\t101\tlow\t1-5\t10"]
    bids.recording(STEM, *events, header=header)
    listing = bids.list()
    first, second = listing.rows
    assert (first["valence"], first["valence_range"]) == (50.0, "0-100")
    assert (first["arousal"], first["arousal_range"], first["liking"]) == (-1.0, "-3-3", 5.0)
    assert not {"valence", "arousal", "liking"} & {k for k, v in second.items() if v != ""}
    text = "\n".join(listing.findings)
    assert "arousal: expected a number, got 'low'" in text
    assert "Values of liking outside of the scale 1-9" in text


@pytest.mark.parametrize("column", ["stim_id", "stim_file", "stimulus"])
def test_read_trials_takes_the_stimulus(bids, column):
    header = f"onset\tduration\tlabel\t{column}"
    bids.recording(STEM, "1\t5\tjoy\tclips/joy 3.mp4", "9\t5\tfear\tn/a", header=header)
    listing = bids.list()
    assert [row["stimulus"] for row in listing.rows] == ["clips/joy 3.mp4", "sub-01_trial-2"]
    assert any("have a stimulus of their own (sub-01_trial-2)" in f for f in listing.findings)
