from __future__ import annotations

import shutil
import sys
from pathlib import Path

import av
import h5py
import mne
import numpy as np
import pytest
from torch.utils.data import default_collate

from helpers import RecordingProgress, scalp_eeg, write_discontinuous
from milmer_cli.data.dataset import BagDataset
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import class_names, make_labels
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.datasets.synthetic import SyntheticConfig, generate_dataset
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.errors import InputError
from milmer_cli.preparation import jobs
from milmer_cli.preparation.input_check import check_manifest
from milmer_cli.preparation.plan import plan_participant
from milmer_cli.settings import load_settings
from milmer_cli.stages.prepare import prepare
from milmer_cli.store import PreparedStore, validate_store, write_index

SMALL = ["eeg.segment_s=2", "faces.instances=2", "faces.image_size=64", "run.workers=1"]
HEADER = "participant,trial,stimulus,eeg,eeg_onset_s,video,video_onset_s,duration_s,label"
# Other caps and rates, trials of 4, 8 and 6 s, no video, no EEG, an EEG that ends within the trial.
ROWS = [
    "P1,1,a,p1_raw.fif,2,joy.avi,0,4,joy",
    "P1,2,b,p1_raw.fif,8,,,8,fear",
    "P2,1,a,p2_raw.fif,1,joy.avi,0.5,4,joy",
    "P2,2,b,p2_raw.fif,26,joy.avi,0,6,",
    "P3,1,b,,,joy.avi,0,4,fear",
]


def record(path, names, sfreq, seconds):
    """A 10 Hz sine of 10 microvolts whose phase depends on the electrode."""
    times = np.arange(round(sfreq * seconds)) / sfreq
    phase = 2 * np.pi * np.arange(len(names))[:, None] / len(names)
    data = 10e-6 * np.sin(2 * np.pi * 10 * times + phase)
    raw = mne.io.RawArray(data, mne.create_info(names, sfreq, "eeg"), verbose="error")
    raw.save(path, verbose="error")


@pytest.fixture(scope="session")
def manifest(made_once):
    def make(folder):
        spec = SyntheticConfig(
            participants=1, trials=2, stimulus_s=6.0, formats=("bdf",), expression_images=0
        )
        truth = generate_dataset(folder, spec, workers=1)
        (folder / truth.participants[0].trials[0].video).rename(folder / "joy.avi")
        record(folder / "p1_raw.fif", ["AF3", "F7", "T7", "O1", "O2", "Cz"], 256.0, 30)
        record(folder / "p2_raw.fif", ["Cz", "Pz", "O2", "O1", "T7", "Fz"], 300.0, 30)
        (folder / "table.csv").write_text("\n".join([HEADER, *ROWS]) + "\n")

    return made_once("manifest-data", make) / "table.csv"


@pytest.fixture(scope="session")
def store(made_once, manifest):
    settings = load_settings(overrides=SMALL)
    folder = made_once(
        "manifest-store", lambda out: prepare(ManifestRecordings(manifest), out, settings)
    )
    return PreparedStore.open(folder)


def test_prepare_manifest_stores_the_common_electrodes(store):
    for name in ("P1", "P2", "P3"):
        assert store.participant(name).channels == ("T7", "O1", "O2", "Cz")
        assert store.participant(name).eeg.shape[1:] == (4, 256)
    assert [
        finding for finding in validate_store(store.folder) if finding.severity == "error"
    ] == []


def test_prepare_manifest_keeps_microvolts_at_other_rates(store):
    for name in ("P1", "P2"):
        p = store.participant(name)
        spread = p.eeg[0].std(axis=1)
        assert 3 < spread.mean() < 10 / np.sqrt(2) * 1.3  # 10 uV less what the reference takes


def test_prepare_manifest_stores_the_recorded_segments(store):
    segments = store.segments()
    trials = {
        str(trial): (
            int((segments.trial_id == trial).sum()),
            segments.eeg_found[segments.trial_id == trial].tolist(),
            (segments.faces_found[segments.trial_id == trial] > 0).any(),
        )
        for trial in np.unique(segments.trial_id)
    }
    assert trials == {
        "P1/01": (2, [True] * 2, True),
        "P1/02": (4, [True] * 4, False),
        "P2/01": (2, [True] * 2, True),
        "P2/02": (3, [True, True, False], True),  # 4 s of EEG and 6 s of video
        "P3/01": (2, [False] * 2, True),
    }


def test_prepare_manifest_labels_reach_the_batches(store):
    settings = load_settings(overrides=["data.target=label"])
    segments = store.segments()
    labels = make_labels(segments.ratings, settings.data, segments.label)
    assert class_names("label", segments.label) == ("fear", "joy")
    named = np.flatnonzero(labels >= 0)
    assert {str(trial) for trial in segments.trial_id[named]} == {
        "P1/01", "P1/02", "P2/01", "P3/01"
    }  # fmt: skip
    bags = BagDataset(LabeledSegments(store, segments, labels, ("fear", "joy")), named)
    batch = default_collate([bags[item] for item in range(len(bags))])
    assert batch["eeg"].shape == (10, 4, 256)
    assert batch["faces"].shape == (10, 2, 64, 64, 3)
    assert np.isfinite(batch["eeg"].numpy()).all()
    assert batch["labels"].tolist() == [1, 1, 0, 0, 0, 0, 1, 1, 0, 0]


@pytest.mark.slow
def test_prepare_manifest_keeps_unchanged_participants(manifest, store, tmp_path):
    out = tmp_path / "prepared"
    settings = load_settings(overrides=SMALL)
    text = manifest.read_text()
    part = manifest.with_name("part.csv")
    part.write_text("\n".join(line for line in text.splitlines() if not line.startswith("P3")))
    prepare(ManifestRecordings(part), out, settings)
    result = prepare(ManifestRecordings(manifest), out, settings)
    assert (result.prepared, result.unchanged) == (("P3",), ("P1", "P2"))


def test_prepare_manifest_adds_sessions_to_a_store_of_format_2(
    manifest, store, tmp_path, monkeypatch
):
    out = Path(shutil.copytree(store.folder, tmp_path / "prepared"))
    for path in out.glob("*.h5"):
        with h5py.File(path, "r+") as file:
            file.attrs["format"] = 2
    write_index(out, store.settings, store.participants)
    header, *rows = manifest.read_text().splitlines()
    sessions = ["morning,Listening", "evening,Speaking", ",", ",", ","]
    with_sessions = manifest.with_name("sessions.csv")
    lines = [f"{row},{text}" for row, text in zip(rows, sessions, strict=True)]
    with_sessions.write_text("\n".join([f"{header},session,condition", *lines]))
    monkeypatch.setattr(jobs, "segment_eeg", None)
    monkeypatch.setattr(jobs, "iter_face_segments", None)
    progress, settings = RecordingProgress(), load_settings(overrides=SMALL)
    result = prepare(ManifestRecordings(with_sessions), out, settings, progress=progress)
    assert (result.prepared, result.unchanged) == (("P1",), ("P2", "P3"))
    expected = (
        "P1: sessions, conditions, ratings, class names or stimuli changed: the EEG is reused"
    )
    assert expected in progress.text
    updated, before = PreparedStore.open(out).participant("P1"), store.participant("P1")
    np.testing.assert_array_equal(updated.eeg[:], before.eeg[:])
    assert [updated.encoded_faces(n) for n in range(6)] == [
        before.encoded_faces(n) for n in range(6)
    ]
    segments = PreparedStore.open(out).segments()
    assert dict.fromkeys(segments.trial_id.tolist()).keys() == {
        "P1/morning/01", "P1/evening/02", "P2/01", "P2/02", "P3/01"
    }  # fmt: skip
    assert segments.condition[:6].tolist() == ["Listening"] * 2 + ["Speaking"] * 4
    assert (out / "coverage.csv").read_text().splitlines()[1].startswith("P1,morning,1,")


def test_check_manifest_counts_and_missing_inputs(manifest):
    found = check_manifest(manifest, load_settings())
    table = {row[0]: row[1:] for row in found.rows}
    assert table["P1"][:5] == ("2", "2", "256", "1", "4-8")
    assert table["P3"][:5] == ("1", "0", "-", "1", "4")
    told = " ".join(value for _, value in found.summary())
    assert "P3 trial 1. No EEG" in told
    assert "P2 trial 2. A trial without valence and arousal, or a label" in told
    assert "the EEG ends 2.0 s before the trial." in told
    assert "--set data.target=label" in told
    assert found.usable
    assert found.to_json()["classes"]["P1"]["no class"] == 2

    assert table["all"][:5] == ("5", "4", "", "4", "")
    assert found.to_json()["participants"][0] == {
        "participant": "P1", "trials": 2, "EEG": 2, "Hz": [256.0], "videos": 1,
        "seconds": [4.0, 8.0],
    }  # fmt: skip

    by_label = check_manifest(manifest, load_settings(overrides=["data.target=label"]))
    assert by_label.columns[-3:] == ("fear", "joy", "no class")
    assert {row[0]: row[-3:] for row in by_label.rows} == {
        "P1": ("1", "1", "0"),
        "P2": ("0", "1", "1"),
        "P3": ("1", "0", "0"),
        "all": ("2", "2", "1"),
    }


def test_prepare_names_the_extra_that_icalabel_needs_before_any_work(
    tmp_path, monkeypatch, manifest
):
    monkeypatch.setitem(sys.modules, "mne_icalabel", None)
    settings = load_settings(overrides=[*SMALL, "eeg.eog_correction=icalabel"])
    with pytest.raises(InputError, match="needs the package mne-icalabel"):
        prepare(ManifestRecordings(manifest), tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()


def test_prepare_keeps_the_segments_of_a_gap_without_eeg(tmp_path):
    """Also if the EEG is reused from the store: it must not move to the segments of the gap."""
    eeg = scalp_eeg(GENEVA, 25)
    write_discontinuous(tmp_path / "p1.edf", GENEVA, eeg)
    rows = [HEADER, "P1,1,a,p1.edf,3,,,28,joy", "P1,2,b,p1.edf,20,,,9,fear"]
    (tmp_path / "table.csv").write_text("\n".join(rows) + "\n")
    recordings = ManifestRecordings(tmp_path / "table.csv")
    out = tmp_path / "prepared"
    own = ["eeg.segment_s=3", "eeg.notch_hz=0", "eeg.eog_correction=none", "run.workers=1"]
    stored = []
    for image_size in (64, 32):
        settings = load_settings(overrides=[*own, f"faces.image_size={image_size}"])
        prepare(recordings, out, settings)
        with PreparedStore.open(out).participant("P1") as participant:
            assert participant.trial[()].tolist() == [1] * 9 + [2] * 3
            # the gap is from 10 to 17.25 s of the file, and the first trial starts at 3 s
            found = [True] * 2 + [False] * 3 + [True] * 4
            assert participant.eeg_found[()].tolist() == found + [True] * 3
            assert "contain a gap of the recording: 3." in " ".join(participant.notes["messages"])
            stored.append(participant.eeg[()])
    np.testing.assert_array_equal(stored[0], stored[1])


REAL_WORLD_SETTINGS = [*SMALL, "data.target=label", "faces.detector=centerface"]


@pytest.fixture
def real_world_manifest(tmp_path, write_video):
    """A raw stream, a second stream with the face, and a file that was partly copied."""
    noise = np.random.default_rng(0)

    def move(frame, t):
        frame[300:] = noise.integers(0, 256, (20, 400, 3))

    whole = write_video(tmp_path / "whole.mp4", 4.0, fps=10, change=move)
    copy_streams(whole, tmp_path / "two.mkv", blank_first=True)
    copy_streams(whole, tmp_path / "raw.h264")
    copy_streams(whole, tmp_path / "part.mkv")
    content = (tmp_path / "part.mkv").read_bytes()
    (tmp_path / "part.mkv").write_bytes(content[: len(content) // 2])
    header = "participant,trial,stimulus,video,video_stream,video_fps,duration_s,label"
    rows = [
        "P1,1,a,two.mkv,,,4,joy",
        "P1,2,b,two.mkv,1,,4,fear",
        "P1,3,c,raw.h264,,10,4,joy",
        "P1,4,d,raw.h264,,20,4,joy",
        "P1,5,e,raw.h264,,,4,joy",
        "P1,6,f,part.mkv,,,4,joy",
    ]
    table = tmp_path / "table.csv"
    table.write_text("\n".join([header, *rows]) + "\n")
    return table


def test_check_manifest_reports_real_world_videos(real_world_manifest):
    check = check_manifest(real_world_manifest, load_settings(overrides=REAL_WORLD_SETTINGS))

    assert "two.mkv has several video streams" in " ".join(check.notes)
    problems = {entry.what: entry for entry in check.missing}
    assert "no time stamps" in problems["raw.h264"].why
    assert "video_fps" in problems["raw.h264"].fix
    assert "is incomplete" in problems["part.mkv"].why
    assert check.rows[0][4] == "5"  # usable videos; the incomplete one is among them


def test_plan_extracts_faces_again_if_the_stream_or_frame_rate_changes(
    tmp_path, real_world_manifest
):
    def fingerprint():
        recordings = ManifestRecordings(real_world_manifest)
        settings = load_settings(overrides=REAL_WORLD_SETTINGS)
        plan = plan_participant(recordings, "P1", tmp_path / "out", settings, "centerface")
        return plan.fingerprints["faces"]

    fingerprints = {fingerprint()}
    text = real_world_manifest.read_text()
    for old, new in (("two.mkv,1,", "two.mkv,2,"), ("raw.h264,,20", "raw.h264,,21")):
        real_world_manifest.write_text(text.replace(old, new))
        fingerprints.add(fingerprint())

    assert len(fingerprints) == 3


@pytest.mark.slow
def test_prepare_real_world_videos(tmp_path, real_world_manifest):
    settings = load_settings(overrides=REAL_WORLD_SETTINGS)
    progress = RecordingProgress()
    out = tmp_path / "out"

    prepare(ManifestRecordings(real_world_manifest), out, settings, progress=progress)

    with PreparedStore.open(out).participant("P1") as participant:
        shares = [participant.found[participant.trial == trial].mean() for trial in range(1, 7)]
    # at twice the frame rate, the raw stream lasts 2 s only
    np.testing.assert_allclose(shares[:5], [1, 0, 1, 0.5, 0], atol=0.01)
    assert 0.3 < shares[5] < 0.9
    warned = " ".join(progress.warnings)
    assert f"P1, trial 1: {tmp_path}" in warned
    assert "Stream 2 is used" in warned
    assert f"P1, trial 2: {tmp_path}" not in warned
    assert "State the frame rate" in warned


def copy_streams(source_path, target_path, blank_first=False):
    """Copy the packets of a video; ``blank_first`` adds a stream without a face before it."""
    with av.open(str(source_path)) as source, av.open(str(target_path), "w") as target:
        video = source.streams.video[0]
        blank = target.add_stream("libx264", rate=10) if blank_first else None
        copied = target.add_stream_from_template(video)
        if blank is not None:
            blank.width, blank.height, blank.pix_fmt = 64, 64, "yuv420p"
        image = np.full((64, 64, 3), 90, np.uint8)
        for packet in source.demux(video):
            if packet.dts is None:
                continue
            if blank is not None:
                target.mux(blank.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            packet.stream = copied
            target.mux(packet)
        if blank is not None:
            target.mux(blank.encode())


def test_check_manifest_does_not_add_rates_and_durations(tmp_path, write_edf, make_eeg):
    write_edf(tmp_path / "a.edf", GENEVA, make_eeg(12.0))
    rows = [f"P{n},1,1,a.edf,2,6,7,6" for n in (1, 2)]
    header = "participant,trial,stimulus,eeg,eeg_onset_s,duration_s,valence,arousal"
    path = tmp_path / "trials.csv"
    path.write_text("\n".join([header, *rows]))
    check = check_manifest(path, load_settings())
    columns = dict(zip(check.columns, zip(*check.rows, strict=True), strict=True))
    assert columns["trials"] == ("1", "1", "2")
    assert columns["Hz"] == ("128", "128", "")
    assert columns["seconds"] == ("6", "6", "")
