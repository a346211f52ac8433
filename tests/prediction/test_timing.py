from __future__ import annotations

import datetime

import mne
import numpy as np
import pytest

from helpers import RecordingProgress
from milmer_cli.eeg.channels import DEAP_EOG, GENEVA
from milmer_cli.errors import InputError
from milmer_cli.prediction.messages import Messages
from milmer_cli.prediction.recording import open_block
from milmer_cli.prediction.request import Request
from milmer_cli.prediction.timing import locate_stimulus

NOON = datetime.datetime(2024, 5, 1, 12, 0, 0)


def locate(video, eeg, **fields):
    """The timing of a request, its notes and its warnings."""
    request = Request(video=video, eeg=eeg, **fields)
    request.validate()
    progress = RecordingProgress()
    block = None if eeg is None else open_block(eeg)
    timing = locate_stimulus(request, block, 3.0, Messages(progress))
    notes = [message for level, message in progress.notes if level == "info"]
    return timing, notes, progress.warnings


@pytest.fixture(scope="module")
def video(made_once, write_video):
    """Six seconds that start four seconds after noon UTC."""
    start = "2024-05-01T12:00:04.000000Z"
    return made_once("timed-video.mp4", lambda path: write_video(path, 6.0, start=start))


@pytest.fixture
def write_fif(tmp_path):
    """``write_fif(start)``: twelve seconds from a start time in UTC."""

    def write(start: datetime.datetime | None, crop_s: float = 0.0):
        info = mne.create_info(["Fp1", "Fp2"], 128.0, "eeg")
        raw = mne.io.RawArray(np.zeros((2, 12 * 128)), info, verbose="error")
        raw.set_meas_date(start)
        path = tmp_path / "x_raw.fif"
        raw.crop(crop_s).save(path, verbose="error")
        return path

    return write


@pytest.fixture
def edf(tmp_path, write_edf):
    """Twelve seconds that start at noon, without a time zone."""
    signals = np.random.default_rng(0).normal(0, 20, (2, 12 * 128))
    return write_edf(tmp_path / "cap.edf", GENEVA[:2], signals, start=NOON)


@pytest.fixture
def bdf(tmp_path, write_bdf, status_words):
    """DEAP's channels and codes at 512 Hz: three stimuli of 4 s, from 2 s on, every 6 s."""
    n_samples = 20 * 512
    random = np.random.default_rng(0)
    names = [*GENEVA, *dict.fromkeys(name for pair in DEAP_EOG for name in pair)]
    signals = {name: random.normal(0, 20, n_samples) for name in names}
    onsets = [(2 + 6 * trial) * 512 for trial in range(3)]
    events = [event for at in onsets for event in ((at, 4), (at + 4 * 512, 5))]
    return write_bdf(tmp_path / "s01.bdf", signals, status_words(n_samples, events))


def test_locate_stimulus_uses_start_times_with_a_time_zone(video, write_fif):
    timing, notes, warnings = locate(video, write_fif(NOON.replace(tzinfo=datetime.UTC)))
    assert (timing.video_onset_s, timing.eeg_onset_s, timing.duration_s) == (0.0, 4.0, 6.0)
    assert (timing.video.source, timing.eeg.source) == ("start_time", "start_time")
    assert any("starts 4.0 s into the EEG and 0.0 s into the video" in note for note in notes)
    assert not warnings


def test_locate_stimulus_of_a_cropped_fif(video, write_fif):
    timing, _, _ = locate(video, write_fif(NOON.replace(tzinfo=datetime.UTC), crop_s=3.0))
    assert (timing.video_onset_s, timing.eeg_onset_s) == (0.0, 1.0)


def test_locate_stimulus_places_the_video_by_an_event_and_start_times(tmp_path, video):
    info = mne.create_info(["Fp1", "Fp2"], 128.0, "eeg")
    raw = mne.io.RawArray(np.zeros((2, 12 * 128)), info, verbose="error")
    raw.set_meas_date(NOON.replace(tzinfo=datetime.UTC))
    onset = [5.0]
    raw.set_annotations(mne.Annotations(onset, 0.0, "clip", raw.info["meas_date"]))
    raw.save(tmp_path / "x_raw.fif", verbose="error")
    timing, _, _ = locate(video, tmp_path / "x_raw.fif", eeg_event="clip")
    assert (timing.video_onset_s, timing.eeg_onset_s) == (5.0 - 4.0, 5.0)
    assert (timing.video.source, timing.eeg.source) == ("start_time", "event")


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (NOON.replace(hour=14, tzinfo=datetime.UTC), "they do not overlap"),
        (None, "x_raw.fif states no start time"),
    ],
)
def test_locate_stimulus_warns_if_start_times_cannot_be_used(video, write_fif, start, message):
    timing, _, [warning] = locate(video, write_fif(start))
    assert (timing.video.source, timing.eeg.source) == ("file_start", "file_start")
    assert message in warning
    assert "give --video-onset and --eeg-onset" in warning


def test_locate_stimulus_ignores_start_times_without_a_time_zone(video, edf):
    timing, _, [warning] = locate(video, edf)
    assert (timing.video.source, timing.eeg.source) == ("file_start", "file_start")
    assert "(2024-05-01 12:00:00) without a time zone" in warning
    assert "give --video-onset and --eeg-onset" in warning


def test_locate_stimulus_prefers_given_onsets(video, edf):
    timing, _, warnings = locate(video, edf, eeg_onset_s=2.0)
    assert timing.to_json() == {
        "duration_s": pytest.approx(6.0),
        "video_onset_s": 0.0,
        "video_onset_source": "file_start",
        "eeg_onset_s": 2.0,
        "eeg_onset_source": "given",
    }
    assert not warnings


def test_locate_stimulus_predicts_the_marked_duration(bdf, tmp_path, write_video):
    video = write_video(tmp_path / "whole.mp4", 4.0)
    timing, _, warnings = locate(video, bdf, trial=2)
    assert (timing.video.source, timing.eeg.source) == ("file_start", "trial")
    assert timing.marked
    assert timing.eeg_onset_s == 8.0
    assert timing.duration_s == 4.0
    assert not warnings

    short, _, [warning] = locate(write_video(tmp_path / "short.mp4", 1.0), bdf, trial=2)
    assert short.duration_s == 4.0
    assert "The video ends 1.0 s after its onset and the stimulus lasts 4.0 s: 4.0 s" in warning
    assert "the last 3.0 s without video" in warning

    late, _, [warning] = locate(video, bdf, trial=2, eeg_onset_s=20 - 3.2)
    assert late.duration_s == pytest.approx(3.2)
    assert "The EEG ends 3.2 s after its onset and the stimulus lasts 4.0 s" in warning

    long, [note], _ = locate(video, bdf, trial=2, duration_s=30)
    assert long.duration_s == 4.0
    assert "--duration is 30 s, and the stimulus lasts 4.0 s" in note


def test_locate_stimulus_warns_of_marks_that_are_not_selected(bdf):
    _, _, [warning] = locate(None, bdf)
    assert "marks 3 stimuli" in warning
    assert "--trial N" in warning
    assert not locate(None, bdf, eeg_onset_s=1.0)[2]


@pytest.fixture
def session(tmp_path):
    """Thirty seconds with three events of 4 s and two without a duration."""
    raw = mne.io.RawArray(
        np.zeros((1, 3000)), mne.create_info(["Cz"], 100.0, "eeg"), verbose="error"
    )
    texts = ["stim", "stim", "stim", "go", "go"]
    raw.set_annotations(mne.Annotations([2, 10, 18, 5, 20], [4, 4, 4, 0, 0], texts))
    raw.save(tmp_path / "s_raw.fif", verbose="error")
    return tmp_path / "s_raw.fif"


def test_locate_stimulus_at_an_annotation_with_a_duration(session):
    timing, notes, warnings = locate(None, session, eeg_event="stim", trial=2)
    assert (timing.eeg_onset_s, timing.duration_s, timing.marked) == (10.0, 4.0, True)
    assert not notes
    assert not warnings
    longer, notes, _ = locate(None, session, eeg_event="stim", trial=2, duration_s=7.0)
    assert longer.duration_s == 7.0
    assert not notes
    with pytest.raises(InputError, match=r"event stim in .* lasts 4\.0 s, less than one") as caught:
        locate_stimulus(
            Request(eeg=session, eeg_event="stim", trial=1),
            open_block(session),
            5.0,
            Messages(RecordingProgress()),
        )
    assert caught.value.hint == "Give the duration with --duration."


def test_locate_stimulus_warns_if_the_next_events_are_included(session):
    timing, _, [warning] = locate(None, session, eeg_event="go", trial=1)
    assert timing.duration_s == 25.0
    assert "no duration of the event go, so" in warning
    assert "at 20 s. Give the duration" in warning
    assert not locate(None, session, eeg_event="go", trial=2)[2]
    assert not locate(None, session, eeg_event="go", trial=1, duration_s=6.0)[2]


def test_locate_stimulus_warns_of_events_that_repeat(session):
    _, _, [warning] = locate(None, session)
    assert "events that repeat, go (2), stim (3), and none was selected" in warning
    assert '--eeg-event "stim" --all-events, or' in warning
    assert not locate(None, session, eeg_onset_s=2.0)[2]


def test_locate_stimulus_asks_for_the_duration_that_repeated_events_do_not_state(session):
    raw = mne.io.read_raw_fif(session, preload=True, verbose="error")
    raw.set_annotations(mne.Annotations([2, 10], [0, 0], ["go", "go"]))
    path = session.with_name("t_raw.fif")
    raw.save(path, verbose="error")
    _, _, [warning] = locate(None, path)
    assert '--eeg-event "go" --all-events --duration S, or' in warning


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        (
            {"eeg_onset_s": 10.0},
            r"cap\.edf contains 2\.0 s after its onset at 10\.0 s",
            "Check --eeg-onset.",
        ),
        (
            {"video_onset_s": 5.0},
            r"video\S*\.mp4 contains 1\.0 s after its onset at 5\.0 s",
            "Check --video-onset.",
        ),
        (
            {"duration_s": 1.0},
            r"--duration 1 s is less than one segment of 3 s",
            "Increase --duration.",
        ),
        ({"video_onset_s": 20.0}, "ends before --video-onset 20 s", "Correct the onset."),
        ({"trial": 2}, "not a BDF file", "Add --eeg-event CODE, or give --eeg-onset instead."),
    ],
)
def test_locate_stimulus_names_the_cause_of_an_error(video, edf, fields, message, hint):
    with pytest.raises(InputError, match=message) as caught:
        locate(video, edf, **fields)
    assert caught.value.hint == hint


def test_locate_stimulus_names_a_file_that_is_too_short(tmp_path, write_video, edf):
    short = write_video(tmp_path / "short.mp4", 2.0)
    with pytest.raises(InputError, match=r"short\.mp4 contains 2\.0 s, less than") as caught:
        locate(short, edf)
    assert "--" not in caught.value.hint
