"""predict: where the stimulus is found in each file, and what is said where that is open."""

from __future__ import annotations

import datetime

import mne
import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.recordings.channels import GENEVA
from milmer_cli.recordings.trial import EegBlock
from milmer_cli.stages.predicting.clocks import by_clocks
from milmer_cli.stages.predicting.request import Request
from milmer_cli.stages.predicting.signals import open_block
from milmer_cli.stages.predicting.timing import find_timing

NOON = datetime.datetime(2024, 5, 1, 12, 0, 0)


def timing_of(video, eeg, **asked):
    request = Request(video=video, eeg=eeg, **asked)
    request.check()
    return find_timing(request, None if eeg is None else open_block(eeg), 3.0)


@pytest.fixture(scope="module")
def video(made_once, write_video):
    """Six seconds, begun four seconds after noon."""
    begun = "2024-05-01T12:00:04.000000Z"
    return made_once("clock-video.mp4", lambda path: write_video(path, 6.0, begun=begun))


@pytest.fixture
def eeg_begun(tmp_path, write_edf):
    """``eeg_begun(hours)``: twelve seconds, begun at noon by a clock that is so far ahead."""

    def write(hours=0.0):
        begun = NOON + datetime.timedelta(hours=hours)
        signals = np.random.default_rng(0).normal(0, 20, (2, 12 * 128))
        return write_edf(tmp_path / f"{hours}.edf", GENEVA[:2], signals, begun=begun)

    return write


@pytest.mark.parametrize(
    ("hours", "zone"), [(0, ""), (2, "UTC+2"), (5.75, "UTC+5:45"), (-9.5, "UTC-9:30")]
)
def test_clocks_are_used_in_the_only_zone_in_which_the_files_overlap(video, eeg_begun, hours, zone):
    found = timing_of(video, eeg_begun(hours))
    assert (found.video_onset_s, found.eeg_onset_s, found.duration_s) == (0.0, 4.0, 6.0)
    assert (found.video.by, found.eeg.by) == ("clocks", "clocks")
    [told] = found.warnings if zone else [n for n in found.notes if "clocks" in n]
    assert "begin 4.0 s into the EEG and 0.0 s into the video" in told
    assert zone in told


def test_clocks_that_fit_in_no_zone_are_not_used(video, eeg_begun):
    found = timing_of(video, eeg_begun(0.2))
    assert (found.video.by, found.eeg.by) == ("start", "start")
    [told] = found.warnings
    assert "overlap in no time zone: these times are not used" in told
    assert "--video-onset and --eeg-onset" in told


def test_clocks_that_fit_in_several_zones_are_not_used_and_the_zones_are_named(video, eeg_begun):
    eeg = eeg_begun(1)
    lengths = {"EEG": 12.0, "video": 3700.0}
    said = by_clocks(video, eeg, open_block(eeg), None, lengths)
    assert said.onsets is None
    assert said.doubtful
    assert "in 2 time zones: these times are not used" in said.sentence
    assert "UTC+1: --video-onset 0.0 --eeg-onset 4.0" in said.sentence
    assert "UTC: --video-onset 3596.0 --eeg-onset 0.0" in said.sentence
    day = by_clocks(video, eeg, open_block(eeg), None, {"EEG": 12.0, "video": 86400.0})
    assert day.sentence.count("--eeg-onset") == 3
    at_event = by_clocks(video, eeg, open_block(eeg), 5.0, {"EEG": 12.0, "video": 60.0})
    assert at_event.onsets == (1.0, 5.0)


def test_a_cropped_fif_keeps_the_date_of_the_whole_and_has_no_other_zone(tmp_path, video):
    info = mne.create_info(["Fp1", "Fp2"], 128.0, "eeg")
    raw = mne.io.RawArray(np.zeros((2, 12 * 128)), info, verbose="error")
    raw.set_meas_date(NOON.replace(tzinfo=datetime.UTC))
    path = tmp_path / "cropped_raw.fif"
    raw.copy().crop(3.0).save(path, verbose="error")
    found = timing_of(video, path)
    assert (found.video_onset_s, found.eeg_onset_s) == (0.0, 1.0)
    raw.set_meas_date(NOON.replace(hour=14, tzinfo=datetime.UTC))
    block = EegBlock(raw, {})
    said = by_clocks(video, path, block, None, {"EEG": 12.0, "video": 6.0})
    assert said.onsets is None
    assert "they would share nothing: these times are not used" in said.sentence


def test_what_was_asked_is_not_overruled_by_clocks(video, eeg_begun):
    found = timing_of(video, eeg_begun(), eeg_onset_s=2.0)
    assert found.to_json() == {
        "duration_s": pytest.approx(6.0),
        "video_onset_s": 0.0,
        "video_onset_found_by": "start",
        "eeg_onset_s": 2.0,
        "eeg_onset_found_by": "asked",
    }


def test_files_that_hold_less_than_the_marked_stimulus_are_told(deap, tmp_path, write_video):
    bdf, whole = deap / "data_original/s01.bdf", deap / "face_video/s01/s01_trial01.avi"
    found = timing_of(whole, bdf, trial=2)
    assert (found.video.by, found.eeg.by, found.marked) == ("start", "trial", True)
    assert found.duration_s == pytest.approx(4.0, abs=0.1)
    assert not found.warnings
    short = timing_of(write_video(tmp_path / "short.mp4", 1.0), bdf, trial=2)
    assert short.duration_s == found.duration_s
    [told] = short.warnings
    assert "The video ends 1.0 s after its onset and the stimulus lasts 4.0 s: 4.0 s are" in told
    assert "the last 3.0 s without video" in told
    block = open_block(bdf)
    late_s = block.raw.n_times / block.raw.info["sfreq"] - 3.2
    late = timing_of(whole, bdf, trial=2, eeg_onset_s=late_s)
    assert late.duration_s == pytest.approx(3.2)
    assert "The EEG ends 3.2 s after its onset and the stimulus lasts 4.0 s" in late.warnings[0]
    long = timing_of(whole, bdf, trial=2, duration_s=30)
    assert long.duration_s == found.duration_s
    assert "--duration asks for 30 s, and the stimulus lasts 4.0 s" in long.notes[0]


def test_stimuli_that_are_marked_and_not_asked_for_are_told(deap):
    bdf = deap / "data_original/s01.bdf"
    [told] = timing_of(None, bdf).warnings
    assert "marks 3 stimuli" in told
    assert "--trial N" in told
    assert not timing_of(None, bdf, eeg_onset_s=1.0).warnings


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ({"eeg_onset_s": 10.0}, r"0\.edf holds 2\.0 s from 10\.0 s on", "Check --eeg-onset."),
        ({"video_onset_s": 5.0}, r"v\S*\.mp4 holds 1\.0 s from 5\.0 s on", "Check --video-onset."),
        ({"duration_s": 1.0}, r"--duration 1 s is less than a segment of 3 s", "Ask for more."),
    ],
)
def test_the_file_that_is_too_short_is_named(video, eeg_begun, asked, message, hint):
    with pytest.raises(InputError, match=message) as caught:
        timing_of(video, eeg_begun(), **asked)
    assert caught.value.hint == hint


def test_a_file_that_is_too_short_as_a_whole_has_no_flag_to_check(tmp_path, write_video, eeg_begun):
    short = write_video(tmp_path / "short.mp4", 2.0)
    with pytest.raises(InputError, match=r"short\.mp4 holds 2\.0 s, less than") as caught:
        timing_of(short, eeg_begun())
    assert "--" not in caught.value.hint
