from __future__ import annotations

import pytest

from milmer_cli.errors import InputError

STEM = "sub-01/eeg/sub-01_task-film"


def _rows(bids, *events, header, **settings):
    bids.recording(STEM, *events, header=header)
    return bids.list(**settings).rows


def test_find_rule_uses_the_only_type_with_long_events(bids):
    header = "onset\tduration\ttrial_type\tvalence"
    events = ["1\t0\tbutton\tn/a", "2\t9\tBAD_noise\tn/a", "3\t20\tclip\t4", "25\t9\tclip\t5"]
    rows = _rows(bids, *events, header=header)
    assert [(row["eeg_onset_s"], row["valence"]) for row in rows] == [(3.0, 4.0), (25.0, 5.0)]


def test_find_rule_lists_the_types_if_several_can_be_trials(bids):
    events = ("1\t5\tjoy", "10\t5\tfear", "20\t5\tfear", "30\t0\tbutton")
    with pytest.raises(InputError) as error:
        _rows(bids, *events, header="onset\tduration\ttrial_type")
    assert "fear (2, of which 2 last 1 s or longer); joy (1" in error.value.message
    assert "--trial-type" in error.value.hint
    rows = bids.list(trial_type="joy, fear").rows
    assert [row["label"] for row in rows] == ["joy", "fear", "fear"]
    with pytest.raises(InputError, match="has the trial type anger"):
        bids.list(trial_type="joy,anger")


def test_find_rule_takes_several_types_with_ratings_as_conditions(bids):
    header = "onset\tduration\ttrial_type\tvalence\tarousal"
    events = ["1\t5\tListening\t2\t3", "10\t5\tSpeaking\t7\t8"]
    rows = _rows(bids, *events, header=header, trial_type="Listening,Speaking")
    assert [(row["condition"], row["label"]) for row in rows] == [
        ("Listening", ""),
        ("Speaking", ""),
    ]


def test_find_rule_uses_the_column_value_without_trial_type(bids):
    header = "onset\tduration\tvalue\tvalence"
    rows = _rows(bids, "1\t5\t12\t3", "9\t5\t13\t3", header=header, trial_type="13")
    assert [row["eeg_onset_s"] for row in rows] == [9.0]


def test_find_rule_uses_the_stated_label_column(bids):
    header = "onset\tduration\ttrial_type\tEmotion"
    events = ["1\t5\tclip\tjoy", "9\t5\tclip\tn/a"]
    with pytest.raises(InputError, match="a label: its columns are onset, duration"):
        _rows(bids, *events, header=header)
    listing = bids.list(label_column="Emotion")
    assert [row["label"] for row in listing.rows] == ["joy", ""]
    assert any("without a label" in text for text in listing.findings)
    with pytest.raises(InputError, match="has the column feeling"):
        bids.list(label_column="feeling")
