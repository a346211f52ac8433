"""The file of a participant returns what was written; damaged files are refused."""

import importlib.util
import os
import pickle
import subprocess
import sys
import warnings
from contextlib import nullcontext
from dataclasses import replace

import h5py
import numpy as np
import pytest

from milmer_cli.eeg.quality import EegQuality
from milmer_cli.errors import InputError
from milmer_cli.store import PreparedParticipant, decode_face, write_participant
from milmer_cli.store.schema import FORMAT_VERSION


def has_pandas() -> bool:
    return importlib.util.find_spec("pandas") is not None


@pytest.fixture
def path(tmp_path, header, trials):
    target = tmp_path / "s01.h5"
    write_participant(target, header("s01"), trials)
    return target


def test_eeg_round_trip(path, trials):
    with PreparedParticipant.open(path) as p:
        for row in (0, 3, 8, 11):
            expected = trials[row // 4].eeg[row % 4]
            assert p.eeg[row].dtype == np.float32
            np.testing.assert_array_equal(p.eeg[row], expected)


def test_eeg_found_is_false_and_eeg_nan_without_eeg(path):
    with PreparedParticipant.open(path) as p:
        np.testing.assert_array_equal(p.eeg_found, [True] * 4 + [False] * 4 + [True] * 4)
        assert np.isnan(p.eeg[4:8]).all()


def test_rows_round_trip(path):
    with PreparedParticipant.open(path) as p:
        np.testing.assert_array_equal(p.trial, np.repeat([1, 2, 3], 4))
        np.testing.assert_array_equal(p.stimulus, np.repeat([39, 38, 37], 4))
        np.testing.assert_array_equal(p.onset, np.tile([0, 3, 6, 9], 3))
        np.testing.assert_array_equal(p.ratings[4], np.float32([2.5, 5.0, np.nan, 9.0]))


def test_label_round_trip(tmp_path, path, header, trials):
    named = [replace(trials[0], label="joy"), trials[1], replace(trials[2], label="Ärger")]
    write_participant(tmp_path / "s02.h5", header("s02"), named)
    with PreparedParticipant.open(tmp_path / "s02.h5") as p:
        assert p.label.tolist() == ["joy"] * 4 + [""] * 4 + ["Ärger"] * 4
    with PreparedParticipant.open(path) as p:
        assert p.label.tolist() == [""] * 12


def test_session_and_condition_round_trip(tmp_path, path, header, trials):
    named = [
        replace(trials[0], session="a/b", condition="Listening"),
        replace(trials[1], session="Ä"),
        trials[2],
    ]
    write_participant(tmp_path / "s02.h5", header("s02"), named)
    with PreparedParticipant.open(tmp_path / "s02.h5") as p:
        assert p.session.tolist() == ["a/b"] * 4 + ["Ä"] * 4 + [""] * 4
        assert p.condition.tolist() == ["Listening"] * 4 + [""] * 8
        ids = p.segments().trial_id[::4].tolist()
        assert ids == ["s02/a%2Fb/01", "s02/Ä/02", "s02/03"]
        assert p.segments().segment_id[0] == "s02/a%2Fb/01@0.000"
    with h5py.File(path) as file:
        assert not {"session", "condition", "label"} & set(file)


def test_open_reads_a_file_of_format_2(path):
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = 2
    with PreparedParticipant.open(path) as p:
        assert (p.session.tolist(), p.condition.tolist()) == ([""] * 12, [""] * 12)
        assert p.segments().trial_id[0] == "s01/01"


def test_notes_round_trip(tmp_path, header, trials):
    notes = {"interpolated": ["Fz"], "eog_components": [0, 3], "messages": ["One sentence."]}
    write_participant(tmp_path / "s02.h5", replace(header("s02"), notes=notes), trials)
    with PreparedParticipant.open(tmp_path / "s02.h5") as p:
        assert p.notes == notes


def test_faces_round_trip_without_invented_images(path, trials):
    with PreparedParticipant.open(path) as p:
        for row in range(8):
            faces = trials[row // 4].faces
            images = p.faces(row)
            for instance in range(3):
                encoded = faces.images[row % 4 * 3 + instance]
                assert p.found[row, instance] == bool(encoded)
                expected = decode_face(encoded) if encoded else 0
                np.testing.assert_array_equal(
                    images[instance], np.broadcast_to(expected, (32, 32, 3))
                )
        np.testing.assert_array_equal(p.box[:4], trials[0].faces.box)
        np.testing.assert_array_equal(p.time[4:8], trials[1].faces.time)
        np.testing.assert_array_equal(p.score[:4], trials[0].faces.score)
        np.testing.assert_array_equal(
            p.reason[:8], np.r_[trials[0].faces.reason, trials[1].faces.reason]
        )
        assert not p.found[8:].any()
        assert set(p.reason[8:].ravel()) == {"no video"}


def test_header_round_trip(path):
    with PreparedParticipant.open(path) as p:
        assert (p.participant, p.sfreq, p.segment_s, p.n_samples) == ("s01", 128.0, 3.0, 384)
        assert (p.channels, p.instances, p.face_size, p.detector) == (("Fp1", "Cz"), 3, 32, "dlib")
        assert p.settings == {"eeg": {"sfreq_hz": 128.0}}
        assert p.fingerprints == {"eeg": "eeg of s01", "faces": "faces of s01"}


def test_participant_can_be_pickled(path):
    p = PreparedParticipant.open(path)
    expected = (p.eeg[11].copy(), p.faces(0))
    code = (
        "import pickle, sys; p = pickle.load(sys.stdin.buffer);"
        "sys.stdout.buffer.write(p.eeg[11].tobytes() + p.faces(0).tobytes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(p), capture_output=True, check=True
    )
    assert done.stdout == expected[0].tobytes() + expected[1].tobytes()


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork and /proc")
def test_participant_survives_a_fork(path):
    p = PreparedParticipant.open(path)
    expected = p.eeg[11]
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # an exception here would run the remaining tests twice
        result = b"0"
        try:
            same = np.array_equal(p.eeg[11], expected) and np.array_equal(p.eeg[0], p.eeg[0])
            result = b"1" if same and p._process == os.getpid() else b"0"
        finally:
            os.write(writing, result)
            os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reading, 1) == b"1"
    np.testing.assert_array_equal(p.eeg[11], expected)


def test_participant_without_eeg_and_video(tmp_path, header, trials):
    target = tmp_path / "s09.h5"
    bare = replace(header("s09"), channels=())
    write_participant(target, bare, [replace(trials[1], faces=None)])

    with PreparedParticipant.open(target) as p:
        assert p.eeg.shape == (4, 0, 384)
        assert not p.found.any()
        assert not p.faces(0).any()


def test_participant_quality_round_trip(tmp_path, header, trials):
    bad = np.array([[True, False], [False, False], [False, True], [False, False]])
    quality = EegQuality(bad, bad & (np.arange(4)[:, None] == 0), bad * np.float32(7.5))
    write_participant(
        tmp_path / "s01.h5", header("s01"), [replace(trials[0], quality=quality), trials[1]]
    )

    with PreparedParticipant.open(tmp_path / "s01.h5") as p:
        np.testing.assert_array_equal(p.quality.bad[:4], bad)
        assert p.quality.bad[4:].all()  # trial 2 has no EEG
        np.testing.assert_array_equal(p.quality.interpolated[:4], quality.interpolated)
        assert not p.quality.interpolated[4:].any()
        np.testing.assert_array_equal(p.quality.ptp_uv[:4], quality.ptp_uv)
        assert np.isnan(p.quality.ptp_uv[4:]).all()


def test_participant_of_format_1_has_the_quality_of_its_notes(tmp_path, header, trials):
    path = tmp_path / "s01.h5"
    write_participant(path, replace(header("s01"), notes={"interpolated": ["Cz"]}), trials)
    modify(path, lambda f: (f.attrs.__setitem__("format", 1), f.__delitem__("quality")))

    with PreparedParticipant.open(path) as p:
        assert p.format == 1
        with_eeg = [0, 1, 2, 3, 8, 9, 10, 11]
        assert p.quality.bad[with_eeg].tolist() == [[False, True]] * 8
        assert p.quality.interpolated[with_eeg].tolist() == [[False, True]] * 8
        np.testing.assert_array_equal(p.quality.ptp_uv[:4], np.ptp(trials[0].eeg, axis=2))
        assert p.quality.bad[4:8].all()


def modify(path, how):
    with h5py.File(path, "r+") as file:
        how(file)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda f: f.attrs.__delitem__("format"), "not written by Milmer"),
        (lambda f: f.attrs.__setitem__("format", FORMAT_VERSION + 1), "has format 4"),
        (lambda f: f.attrs.__delitem__("channels"), "channels"),
        (lambda f: f.__delitem__("eeg"), "eeg"),
        (lambda f: (f.__delitem__("trial"), f.create_dataset("trial", data=[1])), "expected shape"),
        (lambda f: f.__delitem__("quality"), "quality"),
        (
            lambda f: (f.__delitem__("quality/bad"), f.create_dataset("quality/bad", data=[1])),
            "bad",
        ),
        (lambda f: f["faces/offsets"].__setitem__(1, 10**9), "offsets"),
        (lambda f: f["faces/found"].__setitem__((0, 0), False), "does not match the images"),
    ],
)
def test_open_other_newer_or_damaged_file(path, how, message):
    modify(path, how)

    with pytest.raises(InputError, match=message) as caught:
        PreparedParticipant.open(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 this is something else"])
def test_open_not_hdf5(tmp_path, content):
    path = tmp_path / "s01.h5"
    path.write_bytes(content)

    with pytest.raises(InputError, match="not an HDF5 file"):
        PreparedParticipant.open(path)


def test_faces_damaged_image_is_an_error(path):
    modify(path, lambda f: f["faces/encoded"].__setitem__(slice(0, 50), 0))

    with (
        PreparedParticipant.open(path) as p,
        pytest.raises(InputError, match="Face 0 of segment 0"),
    ):
        p.faces(0)


def test_to_epochs_returns_the_segments_with_eeg_in_volts(path):
    p = PreparedParticipant.open(path)
    with pytest.warns(UserWarning, match="no metadata") if not has_pandas() else nullcontext():
        epochs = p.to_epochs()
    rows = [0, 1, 2, 3, 8, 9, 10, 11]
    np.testing.assert_allclose(epochs.get_data(copy=False), p.eeg[:][rows] / 1e6, rtol=1e-6)
    assert epochs.info["sfreq"] == 128
    assert (epochs.tmin, len(epochs.times)) == (0, 384)
    assert epochs.event_id == {"trial 1": 1, "trial 3": 3}
    assert epochs.events[:, 2].tolist() == [1] * 4 + [3] * 4
    assert len(epochs["trial 3"]) == 4
    assert epochs.info["bads"] == []


def test_to_epochs_has_the_table_of_the_segments_as_metadata(path):
    pytest.importorskip("pandas")
    epochs = PreparedParticipant.open(path).to_epochs()
    assert epochs.metadata["onset_s"].tolist() == [0, 3, 6, 9] * 2
    assert epochs["valence > 2"].events[:, 2].tolist() == [3] * 4


def test_to_epochs_warns_without_pandas(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.warns(UserWarning, match=r"no metadata.*milmer-cli\[notebook\]"):
        epochs = PreparedParticipant.open(path).to_epochs()
    assert epochs.metadata is None


def test_to_epochs_marks_channels_that_are_bad_in_all_segments(tmp_path, header, trials):
    quality = EegQuality.of(trials[0].eeg)
    quality.bad[:, 1] = True
    quality.bad[:3, 0] = True
    write_participant(tmp_path / "s01.h5", header("s01"), [replace(trials[0], quality=quality)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the metadata
        epochs = PreparedParticipant.open(tmp_path / "s01.h5").to_epochs()
    assert epochs.info["bads"] == ["Cz"]


def test_to_epochs_refuses_a_participant_without_eeg(tmp_path, header, trials):
    write_participant(tmp_path / "s01.h5", replace(header("s01"), channels=()), trials[1:2])
    with pytest.raises(InputError, match="has no EEG"):
        PreparedParticipant.open(tmp_path / "s01.h5").to_epochs()
