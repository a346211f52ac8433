from __future__ import annotations

import json
import sys
from pathlib import Path

import mne
import numpy as np
import pytest

from helpers import read_csv
from milmer_cli.datasets.bids.listing import list_bids
from milmer_cli.datasets.bids.writer import write_bids
from milmer_cli.datasets.listing import write_listing
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import DataSettings

pytest.importorskip("mne_bids")
DATA = DataSettings()
COLUMNS = (
    "participant,session,trial,stimulus,eeg,eeg_onset_s,video,video_onset_s,duration_s,"
    "valence,valence_range,arousal,label,eog,eeg_bads,line_freq_hz"
)
ROWS = (
    "P-1,day 1,1,joy_03,a.edf,5,a.mp4,3.25,6,70,0-100,2,joy,C3-C4,F3;F4,50",
    "P-1,day 1,2,fear_11,a.edf,20.125,a.mp4,18.375,7.5,,,8,fear,C3-C4,F3;F4,50",
    "P-1,day 2,1,fear_11,b.edf,2,,,6,30,0-100,3,fear,,,",
    "P-1,day 2,2,sad_02,c.edf,8,b.mp4,0.5,5,30,0-100,3,sad,,O1,",
    "P-1,day 2,4,joy_03,c.edf,20,c.mp4,0.25,5,30,0-100,3,joy,,O1,",
    "s02,,3,joy_03,d_raw.fif,4,d.mp4,1,6,55,0-100,5,joy,,,60",
    "s02,,1,fear_11,d_raw.fif,14,d.mp4,11.5,6,55,0-100,5,fear,,,60",
    "s02,,2,sad_02,,,d.mp4,2,6,55,0-100,5,sad,,,",
    "s02,,4,joy_03,,,d.mp4,20,6,55,0-100,5,joy,,,",
)


def _make_manifest(bids, root: Path) -> Path:
    bids.root = root
    for name in ("a", "b", "c"):
        bids.eeg(f"{name}.edf", [8.0])
    names = ["Fp1", "Fp2", "F3", "Cz"]
    data = np.random.default_rng(1).normal(0, 1e-5, (4, 128 * 30))
    data[0, 128 * 4] = 400e-6
    raw = mne.io.RawArray(data, mne.create_info(names, 128.0, "eeg"), verbose="error")
    raw.save(bids.root / "d_raw.fif", verbose="error")
    for name, seconds in (("a", 30), ("b", 6), ("c", 6), ("d", 30)):
        bids.video(f"{name}.mp4", seconds)
    return bids.write("recordings.csv", COLUMNS, *ROWS)


@pytest.fixture
def manifest(bids, tmp_path):
    return _make_manifest(bids, tmp_path / "source")


@pytest.fixture(scope="module")
def written(bids_folder, tmp_path_factory):
    """Return the manifest, the data set that was written from it, and the result."""
    folder = tmp_path_factory.mktemp("written")
    manifest = _make_manifest(bids_folder(folder), folder / "source")
    return manifest, folder / "out", write_bids(manifest, folder / "out", DATA, "emotion")


def _read_back(root: Path, folder: Path) -> list[dict[str, str]]:
    written = write_listing(list_bids(root, DATA), folder / "same.csv").manifest
    ManifestRecordings(written)  # the manifest is valid
    return read_csv(written)


def _comparable(rows):
    numbers = ("eeg_onset_s", "video_onset_s", "duration_s", "valence", "arousal", "line_freq_hz")
    comparable = [
        {
            name: round(float(cell), 3) if name in numbers else cell
            for name, cell in {**row, "eeg": "", "video": str(bool(row["video"]))}.items()
            if cell
        }
        for row in rows
    ]
    return sorted(comparable, key=lambda row: (row["participant"], row["trial"], row["stimulus"]))


def test_write_bids_gives_the_same_manifest_when_it_is_read(written, tmp_path):
    manifest, out, result = written
    assert (result.participants, result.recordings, result.videos, result.trials) == (2, 5, 5, 9)
    assert _comparable(_read_back(out, tmp_path)) == _comparable(read_csv(manifest))


def test_write_bids_keeps_signals_and_videos(written):
    manifest, out, _ = written
    session, stem = out / "sub-P1/ses-day1", "sub-P1_ses-day1_task-emotion"
    original = manifest.parent
    assert (session / f"eeg/{stem}_eeg.edf").read_bytes() == (original / "a.edf").read_bytes()
    video = session / f"beh/{stem}_recording-face_video.mp4"
    assert video.read_bytes() == (original / "a.mp4").read_bytes()
    converted = out / "sub-s02/eeg/sub-s02_task-emotion_run-01_eeg.bdf"
    data = [
        mne.io.read_raw(path, verbose="error").get_data(picks=["Fp1", "Fp2", "F3", "Cz"])
        for path in (converted, original / "d_raw.fif")
    ]
    assert np.abs(data[0] - data[1]).max() < 1e-10  # volts


def test_write_bids_aligns_videos_by_acq_time(written):
    session = written[1] / "sub-P1/ses-day1"
    (events,) = session.glob("eeg/*_events.tsv")
    assert "video" not in events.read_text(encoding="utf-8").splitlines()[0].split("\t")
    (scans,) = session.glob("*_scans.tsv")
    times = [line.split("\t")[1][-9:] for line in scans.read_text("utf-8").splitlines()[1:]]
    assert times == ["0.000000Z", "1.750000Z"]


def test_write_bids_states_what_other_programs_need(written):
    import mne_bids

    path = mne_bids.BIDSPath(
        subject="P1", session="day1", task="emotion", datatype="eeg", root=written[1]
    )
    raw = mne_bids.read_raw_bids(path, verbose="error")
    assert raw.info["bads"] == ["F3", "F4"]
    assert raw.info["line_freq"] == 50.0
    types = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    assert (types["C3"], types["P3"]) == ("eog", "eeg")
    assert [a["onset"] for a in raw.annotations] == [5.0, 20.125]
    document = json.loads((written[1] / "dataset_description.json").read_text("utf-8"))
    assert document["Name"] == "recordings"


def test_write_bids_leaves_out_what_cannot_be_written(manifest, tmp_path):
    text = manifest.read_text(encoding="utf-8")
    row = "s03,,1,joy_03,bad.edf,5,,,6,,,,joy,,,\n"
    manifest.write_text(text + row, encoding="utf-8")
    (manifest.parent / "bad.edf").write_text("damaged")
    result = write_bids(manifest, tmp_path / "out", DATA, "emotion")
    assert [item.what for item in result.missing] == ["EEG of s03"]
    assert not list((tmp_path / "out").glob("sub-s03"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["P1,,1,a,a.edf,1,,,3,,,,joy,,,", "P_1,,1,a,b.edf,1,,,3,,,,joy,,,"], "would both be sub-"),
        (["P1,x,1,a,a.edf,1,,,3,,,,joy,,,", "P1,,2,a,b.edf,1,,,3,,,,joy,,,"], "others have none"),
        (["P1,,1,a,a.edf,99,,,3,,,,joy,,,"], "eeg_onset_s is 99 s"),
    ],
)
def test_write_bids_refuses_a_manifest_and_writes_nothing(manifest, tmp_path, rows, message):
    manifest.write_text("\n".join([COLUMNS, *rows]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        write_bids(manifest, tmp_path / "out", DATA, "emotion")
    assert not (tmp_path / "out").exists()


def test_write_bids_refuses_an_existing_folder_a_wrong_task_and_settings(manifest, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="out exists"):
        write_bids(manifest, tmp_path / "out", DATA, "emotion")
    with pytest.raises(InputError, match="--task: expected letters and digits"):
        write_bids(manifest, tmp_path / "new", DATA, "my task")
    with pytest.raises(InputError, match="cannot be written as BIDS"):
        write_bids(manifest, tmp_path / "new", DataSettings(eeg_unit="V"), "emotion")


def test_write_bids_interrupted_leaves_nothing(manifest, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("broken")

    monkeypatch.setattr("milmer_cli.datasets.bids.writer.shutil.copyfile", fail)
    with pytest.raises(Exception, match="broken"):
        write_bids(manifest, tmp_path / "out", DATA, "emotion")
    assert not [path.name for path in tmp_path.iterdir() if "out" in path.name]


def test_write_bids_without_mne_bids_names_the_extra(manifest, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mne_bids", None)
    with pytest.raises(InputError, match="not installed") as error:
        write_bids(manifest, tmp_path / "out", DATA, "emotion")
    assert "milmer-cli[bids]" in error.value.hint
