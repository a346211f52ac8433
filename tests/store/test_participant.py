"""What goes into a participant's file comes out again, or the file is refused."""

import os
import pickle
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest

from milmer_cli.errors import InputError, MilmerError
from milmer_cli.store import PreparedParticipant, decode_face, encode_face, write_participant
from milmer_cli.store.layout import FORMAT


@pytest.fixture
def path(tmp_path, header, trials):
    target = tmp_path / "s01.h5"
    write_participant(target, header("s01"), trials)
    return target


def test_eeg_comes_back_exactly(path, trials):
    with PreparedParticipant.open(path) as p:
        for row in (0, 3, 8, 11):
            expected = trials[row // 4].eeg[row % 4]
            assert p.eeg[row].dtype == np.float32
            np.testing.assert_array_equal(p.eeg[row], expected)


def test_a_trial_without_eeg_is_marked_and_holds_no_numbers(path):
    with PreparedParticipant.open(path) as p:
        np.testing.assert_array_equal(p.eeg_found, [True] * 4 + [False] * 4 + [True] * 4)
        assert np.isnan(p.eeg[4:8]).all()


def test_rows_tell_trial_stimulus_onset_and_ratings(path):
    with PreparedParticipant.open(path) as p:
        np.testing.assert_array_equal(p.trial, np.repeat([1, 2, 3], 4))
        np.testing.assert_array_equal(p.stimulus, np.repeat([39, 38, 37], 4))
        np.testing.assert_array_equal(p.onset, np.tile([0, 3, 6, 9], 3))
        np.testing.assert_array_equal(p.ratings[4], np.float32([2.5, 5.0, np.nan, 9.0]))


def test_named_classes_come_back_where_there_are_any(tmp_path, path, header, trials):
    named = [replace(trials[0], label="joy"), trials[1], replace(trials[2], label="Ärger")]
    write_participant(tmp_path / "s02.h5", header("s02"), named)
    with PreparedParticipant.open(tmp_path / "s02.h5") as p:
        assert p.label.tolist() == ["joy"] * 4 + [""] * 4 + ["Ärger"] * 4
    with PreparedParticipant.open(path) as p:
        assert p.label.tolist() == [""] * 12


def test_notes_come_back_as_they_were_given(tmp_path, header, trials):
    notes = {"interpolated": ["Fz"], "eog_components": [0, 3], "remarks": ["One sentence."]}
    write_participant(tmp_path / "s02.h5", replace(header("s02"), notes=notes), trials)
    with PreparedParticipant.open(tmp_path / "s02.h5") as p:
        assert p.notes == notes


def test_faces_come_back_as_they_were_coded_and_never_invented(path, trials):
    with PreparedParticipant.open(path) as p:
        for row in range(8):
            faces = trials[row // 4].faces
            images = p.faces(row)
            for instance in range(3):
                coded = faces.images[row % 4 * 3 + instance]
                assert p.found[row, instance] == bool(coded)
                expected = decode_face(coded) if coded else 0
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


def test_the_coding_of_faces_loses_little():
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 224)
    face = np.stack(
        [ramp[:, None] + 0 * ramp, 0 * ramp[:, None] + ramp, np.full((224, 224), 90.0)], -1
    )
    face = np.clip(face + rng.normal(0, 3, (224, 224, 1)), 0, 255).astype(np.uint8)

    error = decode_face(encode_face(face)).astype(float) - face

    assert np.sqrt(np.mean(error**2)) < 2
    assert abs(error.mean(axis=(0, 1))).max() < 0.5  # no shift of colour, so red is not blue


def test_a_header_tells_what_made_the_file(path):
    with PreparedParticipant.open(path) as p:
        assert (p.participant, p.sfreq, p.segment_s, p.n_samples) == ("s01", 128.0, 3.0, 384)
        assert (p.channels, p.instances, p.face_size, p.detector) == (("Fp1", "Cz"), 3, 32, "dlib")
        assert p.settings == {"eeg": {"sfreq_hz": 128.0}}
        assert p.fingerprints == {"eeg": "eeg of s01", "faces": "faces of s01"}


def test_the_same_trials_give_the_same_bytes(path, tmp_path, header, trials):
    again = tmp_path / "again.h5"
    write_participant(again, header("s01"), trials)

    assert again.read_bytes() == path.read_bytes()


def test_other_processes_read_a_pickled_or_inherited_participant(path):
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
def test_a_forked_reader_opens_the_file_for_itself(path):
    p = PreparedParticipant.open(path)
    expected = p.eeg[11]
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # nothing may escape from here into a second run of the tests
        verdict = b"0"
        try:
            same = np.array_equal(p.eeg[11], expected) and np.array_equal(p.eeg[0], p.eeg[0])
            verdict = b"1" if same and p._process == os.getpid() else b"0"
        finally:
            os.write(writing, verdict)
            os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reading, 1) == b"1"
    np.testing.assert_array_equal(p.eeg[11], expected)


def test_a_participant_without_any_eeg_or_any_video_is_legal(tmp_path, header, trials):
    target = tmp_path / "s09.h5"
    bare = replace(header("s09"), channels=())
    write_participant(target, bare, [replace(trials[1], faces=None)])

    with PreparedParticipant.open(target) as p:
        assert p.eeg.shape == (4, 0, 384)
        assert not p.found.any()
        assert not p.faces(0).any()


def test_a_trial_that_does_not_fit_the_header_is_refused(tmp_path, header, trials):
    wrong = replace(trials[0], eeg=trials[0].eeg[:, :, :-1])

    with pytest.raises(ValueError, match="Trial 1 of s01: eeg has shape"):
        write_participant(tmp_path / "s01.h5", header("s01"), [wrong])
    assert not list(tmp_path.iterdir())


def change(path, how):
    with h5py.File(path, "r+") as file:
        how(file)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda f: f.attrs.__delitem__("format"), "no file of Milmer"),
        (lambda f: f.attrs.__setitem__("format", FORMAT + 1), "has format 2"),
        (lambda f: f.attrs.__delitem__("channels"), "channels"),
        (lambda f: f.__delitem__("eeg"), "eeg"),
        (lambda f: (f.__delitem__("trial"), f.create_dataset("trial", data=[1])), "has shape"),
        (lambda f: f["faces/offsets"].__setitem__(1, 10**9), "offsets"),
        (lambda f: f["faces/found"].__setitem__((0, 0), False), "disagree"),
    ],
)
def test_a_foreign_newer_or_damaged_file_is_refused(path, how, message):
    change(path, how)

    with pytest.raises(InputError, match=message) as caught:
        PreparedParticipant.open(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 this is something else"])
def test_what_is_no_hdf5_is_refused(tmp_path, content):
    path = tmp_path / "s01.h5"
    path.write_bytes(content)

    with pytest.raises(InputError, match="no HDF5 file"):
        PreparedParticipant.open(path)


def test_an_image_that_does_not_decode_is_an_error_and_not_a_black_face(path):
    change(path, lambda f: f["faces/encoded"].__setitem__(slice(0, 50), 0))

    with (
        PreparedParticipant.open(path) as p,
        pytest.raises(InputError, match="Face 0 of segment 0"),
    ):
        p.faces(0)


WRITER = """
import os, pickle, sys
from pathlib import Path
import milmer_cli.store.writing as writing
path, how, header, trials = pickle.load(sys.stdin.buffer)
if how == "killed":
    writing._write_faces = lambda *_: os._exit(9)
elif how == "interrupted":
    def stop(*_):
        raise KeyboardInterrupt
    writing._write_faces = stop
else:
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
writing.write_participant(Path(path), header, trials)
"""


@pytest.mark.parametrize("how", ["killed", "interrupted", "disk"])
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
def test_a_writer_that_ends_early_leaves_the_old_file_or_none(tmp_path, header, trials, how):
    path = tmp_path / "s01.h5"
    work = pickle.dumps((str(path), how, header("s01"), trials))

    done = subprocess.run([sys.executable, "-c", WRITER], input=work, capture_output=True)

    assert done.returncode != 0
    assert not path.exists()
    if how == "disk":
        last = done.stderr.decode().strip().splitlines()[-1]
        assert "MilmerError: Writing" in last
        assert "File too large" in last
    if how != "killed":
        assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_sentence(tmp_path, header, trials, monkeypatch):
    def full(*_):
        # What h5py says when the disk is full: no errno, several lines.
        raise RuntimeError("flush failed (file write failed: time = now\n, errno = 28, buf = 0x5)")

    monkeypatch.setattr("milmer_cli.store.writing._write_faces", full)
    with pytest.raises(MilmerError, match="disk is full") as caught:
        write_participant(tmp_path / "s01.h5", header("s01"), trials)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
