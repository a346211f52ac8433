from __future__ import annotations

import pytest

from milmer_cli.errors import InputError
from milmer_cli.prediction.manifest import read_rated_classes, read_requests
from milmer_cli.settings.schema import DataSettings


@pytest.fixture
def write(tmp_path):
    for name in ("a.edf", "b.bdf", "face.mp4"):
        (tmp_path / name).write_bytes(b"not read here")

    def write(*lines: str):
        path = tmp_path / "list.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_read_requests_lists_all_errors(write):
    path = write(
        "name;eeg;video_onset;trial",
        "x;a.edf;;",
    )
    with pytest.raises(InputError, match="unknown column video_onset; did you mean video_onset_s"):
        read_requests(path)
    path = write(
        "name;eeg;video_onset_s;trial",
        "x;a.edf;;",
        "x;b.bdf;;",
        "../y;a.edf;;",
        "Summary.csv;a.edf;;",
        "z;gone.edf;;",
        "w;;;",
        "v;a.edf;;0",
        "u;a.edf;soon;",
    )
    with pytest.raises(InputError) as caught:
        read_requests(path)
    for text in (
        "has 7 errors",
        "row 3: the name x is already used in row 2",
        "row 4: name: expected the name of a folder, got '../y'",
        "row 5: name: 'Summary.csv' is the name of the table",
        "row 6: there is no eeg file",
        "row 7: eeg and video are both empty",
        "row 8: trial: expected 1, 2, 3, ... (at most 2147483647), got '0'",
        "row 9: video_onset_s: expected seconds, got 'soon'",
    ):
        assert text in caught.value.message
    with pytest.raises(InputError, match="the table has no rows"):
        read_requests(write("eeg"))


def test_read_requests_converts_all_columns(write, tmp_path):
    path = write(
        "eeg,trial,eeg_event,eeg_onset_s,video,video_onset_s,duration_s,eog",
        "a.edf,2,clip,1.5,face.mp4,2,30,EXG1-EXG2; VEOG",
    )
    [(name, request)] = read_requests(path)[0].items()
    assert name == "face"
    assert (request.eeg, request.video) == (tmp_path / "a.edf", tmp_path / "face.mp4")
    assert (request.trial, request.eeg_event, request.eog) == (2, "clip", "EXG1-EXG2;VEOG")
    assert (request.eeg_onset_s, request.video_onset_s, request.duration_s) == (1.5, 2.0, 30.0)


def test_read_requests_names(write):
    path = write(
        "name,participant,session,trial,eeg",
        "mine,P1,,1,a.edf",
        ",P1,,2,a.edf",
        ",P1,b,2,a.edf",
        ",,,2,b.bdf",
    )
    assert list(read_requests(path)[0]) == ["mine", "P1_2", "P1_b_2", "b"]


@pytest.mark.parametrize(
    ("row", "trial"),
    [
        ("b.bdf,,,", 3),  # by the event codes of the BDF
        ("b.bdf,12.5,,", None),
        ("b.bdf,,4,", 3),
        ("a.edf,,4,", 3),  # the third event 4
        ("a.edf,,,", None),  # only the number of the trial
        (",,,face.mp4", None),
    ],
)
def test_read_requests_trial_selects_an_event_only_where_events_give_the_onset(write, row, trial):
    path = write("participant,trial,eeg,eeg_onset_s,eeg_event,video", f"P1,3,{row}")
    (request,) = read_requests(path)[0].values()
    assert request.trial == trial


def test_read_requests_notes_columns_that_predict_does_not_use(write):
    path = write(
        "participant,trial,stimulus,eeg,eeg_onset_s,eeg_channels", "P1,1,joy,a.edf,2,Fp1;Cz"
    )
    requests, notes = read_requests(path)
    assert list(requests) == ["P1_1"]
    assert notes == ["predict does not use the columns stimulus, eeg_channels."]


def test_read_rated_classes_follow_the_label_rule_of_the_run(write):
    path = write(
        "name,eeg,valence,arousal,arousal_range,label",
        "a,a.edf,7,80,0-100,joy",
        "b,a.edf,3,20,0-100,",
        "c,a.edf,5,,0-100,fear",
    )
    assert read_rated_classes(path, DataSettings()) == {"a": "HAHV", "b": "LALV"}
    assert read_rated_classes(path, DataSettings(target="valence", ties="high")) == {
        "a": "high valence",
        "b": "low valence",
        "c": "high valence",
    }
    assert read_rated_classes(path, DataSettings(target="label")) == {"a": "joy", "c": "fear"}
    with pytest.raises(InputError, match="row 2: valence: expected a number, got 'wrong'"):
        read_requests(write("name,eeg,valence", "a,a.edf,wrong"))


def test_read_requests_video_stream_and_frame_rate(write):
    header = "name,video,eeg,video_stream,video_fps"
    requests, _ = read_requests(
        write(header, "x,face.mp4,,2,", "y,face.mp4,,,29.97", "z,,a.edf,2,")
    )

    assert (requests["x"].video_stream, requests["x"].video_fps) == (2, None)
    assert (requests["y"].video_stream, requests["y"].video_fps) == (None, 29.97)
    assert requests["z"].video_stream is None
    with pytest.raises(InputError) as caught:
        read_requests(write(header, "x,face.mp4,,0,-1"))
    assert (
        "video_stream: expected 1, 2, 3, ... (at most 2147483647), got '0'" in caught.value.message
    )
    assert "video_fps: expected frames per second, more than 0, got '-1'" in caught.value.message
