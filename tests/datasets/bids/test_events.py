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


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"onset\tduration\tonset\n1\t2\t3\n", "column onset occurs more than once"),
        (b"begin\tduration\n1\t2\n", "column onset is missing"),
        (b'onset\tduration\tlabel\n1\t5\t"joy\n9\t5\tfear\n', "quotation mark before row 3"),
        (b"\xff\xfe\x00\xd8", "is not text"),
        (b"", "has no rows"),
        (b"onset\tduration\n" + b" " * 2**25, "MiB: expected at most 32 MiB"),
    ],
)
def test_read_events_names_a_table_that_cannot_be_read(bids, content, reason):
    bids.recording("sub-02/eeg/sub-02_task-film", "1\t5\tjoy", header="onset\tduration\tlabel")
    bids.eeg(f"{STEM}_eeg.edf")
    (bids.root / f"{STEM}_events.tsv").write_bytes(content)
    listing = bids.list()
    assert [row["participant"] for row in listing.rows] == ["sub-02"]
    (missing,) = (m for m in listing.missing if m.what == "sub-01_task-film_eeg.edf")
    assert reason in missing.why
    assert "\n" not in missing.why


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252"])
def test_read_events_reads_any_encoding_line_end_and_quotes(bids, encoding):
    bids.eeg(f"{STEM}_eeg.edf")
    text = 'onset\tduration\tlabel\r\n"1,5"\t5\t"fröh\tlich"\r\n'
    (bids.root / f"{STEM}_events.tsv").write_bytes(text.encode(encoding))
    (row,) = bids.list().rows
    assert (row["eeg_onset_s"], row["label"]) == (1.5, "fröh\tlich")


def test_read_events_inherits_the_table_of_the_data_set(bids):
    bids.eeg(f"{STEM}_eeg.edf")
    bids.eeg("sub-02/eeg/sub-02_task-film_eeg.edf")
    bids.write("task-film_events.tsv", "onset\tduration\tlabel", "4\t5\tjoy")
    bids.write("sub-02/eeg/sub-02_task-film_events.tsv", "onset\tduration\tlabel", "7\t5\tfear")
    rows = bids.list().rows
    assert [(row["eeg_onset_s"], row["label"]) for row in rows] == [(4.0, "joy"), (7.0, "fear")]
