from __future__ import annotations

import pytest

from milmer_cli.datasets.open_recordings import open_listing
from milmer_cli.settings.schema import DataSettings

STEM = "sub-01/eeg/sub-01_task-film"
TWO = ("5\t2\tfilm\t7\t3", "20\t2\tfilm\t2\t8")


def _scans(bids, eeg, *videos, folder="sub-01"):
    times = [("eeg/sub-01_task-film_eeg.edf", eeg), *videos]
    bids.write(f"{folder}/sub-01_scans.tsv", "filename\tacq_time", *(f"{f}\t{t}" for f, t in times))


def _videos(bids):
    rows = bids.list().rows
    return [(row["video"].name, row["video_onset_s"]) if "video" in row else None for row in rows]


def _text(bids):
    listing = bids.list()
    return "\n".join([*listing.findings, *(f"{m.what}: {m.why} {m.fix}" for m in listing.missing)])


@pytest.mark.parametrize("folder", ["beh", "video"])
def test_align_videos_by_acq_time(bids, folder):
    bids.recording(STEM, *TWO)
    bids.video(f"sub-01/{folder}/sub-01_task-film_video.mp4", 8)
    name = f"{folder}/sub-01_task-film_video.mp4"
    # the video starts 1.75 s after the EEG, and ends before the second trial
    _scans(bids, "2020-01-01T23:59:59.5", (name, "2020-01-02T00:00:01.250000"))
    assert _videos(bids) == [("sub-01_task-film_video.mp4", 3.25), None]
    (span,) = [t.video for t in open_listing(bids.list(), DataSettings()).trials("sub-01")][:1]
    assert (span.path.name, span.onset_s) == ("sub-01_task-film_video.mp4", 3.25)
    assert "whole seconds" not in _text(bids)
    assert "no video of the recording shows the trial (sub-01_task-film_events.tsv row 3)" in _text(
        bids
    )


def test_align_videos_uses_the_video_that_shows_the_trial(bids):
    bids.recording(STEM, *TWO)
    for name in ("acq-a", "acq-b"):
        bids.video(f"sub-01/beh/sub-01_task-film_{name}_video.mp4")
    _scans(
        bids,
        "2020-01-01T10:00:00.0",
        ("beh/sub-01_task-film_acq-a_video.mp4", "2020-01-01T10:00:19.5"),
        ("beh/sub-01_task-film_acq-b_video.mp4", "2020-01-01T10:00:04.0"),
    )
    assert _videos(bids) == [
        ("sub-01_task-film_acq-b_video.mp4", 1.0),
        ("sub-01_task-film_acq-a_video.mp4", 0.5),
    ]


def test_align_videos_uses_one_camera_and_only_the_own_run(bids):
    bids.recording(STEM, *TWO)
    names = ["recording-body", "recording-myface", "run-9_recording-aface"]
    for name in (f"sub-01_task-film_{name}_video.mp4" for name in names[:2]):
        bids.video(f"sub-01/beh/{name}", 30)
    bids.video("sub-01/beh/sub-01_task-other_recording-face_video.mp4", 30)
    start = "2020-01-01T10:00:00.0"
    files = sorted((bids.root / "sub-01/beh").iterdir())
    _scans(bids, start, *((f"beh/{file.name}", start) for file in files))
    assert _videos(bids) == [
        ("sub-01_task-film_recording-myface_video.mp4", 5.0),
        ("sub-01_task-film_recording-myface_video.mp4", 20.0),
    ]
    assert "are used, and not those recording-body" in _text(bids)


@pytest.mark.parametrize(
    ("eeg", "video", "words"),
    [
        ("n/a", "2020-01-01T10:00:00.0", "State the acq_time of sub-01_task-film_eeg.edf in"),
        ("2020-01-01T10:00:00.0", "2020-01-01", "State the acq_time of sub-01_task-film_video.mp4"),
        ("2020-01-01T10:00:00.0", "today", "is unknown, so the video is left out"),
        ("2020-01-01T10:00:00.0", "2020-01-01T10:00:00.0Z", "only one of them has a time zone"),
    ],
)
def test_align_videos_leaves_out_a_video_whose_start_is_unknown(bids, eeg, video, words):
    bids.recording(STEM, *TWO)
    bids.video("sub-01/beh/sub-01_task-film_video.mp4", 30)
    _scans(bids, eeg, ("beh/sub-01_task-film_video.mp4", video))
    assert _videos(bids) == [None, None]
    assert words in _text(bids)


def test_align_videos_reports_whole_seconds_and_damaged_videos(bids):
    bids.recording(STEM, *TWO)
    bids.write("sub-01/beh/sub-01_task-film_video.mp4", "damaged")
    start = "2020-01-01T10:00:00"
    _scans(bids, start, ("beh/sub-01_task-film_video.mp4", start))
    assert _videos(bids) == [None, None]
    assert "whole seconds" in _text(bids)
    assert "sub-01_task-film_video.mp4: " in _text(bids)


def test_video_of_trial_takes_the_video_that_events_name(bids, tmp_path):
    header = "onset\tduration\tlabel\tvideo\tvideo_onset"
    events = ["5\t2\tjoy\tfaces/a.mp4\t0.5", "20\t2\tfear\t../beh/b.mp4\tn/a"]
    events += ["30\t2\tfear\t../../../c.mp4\t1", "35\t2\tfear\tstimuli/d.mp4\t0"]
    bids.recording(STEM, *events, header=header)
    for name in ("faces/a.mp4", "sub-01/beh/b.mp4", "../c.mp4", "stimuli/d.mp4"):
        bids.video(name)
    assert (tmp_path / "c.mp4").exists()
    assert _videos(bids) == [("a.mp4", 0.5), None, None, None]
    text = _text(bids)
    assert "names no file of a participant in the data set (../../../c.mp4, stimuli/d.mp4)" in text
    assert "Without its video_onset, a video is left out (b.mp4)" in text


def test_video_of_trial_without_video_onset_needs_one_video_per_trial(bids):
    header = "onset\tduration\tlabel\tvideo"
    events = ["5\t2\tjoy\ta.mp4", "20\t2\tfear\tb.mp4", "30\t2\tfear\tb.mp4"]
    bids.recording(STEM, *events, header=header)
    bids.video("a.mp4")
    bids.video("b.mp4")
    assert _videos(bids) == [("a.mp4", 0.0), None, None]
    assert "each video is taken to start with its trial (a.mp4)" in _text(bids)


def test_videos_without_eeg_are_listed_with_their_own_events(bids):
    bids.recording(STEM, *TWO)
    for camera in ("body", "face"):
        bids.video(f"sub-02/beh/sub-02_task-film_recording-{camera}_video.mp4", 30)
    bids.video("sub-01/beh/sub-01_task-talk_video.mp4", 30)
    header = "onset\tduration\ttrial_type\tvalence\tarousal"
    bids.write("sub-02/beh/sub-02_task-film_events.tsv", header, *TWO)
    listing = bids.list()
    rows = [row for row in listing.rows if row["participant"] == "sub-02"]
    assert [(row["video"].stem[-10:], row["video_onset_s"], row["trial"]) for row in rows] == [
        ("face_video", 5.0, 1),
        ("face_video", 20.0, 2),
    ]
    assert not {"eeg", "eeg_onset_s"} & set(rows[0])
    assert "sub-01_task-talk_video.mp4: It belongs to no EEG recording" in _text(bids)
    (trial, _) = open_listing(listing, DataSettings()).trials("sub-02")
    assert (trial.has_eeg, trial.duration_s, trial.ratings[0]) == (False, 2.0, 7.0)
