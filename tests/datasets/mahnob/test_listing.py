"""Every session is listed with its own files, ratings and onsets; every deviation is reported."""

from __future__ import annotations

import re

import numpy as np
import pytest

from milmer_cli.datasets.mahnob.listing import list_mahnob
from milmer_cli.datasets.open_recordings import open_listing
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import DataSettings
from milmer_cli.video.frames import VideoReader

from .conftest import CLIP_S, EEG_HZ, MARK_S, gaze_text

SETTINGS = DataSettings()


@pytest.fixture(scope="module")
def sessions(tmp_path_factory, write_session):
    """Two participants; the clip starts at different times of the videos."""
    root = tmp_path_factory.mktemp("mahnob") / "Sessions"
    write_session(root, 1, 1, without=("video",))  # neutral
    write_session(root, 2, 1, {"mediaFile": "53.avi"}, video_onset_s=-0.25)
    write_session(root, 4, 1, {"feltArsl": "1", "feltVlnc": "9", "feltEmo": "12"}, 0.5)
    tagging = {"experimentType": "image tagging 1", "isStim": None}
    write_session(root, 60, 1, tagging, eeg_name="Part_1_Trial1_taggingImages1.bdf")
    write_session(root, 132, 2, {"mediaFile": "53.avi"}, events_s=(29.5, 29.5 + CLIP_S))
    return root


@pytest.fixture(scope="module")
def listing(sessions):
    return list_mahnob(sessions.parent, SETTINGS)


def findings_about(listing, text):
    return [sentence for sentence in listing.findings if text in sentence]


def test_list_mahnob_rows(listing, sessions):
    assert [(row["participant"], row["trial"]) for row in listing.rows] == [
        ("P01", 1),
        ("P01", 2),
        ("P02", 1),
    ]
    first, second, third = listing.rows
    assert first["eeg"] == sessions / "2" / "Part_1_S_Trial1_emotion.bdf"
    assert (
        first["video"] == sessions / "2" / "P1-Rec1-2009.07.09.17.53.46_C1 trigger _C_Section_2.avi"
    )
    assert first["stimulus"] == third["stimulus"] == "53.avi"
    values = {key: second[key] for key in ("valence", "arousal", "dominance", "label")}
    assert values == {"valence": 9, "arousal": 1, "dominance": 5, "label": "anxiety"}
    assert {"liking", "eog", "eeg_channels"}.isdisjoint(second)  # feltPred is not liking
    assert first["video_onset_s"] == pytest.approx(-0.25)
    assert second["video_onset_s"] == pytest.approx(0.5)
    assert [row["eeg_onset_s"] for row in listing.rows] == [30.0, 30.0, 29.5]
    assert [row["duration_s"] for row in listing.rows] == [CLIP_S] * 3


def test_list_mahnob_findings(listing):
    text = "\n".join(listing.findings)
    for sentence in (
        "Neutral sessions, which have no clip, are left out: 1.",
        "instead of emotions, are left out: 1 (image tagging 1: 1)",
        "Sampling rate in the headers of the BDF files: 64 Hz (3 files)",
        "EXG1 to EXG3 (3 files) are ECG",
        "starts -0.25 to 0.50 s after the first frame of the videos; in 1 of them it starts before",
        "P12, P15 and P26 have no complete stimulus session",
    ):
        assert sentence in text
    missing = {item.what: item.why for item in listing.missing}
    assert "18 of the 20 sessions of P01 (6, 8, 10, 12, 14, 16 and 12 more)" in missing
    assert any(what.startswith("P03, P04, P05") and "more" in what for what in missing)


def test_mahnob_marks_of_eeg_and_video_coincide(listing, tmp_path):
    recordings = open_listing(listing, SETTINGS)
    for name in ("P01", "P02"):
        for trial, block in zip(recordings.trials(name), recordings.eeg_blocks(name), strict=True):
            assert block.eog == ()
            assert "eog" not in block.raw.get_channel_types()
            onset_s = block.onset_s[trial.trial]
            cz = block.raw.get_data(["Cz"])[0]
            eeg_mark_s = np.argmax(cz) / EEG_HZ - onset_s
            times = np.arange(0.025, CLIP_S, 0.05)
            frames = VideoReader(trial.video.path).frames_at(trial.video.onset_s + times)
            levels = [0.0 if f.image is None else float(f.image.mean()) for f in frames]
            video_mark_s = times[int(np.argmax(levels))] - 0.025
            assert eeg_mark_s == pytest.approx(MARK_S, abs=1 / EEG_HZ)
            assert video_mark_s == pytest.approx(MARK_S, abs=0.05)


def test_mahnob_exg_channels_are_neither_eeg_nor_eog(listing):
    recordings = open_listing(listing, SETTINGS)
    assert len(recordings.channels) == 32
    assert not [name for name in recordings.channels if name.startswith("EXG")]


def test_list_mahnob_participants(listing, sessions):
    only = list_mahnob(sessions, DataSettings(participants="2"))
    assert {row["participant"] for row in only.rows} == {"P02"}
    assert not [item for item in only.missing if "P03" in item.what]
    with pytest.raises(InputError, match="has no participant 12"):
        list_mahnob(sessions, DataSettings(participants="12"))


@pytest.fixture
def one_session(tmp_path, write_session):
    """Write one session with deviations and list it."""

    def write(number=2, person=1, attributes=None, **deviations):
        write_session(tmp_path / "Sessions", number, person, attributes or {}, **deviations)
        return list_mahnob(tmp_path / "Sessions", SETTINGS)

    return write


def test_list_mahnob_gaze_without_sample_at_the_start_is_computed(one_session):
    # the first row is 1 s earlier and has sample 2000
    listing = one_session(gaze=gaze_text(audio_sample=None), video_onset_s=0.1)
    assert listing.rows[0]["video_onset_s"] == pytest.approx(0.1)
    assert findings_about(listing, "without an AudioSampleNumber at MovieStart: 2.")


def test_list_mahnob_of_several_starts_takes_the_nearest(one_session):
    listing = one_session(gaze=gaze_text(starts=3))
    assert listing.rows[0]["video_onset_s"] == pytest.approx(0.0)
    assert findings_about(listing, "several events MovieStart: 2 (3)")


@pytest.mark.parametrize(
    ("deviation", "reason"),
    [
        ({"gaze": None}, "session.xml names no gaze file"),
        ({"gaze": "nothing\n"}, "has no table with the columns Timestamp"),
        ({"gaze": gaze_text().replace("MovieStart", "")}, "has no event MovieStart"),
        ({"without": ("gaze",)}, "There is no file"),
        ({"attributes": {"audRate": None}}, "no audBeginSmp or audRate"),
        ({"attributes": {"audRate": "0"}}, "no audBeginSmp or audRate"),
    ],
)
def test_list_mahnob_without_gaze_the_video_starts_with_the_clip(one_session, deviation, reason):
    listing = one_session(**deviation)
    assert listing.rows[0]["video_onset_s"] == 0
    [sentence] = findings_about(listing, "some tenths of a second")
    assert reason in sentence


@pytest.mark.parametrize(
    ("begin", "onset"),
    [("900000", "-897"), ("1e300", "-1e+297"), ("12000", "-9"), ("-6000", "9")],  # the clip: 8 s
)
def test_list_mahnob_impossible_video_onset_leaves_the_video_out(one_session, begin, onset):
    listing = one_session(attributes={"audBeginSmp": begin})
    assert "video" not in listing.rows[0]
    assert f"the clip would start {onset} s after the first frame" in listing.missing[0].why
    [trial] = open_listing(listing, SETTINGS).trials("P01")
    assert trial.video is None


@pytest.mark.parametrize(
    ("deviation", "expected", "finding"),
    [
        ({"events_s": (40.0, 48.0)}, (40.0, 8.0), "first event is not about 30 s"),
        ({"events_s": (2.0, 30.0, 38.0)}, (30.0, 8.0), "events before the one about 30 s"),
        ({"events_s": (30.0, 31.0, 38.0)}, (30.0, 8.0), "more than two events"),
        ({"events_s": (30.0, 38.0, 50.0)}, (30.0, 8.0), "more than two events"),
        ({"events_s": (30.0, 34.0)}, (30.0, 4.0), "2 (4.0 and 8.0 s)"),
        ({"events_s": (30.0, 44.0)}, (30.0, 8.0), "2 (14.0 and 8.0 s)"),
        ({"events_s": (30.0,)}, (30.0, 8.0), "without an event at the end"),
        ({"after_s": 12.0}, (30.0, 8.0), "do not end about 30 s after the clip: 2 (12.0 s)"),
        ({"attributes": {"cutLenSec": None}}, (30.0, 8.0), ""),
        ({"attributes": {"cutLenSec": "-3"}}, (30.0, 8.0), ""),
    ],
)
def test_list_mahnob_events(one_session, deviation, expected, finding):
    listing = one_session(**deviation)
    row = listing.rows[0]
    assert (row["eeg_onset_s"], row["duration_s"]) == pytest.approx(expected)
    assert any(finding in sentence for sentence in listing.findings)


@pytest.mark.parametrize(
    ("deviation", "why"),
    [
        ({"events_s": ()}, "has no event on its Status channel"),
        ({"events_s": (12.0, 14.0)}, "do not mark the clip: expected one about 30 s"),
        ({"without": ("eeg",)}, "There is no file 'Part_1_S_Trial1_emotion.bdf'"),
        ({"electrodes": ("Cz", "Pz", "Oz")}, "lacks the electrodes Fp1, AF3"),
        ({"electrodes": (*GENEVA, "T3")}, "has 2 channels of one electrode: T7, T3"),
    ],
)
def test_list_mahnob_unusable_eeg_leaves_the_faces(one_session, deviation, why):
    listing = one_session(**deviation)
    row = listing.rows[0]
    assert "eeg" not in row
    assert (row["video_onset_s"], row["duration_s"]) == pytest.approx((0.0, CLIP_S))
    assert any("Only the faces can be used" in m.why and why in m.why for m in listing.missing)
    [trial] = open_listing(listing, SETTINGS).trials("P01")
    assert not trial.has_eeg


def test_list_mahnob_damaged_bdf_costs_only_its_trial(tmp_path, write_session):
    for number in (2, 4):
        write_session(tmp_path, number)
    bdf = tmp_path / "4" / "Part_1_S_Trial2_emotion.bdf"
    bdf.write_bytes(bdf.read_bytes()[:5000])
    listing = list_mahnob(tmp_path, SETTINGS)
    trials = open_listing(listing, SETTINGS).trials("P01")
    assert [trial.has_eeg for trial in trials] == [True, False]


def test_list_mahnob_video_is_missing(one_session):
    listing = one_session(without=("video",))
    assert "video" not in listing.rows[0]
    assert any("Only the EEG can be used" in item.why for item in listing.missing)


@pytest.mark.parametrize(
    ("deviation", "finding"),
    [
        ({"fps": 25}, "2 (25.00 and 20.00 fps, 2.0 s)"),
        ({"attributes": {"vidEndSmp": "400"}}, "not that of vidBeginSmp to vidEndSmp: 2 (8.0 and"),
        ({"gaze": gaze_text(clip_s=20.0)}, "2 (20.0 and 8.0 s)"),
        ({"video_onset_s": 3.0}, "do not start with the clip (video_onset_s more than 1 s from 0)"),
        ({"attributes": {"feltVlnc": "0"}}, "not on the scale 1-9: 2 feltVlnc (0)"),
        ({"attributes": {"feltArsl": "high"}}, "not on the scale 1-9: 2 feltArsl (high)"),
        ({"attributes": {"feltEmo": "7"}}, "unknown feltEmo: 2 (7)"),
        ({"attributes": {"sessionId": "9"}}, "not the sessionId of session.xml: 2 (9)"),
        ({"attributes": {"experimentType": "3"}}, "does not name the emotion experiment: 2 (3)"),
        ({"subject": "3"}, "number is not one of their subject"),
        ({"subject": "3"}, "name of another participant: 2 (Part_1_S_Trial1_emotion.bdf)"),
        ({"subject": "77", "number": 9882, "person": 77}, "does not have: P77"),
        ({"number": 3, "attributes": {"isStim": "1"}, "eeg_name": "emotion.bdf"}, "odd number"),
        ({"eeg_name": "Part_1_S_Trial9_emotion.bdf"}, "state different trials: 2 (Part_1_S_Trial9"),
        ({"attributes": {"time": None}}, "order of presentation cannot be verified"),
    ],
)
def test_list_mahnob_contradictions_are_findings(one_session, deviation, finding):
    listing = one_session(**deviation)
    assert len(listing.rows) == 1
    assert findings_about(listing, finding), listing.findings


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"isStim": "2"}, "expected isStim 0 or 1"),
        ({"isStim": None}, "expected isStim 0 or 1"),
        ({"isStim": "0"}, "isStim and the name of the BDF file disagree"),
        ({"experimentType": "video tagging"}, "its experiment is unknown"),
        ({"mediaFile": None}, "session.xml has no mediaFile"),
        ({"mediaFile": "NaN"}, "session.xml has no mediaFile"),
        ({"mediaFile": "x" * 200_000}, "session.xml has no mediaFile"),
    ],
)
def test_list_mahnob_leaves_sessions_out(tmp_path, write_session, attributes, why):
    write_session(tmp_path, 2)
    write_session(tmp_path, 4, attributes=attributes)
    listing = list_mahnob(tmp_path, SETTINGS)
    assert len(listing.rows) == 1
    assert any("4" in item.what and why in item.why for item in listing.missing)


def test_list_mahnob_trials_follow_date_and_time(tmp_path, write_session):
    for number, started in ((2, "18:30:00"), (4, "17:30:00"), (6, "17:29:59")):
        write_session(tmp_path, number, attributes={"time": started})
    listing = list_mahnob(tmp_path, SETTINGS)
    order = [(row["trial"], row["stimulus"]) for row in listing.rows]
    assert order == [(1, "3.avi"), (2, "2.avi"), (3, "1.avi")]
    assert findings_about(listing, "another order by date and time than by number: P01")


def test_list_mahnob_trial_numbers_have_gaps_of_missing_sessions(tmp_path, write_session):
    for number in (4, 12):
        write_session(tmp_path, number)
    listing = list_mahnob(tmp_path, SETTINGS)
    assert [row["trial"] for row in listing.rows] == [2, 6]


def test_list_mahnob_same_clip_twice(tmp_path, write_session):
    for number in (2, 4):
        write_session(tmp_path, number, attributes={"mediaFile": "x.avi"})
    listing = list_mahnob(tmp_path, SETTINGS)
    assert findings_about(listing, "more than once: P01 x.avi")


def test_list_mahnob_all_published_sessions_of_a_short_participant(tmp_path, write_session):
    for k in range(2, 34, 2):  # participant 16 has 16
        write_session(tmp_path, 130 * 15 + k, 16, without=("video", "gaze"))
    listing = list_mahnob(tmp_path, SETTINGS)
    assert findings_about(listing, "all of which are here: P16 (16)")
    assert not [item for item in listing.missing if "of P16" in item.what]


HOSTILE = {
    "billion laughs": (
        b'<!DOCTYPE s [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        b"<session isStim='&b;'/>",
        "document type declaration",
    ),
    "external entity": (
        b'<!DOCTYPE s [<!ENTITY a SYSTEM "file:///etc/passwd">]><session>&a;</session>',
        "document type declaration",
    ),
    "external document type": (
        b'<!DOCTYPE session SYSTEM "http://localhost:1/x.dtd"><session/>',
        "document type declaration",
    ),
    "undefined entity": (b"<session>&a;</session>", "undefined entity"),
    "deep": (b"<session>" + b"<a>" * 100_000, "nested too deeply"),
    "large": (b"<session>" + b" " * 2**21, "more than 1 MiB"),
    "binary": (bytes(range(256)), "not the XML of a session"),
    "empty": (b"", "no element found"),
    "encoding": ("<session isStim='é'/>".encode("latin-1"), "not the XML of a session"),
    "unknown encoding": (b"<?xml version='1.0' encoding='x-no'?><session/>", "not the XML"),
    "nothing": (None, "it has no session.xml"),
    "other element": (b"<html/>", "expected the element session, got 'html'"),
    "no attributes": (b"<session/>", "its experiment is unknown"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_list_mahnob_hostile_xml_costs_only_its_session(tmp_path, write_session, name):
    content, why = HOSTILE[name]
    write_session(tmp_path, 2)
    (tmp_path / "4").mkdir()
    if content is not None:
        (tmp_path / "4" / "session.xml").write_bytes(content)
    listing = list_mahnob(tmp_path, SETTINGS)
    assert len(listing.rows) == 1
    [item] = [item for item in listing.missing if item.what == "Session 4"]
    assert why in item.why
    assert "\n" not in item.why


@pytest.mark.parametrize(
    "name",
    [
        "../2/Part_1_S_Trial1_emotion.bdf",
        "/etc/passwd",
        "..\\2\\x_emotion.bdf",
        "C:x_emotion.bdf",
        "..",
        "a/b_emotion.bdf",
        " x_emotion.bdf",
    ],
)
@pytest.mark.parametrize(
    "replaced", ["Part_1_S_Trial2_emotion.bdf", "P1-Rec1-All-Data-New_Section_4.tsv"]
)
def test_list_mahnob_file_names_stay_in_the_folder(tmp_path, write_session, name, replaced):
    for number in (2, 4):
        folder = write_session(tmp_path, number)
    path = folder / "session.xml"
    text = path.read_text(encoding="utf-8").replace(replaced, name)
    path.write_text(text, encoding="utf-8")
    listing = list_mahnob(tmp_path, SETTINGS)
    assert len(listing.rows) == 1
    [item] = [item for item in listing.missing if item.what == "Session 4"]
    assert f"names a file outside of its folder: {name!r}" in item.why


def test_list_mahnob_formulas_in_names_are_not_evaluated(one_session, tmp_path):
    listing = one_session(attributes={"mediaFile": "=cmd()"})
    assert "'=cmd()" in listing.manifest_text(tmp_path)


def test_list_mahnob_encodings_that_xml_declares(tmp_path, write_session):
    folder = write_session(tmp_path, 2, attributes={"mediaFile": "café.avi"})
    path = folder / "session.xml"
    text = path.read_text(encoding="utf-8")
    for encoding in ("utf-16", "latin-1"):
        declared = text.replace('version="1.0"', f'version="1.0" encoding="{encoding}"')
        path.write_bytes(declared.encode(encoding))
        assert list_mahnob(tmp_path, SETTINGS).rows[0]["stimulus"] == "café.avi"


def test_list_mahnob_other_folders(tmp_path, write_session):
    with pytest.raises(InputError, match=r"no session of MAHNOB-HCI.*Sessions/2") as caught:
        list_mahnob(tmp_path, SETTINGS)
    assert caught.value.hint.startswith("Give the folder Sessions")
    folder = write_session(tmp_path / "Sessions", 2)
    with pytest.raises(InputError, match="is one session of MAHNOB-HCI"):
        list_mahnob(folder, SETTINGS)


def test_list_mahnob_folder_without_permission(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        list_mahnob(tmp_path, SETTINGS)


def test_list_mahnob_only_neutral_sessions(tmp_path, write_session):
    write_session(tmp_path, 3, without=("video", "gaze"))
    with pytest.raises(InputError, match=re.escape("can be used: all are neutral sessions")):
        list_mahnob(tmp_path, SETTINGS)
