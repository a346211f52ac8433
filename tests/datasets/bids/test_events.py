from __future__ import annotations

import pytest

STEM = "sub-01/eeg/sub-01_task-film"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"onset\tduration\tonset\n1\t2\t3\n", "column onset occurs more than once"),
        (b"begin\tduration\n1\t2\n", "column onset is missing"),
        (b'onset\tduration\tlabel\n1\t5\t"joy\n9\t5\tfear\n', "quotation mark before row 3"),
        (b"\xff\xfe\x00\xd8", "is not text"),
        (b"", "has no rows"),
        (b"onset\tduration\n" + b" " * 2**23, "MiB: expected at most 8 MiB"),
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
