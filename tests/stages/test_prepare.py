"""prepare: what is in the store, what is done again, and what happens when something is broken."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from milmer_cli.errors import InputError, MilmerError
from milmer_cli.recordings.deap import DeapRecordings
from milmer_cli.settings import load_settings
from milmer_cli.stages import prepare_work
from milmer_cli.stages.prepare import prepare
from milmer_cli.store import PreparedParticipant, PreparedStore, check_store
from milmer_cli.store.lock import StoreLock

SMALL = ["eeg.segment_s=2", "faces.instances=2", "faces.size=64", "run.workers=1"]


@pytest.fixture
def store(whole, tmp_path):
    """The same, to be changed."""
    return Path(shutil.copytree(whole, tmp_path / "prepared"))


def run(deap, out, *more, progress=None, **source):
    settings = load_settings(overrides=[*SMALL, *more])
    told = {"progress": progress} if progress else {}
    return prepare(DeapRecordings(deap, **source), out, settings, **told)


class Listener:
    def __init__(self):
        self.notes, self.tasks = [], {}

    def start(self, task, total=None, unit=""):
        self.tasks[task] = [0, total]

    def advance(self, task, by=1.0):
        self.tasks[task][0] += by

    def done(self, task): ...

    def note(self, message, level="info"):
        self.notes.append((level, message))


def content(folder):
    """Every dataset and attribute of every participant's file."""
    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            found[path.name, name] = item[()].tobytes() if item.dtype.kind != "O" else item[()]
        for key, value in item.attrs.items():
            found[path.name, name, key] = value

    for path in sorted(folder.glob("*.h5")):
        with h5py.File(path, locking=False) as file:
            keep("/", file)
            file.visititems(keep)
    return found


def differing(one, other):
    """Names of what differs between two stores, settings and fingerprints aside."""
    a, b = content(one), content(other)
    assert a.keys() == b.keys()
    return {key[1] for key in a if key[-1] not in ("settings", "fingerprints") and a[key] != b[key]}


def test_a_store_has_every_trial_with_its_eeg_faces_and_tables(whole):
    segments = PreparedStore.open(whole).segments()
    assert len(segments) == 2 * 3 * 2
    assert segments.eeg_found.all()
    with PreparedParticipant.open(whole / "s01.h5") as p:
        assert p.eeg.shape == (6, 32, 256)
        assert np.isfinite(p.eeg[()]).all()
        assert p.found.mean() > 0.5
        assert set(p.notes) == {"interpolated", "eog_components", "remarks", "cleaned"}
        assert not p.notes["cleaned"]
    assert [finding for finding in check_store(whole) if finding.severity == "error"] == []
    assert len((whole / "coverage.csv").read_text().splitlines()) == 1 + 6
    assert len((whole / "faces.csv").read_text().splitlines()) == 1 + 12 * 2
    assert not (whole / ".pieces").exists()


def test_doing_it_again_does_nothing(deap, store):
    before = {path: path.stat().st_mtime_ns for path in store.glob("*.h5")}
    result = run(deap, store)
    assert (result.made, result.kept) == ((), ("s01", "s29"))
    assert {path: path.stat().st_mtime_ns for path in store.glob("*.h5")} == before


def test_a_new_filter_does_not_decode_video_again(deap, whole, store, monkeypatch):
    monkeypatch.setattr(prepare_work, "face_segments", None)  # calling it would fail
    listener = Listener()
    run(deap, store, "eeg.band_hz=[4,40]", progress=listener)
    told = " ".join(note for _, note in listener.notes)
    assert "s01: eeg.band_hz was [1.0, 50.0] and is [4.0, 40.0]: the EEG is made again" in told
    assert "the faces are kept" in told
    assert differing(whole, store) == {"eeg"}


def test_another_face_size_does_not_clean_the_eeg_again(deap, whole, store, monkeypatch):
    monkeypatch.setattr(prepare_work, "clean", None)
    run(deap, store, "faces.size=32")
    assert differing(whole, store) == {"faces", "faces/encoded", "faces/offsets"}


def test_new_ratings_make_neither_again(deap, whole, store, tmp_path, monkeypatch):
    other = Path(shutil.copytree(deap, tmp_path / "data", copy_function=os.symlink))
    table = other / "metadata_csv" / "participant_ratings.csv"
    text = table.read_text()
    table.unlink()
    rows = [line.split(",") for line in text.splitlines()]
    liking = rows[0].index("Liking")
    for row in rows[1:]:
        row[liking] = "1.23"
    table.write_text("\n".join(",".join(row) for row in rows) + "\n")
    monkeypatch.setattr(prepare_work, "clean", None)
    monkeypatch.setattr(prepare_work, "face_segments", None)
    listener = Listener()
    run(other, store, progress=listener)
    assert "ratings, classes or clips changed" in " ".join(note for _, note in listener.notes)
    assert differing(whole, store) == {"ratings"}


def test_dat_and_mat_give_the_same_store(deap, tmp_path):
    for source in ("dat", "mat"):
        run(deap, tmp_path / source, "faces.instances=1", source=source)
    assert differing(tmp_path / "dat", tmp_path / "mat") == set()
    with PreparedParticipant.open(tmp_path / "dat" / "s01.h5") as p:
        assert p.notes["cleaned"]


def test_participants_prepared_later_join_the_store(deap, whole, tmp_path):
    run(deap, tmp_path / "p", participants="1")
    result = run(deap, tmp_path / "p", participants="29")
    assert result.made == ("s29",)
    assert PreparedStore.open(tmp_path / "p").participants == ["s01", "s29"]
    assert differing(whole, tmp_path / "p") == set()


def test_a_second_run_on_the_folder_is_refused(deap, tmp_path):
    with StoreLock(tmp_path / "p"), pytest.raises(InputError, match="is being prepared by process"):
        run(deap, tmp_path / "p")


def test_each_participant_and_all_together_tell_how_far_they_are(deap, tmp_path):
    listener = Listener()
    run(deap, tmp_path / "p", "faces.instances=1", progress=listener)
    assert listener.tasks["prepare"] == [7, 7]  # EEG of two, faces of three and two trials
    assert (listener.tasks["s01"], listener.tasks["s29"]) == ([4, 4], [3, 3])


def test_a_full_disk_is_one_sentence_and_nothing_is_broken(deap, whole, tmp_path, monkeypatch):
    out = tmp_path / "p"
    real, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) > 12:  # some parts of the first participant are on the disk by then
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr("milmer_cli.store.atomic.os.fsync", full)
    with pytest.raises(MilmerError, match="The disk is full") as refused:
        run(deap, out)
    assert "what is finished is kept" in refused.value.hint
    assert list(out.glob("**/.*.part")) == []
    monkeypatch.undo()
    run(deap, out)
    assert differing(whole, out) == set()


@pytest.fixture
def broken(deap, tmp_path):
    """The data set with one video and one BDF file cut short."""
    folder = Path(shutil.copytree(deap, tmp_path / "data"))
    video = folder / "face_video" / "s01" / "s01_trial02.avi"
    video.write_bytes(video.read_bytes()[:300])
    bdf = folder / "data_original" / "s29.bdf"
    bdf.write_bytes(bdf.read_bytes()[:-100_000])
    return folder


def test_what_is_broken_is_told_and_left_out_and_the_rest_is_made(broken, tmp_path):
    listener = Listener()
    result = run(broken, tmp_path / "p", progress=listener, source="bdf")
    warnings = " ".join(note for level, note in listener.notes if level == "warning")
    assert "s01, trial 2:" in warnings
    assert "s29 is left out:" in warnings
    assert "truncated" in result.left_out["s29"]
    assert ("left out", "1: s29") in result.summary()
    assert (result.unreadable, result.complete) == (("s01/02",), False)
    with PreparedParticipant.open(tmp_path / "p" / "s01.h5") as p:
        assert set(p.reason[p.trial == 2].ravel()) == {"video not readable"}
        assert not p.found[p.trial == 2].any()
        assert p.found[p.trial == 1].any()


def test_a_broken_participant_that_is_asked_for_is_an_error(broken, tmp_path):
    with pytest.raises(InputError, match="truncated"):
        run(broken, tmp_path / "p", "data.participants=29", participants="29")
