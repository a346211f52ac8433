"""prepare: content of the store, what is computed again, and damaged recordings."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.signal import welch

from helpers import RecordingProgress
from milmer_cli.datasets.deap.recordings import DeapRecordings
from milmer_cli.errors import InputError, MilmerError
from milmer_cli.folder_lock import FolderLock
from milmer_cli.preparation import jobs, plan
from milmer_cli.preparation.plan import plan_participant
from milmer_cli.progress import SILENT
from milmer_cli.settings import load_settings
from milmer_cli.stages import prepare as stage
from milmer_cli.stages.prepare import prepare, prepare_dry_run
from milmer_cli.store import PreparedParticipant, PreparedStore, validate_store, write_index
from milmer_cli.store.schema import CACHE_FOLDER

SMALL = ["eeg.segment_s=2", "faces.instances=2", "faces.image_size=64", "run.workers=1"]


@pytest.fixture
def store(prepared, tmp_path):
    """A copy of the store that a test may change."""
    return Path(shutil.copytree(prepared, tmp_path / "prepared"))


def run(deap, out, *more, progress=None, **source):
    settings = load_settings(overrides=[*SMALL, *more])
    return prepare(DeapRecordings(deap, **source), out, settings, progress=progress or SILENT)


def content(folder):
    """Every dataset and attribute of every participant's file, by file and name."""
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


def differing(first, second):
    """Names of what differs between two stores, except settings and fingerprints."""
    a, b = content(first), content(second)
    assert a.keys() == b.keys()
    return {key[1] for key in a if key[-1] not in ("settings", "fingerprints") and a[key] != b[key]}


def test_prepare_stores_every_trial_with_eeg_and_faces(prepared):
    segments = PreparedStore.open(prepared).segments()
    assert len(segments) == 2 * 3 * 2
    assert segments.eeg_found.all()
    with PreparedParticipant.open(prepared / "s01.h5") as p:
        assert p.eeg.shape == (6, 32, 256)
        assert np.isfinite(p.eeg[()]).all()
        assert p.found.mean() > 0.5
        assert set(p.notes) == {
            *("interpolated", "eog_components", "eog_variance", "messages", "preprocessed"),
            *("eog_method", "sources", "synthetic"),
        }
        assert p.notes["eog_method"] == ["eog_regression"]
        (variance,) = p.notes["eog_variance"]
        assert 0 < variance < 1
        share = f"{100 * variance:.0f} % of the variance at Fp1, AF3, Fp2, AF4 removed."
        assert f"Eye artifacts: regression on 2 EOG channels, {share}" in p.notes["messages"]
        assert not p.notes["preprocessed"]
    assert [finding for finding in validate_store(prepared) if finding.severity == "error"] == []
    assert len((prepared / "coverage.csv").read_text().splitlines()) == 1 + 6
    assert not (prepared / CACHE_FOLDER).exists()


def test_prepare_again_changes_nothing(deap, store):
    before = {path: path.stat().st_mtime_ns for path in store.glob("*.h5")}
    result = run(deap, store)
    assert (result.prepared, result.unchanged) == ((), ("s01", "s29"))
    assert {path: path.stat().st_mtime_ns for path in store.glob("*.h5")} == before


def test_prepare_new_filter_reuses_the_faces(deap, prepared, store, monkeypatch):
    monkeypatch.setattr(jobs, "iter_face_segments", None)  # calling it would fail
    progress_sink = RecordingProgress()
    run(deap, store, "eeg.band_hz=[4,40]", progress=progress_sink)
    expected = "s01: eeg.band_hz was [1.0, 50.0] and is [4.0, 40.0]: the EEG is preprocessed again"
    assert f"{expected}, the faces are reused." in progress_sink.text
    # the notes, an attribute of the file, state the share of the eye artifacts
    assert differing(prepared, store) == {"/", "eeg", "quality/ptp_uv"}


def test_prepare_replaces_the_eeg_of_a_store_of_format_1(deap, prepared, store, monkeypatch):
    """Its file has no quality; a fingerprint of format 1 did not name the format."""
    with h5py.File(store / "s01.h5", "r+") as file:
        del file["quality"]
        file.attrs["format"] = 1
        prints = json.loads(file.attrs["fingerprints"])
        file.attrs["fingerprints"] = json.dumps(prints | {"eeg": "of format 1"})
    write_index(store, PreparedStore.open(prepared).settings, ["s01", "s29"])
    monkeypatch.setattr(jobs, "iter_face_segments", None)
    progress_sink = RecordingProgress()
    run(deap, store, progress=progress_sink)
    expected = "s01: the file has format 1: the EEG is preprocessed again, the faces are reused."
    assert expected in progress_sink.text
    assert differing(prepared, store) == set()
    assert "s29" not in progress_sink.text.replace("s01, s29", "")


def test_prepare_fingerprint_names_the_format_of_the_store(deap, store, monkeypatch):
    recordings, settings = DeapRecordings(deap), load_settings()
    prints = plan_participant(recordings, "s01", store, settings, "dlib").fingerprints
    monkeypatch.setattr(plan, "EEG_VERSION", 99)
    others = plan_participant(recordings, "s01", store, settings, "dlib").fingerprints
    assert {name for name in prints if prints[name] != others[name]} == {"eeg"}


def dry_run(deap, out, *more, progress=SILENT):
    settings = load_settings(overrides=[*SMALL, *more])
    return prepare_dry_run(DeapRecordings(deap), out, settings, progress=progress)


def test_prepare_dry_run_counts_the_work_and_writes_nothing(deap, tmp_path):
    result = dry_run(deap, tmp_path / "out")
    assert (result.prepared, result.unchanged) == (("s01", "s29"), ())
    assert (result.trials, result.segments) == (6, 12)
    assert (result.eeg_parts, result.face_parts) == (2, 5)  # the last trial of s29 has no video
    assert result.video_s == pytest.approx(5 * 4, abs=0.5)
    assert result.complete
    assert list(tmp_path.iterdir()) == []
    json.dumps(result.to_json())


@pytest.mark.parametrize(
    ("change", "parts"),
    [("eeg.band_hz=[4,40]", (2, 0)), ("faces.image_size=32", (0, 5)), ("seed=3", (0, 0))],
)
def test_prepare_dry_run_counts_only_what_changed(deap, store, change, parts):
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    progress = RecordingProgress()
    result = dry_run(deap, store, change, progress=progress)
    assert (result.eeg_parts, result.face_parts) == parts
    assert len(result.unchanged) == (2 if parts == (0, 0) else 0)
    assert ("s01:" in progress.text) == (parts != (0, 0))
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


def test_prepare_dry_run_fails_like_prepare(deap, tmp_path):
    for change in ("eeg.segment_s=50", "faces.detector=yunet"):
        more = (change, f"faces.weights_dir={tmp_path / 'weights'}")
        messages = []
        for work in (run, dry_run):
            with pytest.raises(MilmerError) as caught:
                work(deap, tmp_path / "out", *more)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_prepare_new_face_size_reuses_the_eeg(deap, prepared, store, monkeypatch):
    monkeypatch.setattr(jobs, "segment_eeg", None)
    run(deap, store, "faces.image_size=32")
    assert differing(prepared, store) == {"faces", "faces/encoded", "faces/offsets"}


def test_prepare_new_ratings_reuse_eeg_and_faces(deap, prepared, store, tmp_path, monkeypatch):
    other = Path(shutil.copytree(deap, tmp_path / "data", copy_function=os.symlink))
    table = other / "metadata_csv" / "participant_ratings.csv"
    text = table.read_text()
    table.unlink()
    rows = [line.split(",") for line in text.splitlines()]
    liking = rows[0].index("Liking")
    for row in rows[1:]:
        row[liking] = "1.23"
    table.write_text("\n".join(",".join(row) for row in rows) + "\n")
    monkeypatch.setattr(jobs, "segment_eeg", None)
    monkeypatch.setattr(jobs, "iter_face_segments", None)
    progress_sink = RecordingProgress()
    run(other, store, progress=progress_sink)
    assert "ratings, class names or stimuli changed" in progress_sink.text
    assert differing(prepared, store) == {"ratings"}


@pytest.mark.slow
def test_prepare_dat_and_mat_give_the_same_store(deap, tmp_path):
    for source in ("dat", "mat"):
        run(deap, tmp_path / source, "faces.instances=1", source=source)
    assert differing(tmp_path / "dat", tmp_path / "mat") == set()
    with PreparedParticipant.open(tmp_path / "dat" / "s01.h5") as p:
        assert p.notes["preprocessed"]
        assert p.settings["eeg"]["band_hz"] == [4.0, 45.0]


@pytest.mark.slow
def test_prepare_raw_and_preprocessed_eeg_have_the_same_band(deap, tmp_path):
    """s01 is read from the preprocessed file and s29 from the raw one, limited to 4 to 45 Hz."""
    mixed = Path(shutil.copytree(deap, tmp_path / "data", copy_function=os.symlink))
    (mixed / "data_original" / "s01.bdf").unlink()
    progress_sink = RecordingProgress()
    run(mixed, tmp_path / "mixed", "faces.instances=1", progress=progress_sink)
    assert "All EEG of the store has the band 4 to 45 Hz" in progress_sink.text
    run(deap, tmp_path / "raw", "faces.instances=1", "eeg.band_hz=[4,45]")
    store = PreparedStore.open(tmp_path / "mixed")
    assert store.settings["eeg"]["band_hz"] == [4.0, 45.0]
    raw = PreparedStore.open(tmp_path / "raw")
    # the raw recording of s01 has blinks and noise that its preprocessed file lacks
    for name, least in (("s01", 0.9), ("s29", 0.9999)):
        eeg, expected = (np.concatenate(list(s.participant(name).eeg), 1) for s in (store, raw))
        correlation = [np.corrcoef(a, b)[0, 1] for a, b in zip(eeg, expected, strict=True)]
        assert np.median(correlation) > least, name
        frequencies, power = welch(eeg, 128, nperseg=128)
        assert np.median(power[:, frequencies <= 2]) < 0.05 * np.median(power[:, frequencies == 10])


@pytest.mark.slow
def test_prepare_adds_participants_to_the_store(deap, prepared, tmp_path):
    run(deap, tmp_path / "p", participants="1")
    result = run(deap, tmp_path / "p", participants="29")
    assert result.prepared == ("s29",)
    assert PreparedStore.open(tmp_path / "p").participants == ["s01", "s29"]
    assert differing(prepared, tmp_path / "p") == set()


def test_prepare_reports_the_coverage_of_each_participant(deap, prepared, tmp_path, monkeypatch):
    result = run(deap, shutil.copytree(prepared, tmp_path / "p"))
    for name in ("s01", "s29"):
        with PreparedParticipant.open(prepared / f"{name}.h5") as p:
            decoded = np.isfinite(p.time)
            assert result.face_coverage[name] == pytest.approx(p.found[decoded].mean())
    (shares,) = [value for label, value in result.summary() if label == "faces by participant"]
    lowest, highest = sorted(result.face_coverage.items(), key=lambda item: item[1])
    assert shares == ", ".join(f"{name} {share:.1%}" for name, share in (lowest, highest))


@pytest.mark.slow
def test_prepare_warns_of_few_faces(deap, tmp_path, monkeypatch):
    def none_found(detector, images, previous=()):
        return [[] for _ in images]

    monkeypatch.setattr("milmer_cli.faces.extract.detect_in_frames", none_found)
    progress_sink = RecordingProgress()
    result = run(deap, tmp_path / "p", "data.participants=1", progress=progress_sink)
    assert result.face_coverage["s01"] == 0
    (warning,) = [text for text in progress_sink.warnings if "s01: a face was found" in text]
    assert "only 0% of the frames (no face: 12)" in warning
    assert "milmer inspect" in warning
    assert "faces.detector" in warning


def test_prepare_refuses_a_locked_store(deap, tmp_path):
    with (
        FolderLock(tmp_path / "p"),
        pytest.raises(InputError, match="is being prepared by process"),
    ):
        run(deap, tmp_path / "p")


@pytest.mark.slow
def test_prepare_reports_progress_in_total_and_by_participant(deap, tmp_path):
    progress_sink = RecordingProgress()
    run(deap, tmp_path / "p", "faces.instances=1", progress=progress_sink)
    assert (progress_sink.amounts["prepare"], progress_sink.totals["prepare"]) == (
        7,
        7,
    )  # EEG of two, faces of three and two trials
    assert [progress_sink.amounts[name] for name in ("s01", "s29")] == [4, 3]
    assert [progress_sink.totals[name] for name in ("s01", "s29")] == [4, 3]


@pytest.mark.slow
def test_prepare_full_disk_keeps_finished_parts(deap, prepared, tmp_path, monkeypatch):
    out = tmp_path / "p"
    real, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) > 12:  # some parts of the first participant are on the disk
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr("milmer_cli.io.os.fsync", full)
    with pytest.raises(MilmerError, match="The disk is full") as refused:
        run(deap, out)
    assert "finished files are kept" in refused.value.hint
    assert list(out.glob("**/.*.part")) == []
    monkeypatch.undo()
    run(deap, out)
    assert differing(prepared, out) == set()


@pytest.fixture
def damaged(deap, tmp_path):
    """The data set with one truncated video and one truncated BDF file."""
    folder = Path(shutil.copytree(deap, tmp_path / "data"))
    video = folder / "face_video" / "s01" / "s01_trial02.avi"
    video.write_bytes(video.read_bytes()[:300])
    bdf = folder / "data_original" / "s29.bdf"
    bdf.write_bytes(bdf.read_bytes()[:-100_000])
    return folder


def test_prepare_damaged_recordings_are_reported_and_excluded(damaged, tmp_path):
    progress_sink = RecordingProgress()
    result = run(damaged, tmp_path / "p", progress=progress_sink, source="bdf")
    warnings = " ".join(progress_sink.warnings)
    assert "s01, trial 2:" in warnings
    assert "s29 is excluded:" in warnings
    assert "truncated" in result.excluded["s29"]
    assert ("excluded", "1: s29") in result.summary()
    assert (result.unreadable_videos, result.complete) == (("s01/02",), False)
    with PreparedParticipant.open(tmp_path / "p" / "s01.h5") as p:
        assert set(p.reason[p.trial == 2].ravel()) == {"video not readable"}
        assert not p.found[p.trial == 2].any()
        assert p.found[p.trial == 1].any()


def test_prepare_damaged_participant_that_is_selected_is_an_error(damaged, tmp_path):
    with pytest.raises(InputError, match="truncated"):
        run(damaged, tmp_path / "p", "data.participants=29", participants="29")


@pytest.mark.slow
def test_prepare_eeg_that_fails_in_the_preprocessing_excludes_only_its_participant(
    deap, tmp_path, monkeypatch
):
    segment_eeg = jobs.segment_eeg

    def fail(block, *arguments):
        if any("s29" in str(name) for name in block.raw.filenames):
            raise InputError("s29.bdf is damaged.", "Copy it again.")
        return segment_eeg(block, *arguments)

    monkeypatch.setattr(jobs, "segment_eeg", fail)
    progress_sink = RecordingProgress()
    result = run(deap, tmp_path / "p", "run.workers=1", progress=progress_sink, source="bdf")
    assert result.excluded["s29"] == "s29.bdf is damaged."
    assert "s29 is excluded: s29.bdf is damaged. Copy it again." in progress_sink.warnings
    assert PreparedStore.open(tmp_path / "p").participants == ["s01"]
    assert not (tmp_path / "p" / "s29.h5").exists()
    with pytest.raises(InputError, match=r"s29\.bdf is damaged"):
        run(deap, tmp_path / "q", "data.participants=29", "run.workers=1", participants="29")


@pytest.mark.slow
def test_prepare_resumes_after_a_video_disappeared(deap, prepared, tmp_path, monkeypatch):
    select_face_video = jobs.select_face_video
    data, away = tmp_path / "data", tmp_path / "away"
    shutil.copytree(deap, data)

    def fail(video, *arguments):
        video.path.rename(away)
        try:
            return select_face_video(video, *arguments)
        finally:
            monkeypatch.undo()

    monkeypatch.setattr(jobs, "select_face_video", fail)
    first = run(data, tmp_path / "p")
    assert list(first.excluded) == ["s01"]
    assert "s01_trial01.avi disappeared while it was prepared" in first.excluded["s01"]
    away.rename(data / "face_video" / "s01" / "s01_trial01.avi")
    assert run(data, tmp_path / "p").complete
    assert content(tmp_path / "p") == content(prepared)


@pytest.mark.slow
def test_prepare_warns_if_most_channels_are_bad(deap, tmp_path, monkeypatch):
    messages = ("Bad channels were kept.",), ("Most channels are bad.",)
    monkeypatch.setattr("milmer_cli.eeg.preprocess.bad_channel_messages", lambda *_: messages)
    progress_sink = RecordingProgress()
    run(deap, tmp_path / "p", "run.workers=1", progress=progress_sink, source="bdf")
    assert "s01: Most channels are bad." in progress_sink.warnings
    assert not any("were kept" in text for text in progress_sink.warnings)
    with PreparedParticipant.open(tmp_path / "p" / "s01.h5") as participant:
        assert participant.notes["warnings"] == ["Most channels are bad."]
        assert set(sum(messages, ())) <= set(participant.notes["messages"])


@pytest.mark.slow
@pytest.mark.parametrize("with_index", [True, False])
def test_prepare_replaces_a_damaged_file(deap, prepared, store, with_index):
    path = store / "s01.h5"
    content = bytearray(path.read_bytes())
    position = len(content) // 2 if with_index else 0  # in the data, or in the header
    content[position : position + 64] = bytes(64)
    path.write_bytes(content)
    if with_index:
        with pytest.raises(InputError, match=r"s01\.h5 is damaged or has changed") as caught:
            PreparedStore.open(store).participant("s01")
        assert "milmer prepare" in caught.value.hint
    else:
        (store / "index.json").unlink()
    run(deap, store)
    assert differing(prepared, store) == set()


def test_prepare_killed_before_the_index_keeps_the_new_file(deap, store, monkeypatch):
    """The index still has the checksum of the previous file."""

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, "_update_index", stop)
    with pytest.raises(KeyboardInterrupt):
        run(deap, store, "eeg.band_hz=[4,40]")
    monkeypatch.undo()
    monkeypatch.setattr(jobs, "segment_eeg", None)  # calling it would fail
    run(deap, store, "eeg.band_hz=[4,40]")
    assert not (store / ".written.json").exists()
