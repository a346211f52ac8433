from __future__ import annotations

import numpy as np
import pytest

from helpers import read_csv
from milmer_cli.datasets.listing import write_listing
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.datasets.open_recordings import open_listing
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import DataSettings

TWO = ("5.25\t10\tfilm\t7\t3", "20.5\t12\tfilm\t2\t8")


def _findings(listing):
    return "\n".join([*listing.findings, *(f"{m.what}: {m.why} {m.fix}" for m in listing.missing)])


def test_list_bids_finds_trials_sessions_and_runs_in_the_order_of_presentation(bids):
    for run, onset in (("10", 4), ("2", 6)):
        stem = f"sub-01/ses-b/eeg/sub-01_ses-b_task-film_run-{run}"
        bids.recording(stem, f"{onset}\t5\tfilm\t7\t3", f"{onset + 10}\t5\tfilm\t6\t3")
    bids.recording("sub-01/ses-a/eeg/sub-01_ses-a_task-film", "3\t5\tfilm\t1\t1")
    bids.recording("sub-02/eeg/sub-02_task-film", *TWO)
    rows = bids.list().rows
    found = [
        (r["participant"], r["session"], r["trial"], r["eeg_onset_s"], r["eeg"].stem[-7:-4])
        for r in rows
    ]
    assert found == [
        ("sub-01", "ses-a", 1, 3.0, "ilm"),
        ("sub-01", "ses-b", 1, 6.0, "n-2"),
        ("sub-01", "ses-b", 2, 16.0, "n-2"),
        ("sub-01", "ses-b", 3, 4.0, "-10"),
        ("sub-01", "ses-b", 4, 14.0, "-10"),
        ("sub-02", "", 1, 5.25, "ilm"),
        ("sub-02", "", 2, 20.5, "ilm"),
    ]


def test_list_bids_orders_the_recordings_of_a_session_by_acq_time(bids):
    for task in ("film", "music"):
        bids.recording(f"sub-01/eeg/sub-01_task-{task}", "3\t5\tfilm\t1\t1")
    bids.write(
        "sub-01/sub-01_scans.tsv",
        "filename\tacq_time",
        "eeg/sub-01_task-film_eeg.edf\t2020-01-01T10:30:00",
        "eeg/sub-01_task-music_eeg.edf\t2020-01-01T10:00:00",
    )
    assert [row["eeg"].name[12:16] for row in bids.list().rows] == ["musi", "film"]


def test_list_bids_rows_give_the_eeg_at_the_marks(bids, tmp_path):
    bids.recording("sub-01/eeg/sub-01_task-film", *TWO)
    written = write_listing(bids.list(), tmp_path / "recordings.csv")
    for recordings in (
        ManifestRecordings(written.manifest),
        open_listing(bids.list(), DataSettings()),
    ):
        (block,) = recordings.eeg_blocks("sub-01")
        data = block.raw.get_data(picks=["Fp1"])[0]
        marks = np.flatnonzero(data > 300e-6) / block.raw.info["sfreq"]
        assert list(block.onset_s.values()) == marks.tolist() == [5.25, 20.5]
        assert [trial.duration_s for trial in recordings.trials("sub-01")] == [10.0, 12.0]
        assert recordings.trials("sub-01")[1].ratings[:2] == (2.0, 8.0)


def test_list_bids_applies_inherited_sidecars(bids):
    names = ("Fp1", "Fp2", "Cz", "VEOG", "left eye", "GSR1", "Status2")
    bids.recording("sub-01/eeg/sub-01_task-film", *TWO, names=names)
    bids.recording("sub-02/eeg/sub-02_task-film", *TWO, names=names)
    bids.write("eeg.json", '{"PowerLineFrequency": 50}')
    bids.write("sub-02/sub-02_eeg.json", '{"PowerLineFrequency": 60}')
    bids.write(
        "task-film_channels.tsv",
        "name\ttype\tunits\tstatus",
        "Fp1\tEEG\tuV\tgood",
        "Fp2\tEEG\tuV\tbad",
        "Cz\tMISC\tuV\tgood",
        "VEOG\tVEOG\tuV\tgood",
        "left eye\tEOG\tuV\tgood",
        "GSR1\tEEG\tuV\tgood",
        "Missing\tEEG\tV\tgood",
    )
    listing = bids.list()
    first, second = listing.rows[0], listing.rows[-1]
    assert (first["line_freq_hz"], second["line_freq_hz"]) == (50.0, 60.0)
    assert (first["eog"], first["eeg_bads"]) == ("VEOG;left eye", "Fp2")
    recordings = open_listing(listing, DataSettings())
    assert recordings.channels == ("Fp1", "Fp2")
    (block,) = recordings.eeg_blocks("sub-02")
    assert (block.raw.info["bads"], block.raw.info["line_freq"]) == (["Fp2"], 60.0)
    text = _findings(listing)
    assert "lists channels that the file lacks: Missing" in text
    assert "calls channels EEG that are not electrodes by their names" in text
    assert "GSR1" in text


def test_list_bids_reports_units_that_contradict_the_file(bids):
    bids.recording("sub-01/eeg/sub-01_task-film", *TWO)
    bids.write(
        "sub-01/eeg/sub-01_task-film_channels.tsv",
        "name\ttype\tunits",
        *(f"{name}\tEEG\t{unit}" for name, unit in (("Fp1", "V"), ("Fp2", "µV"))),
    )
    assert "states the unit V for Fp1, and the file uV, which is used" in _findings(bids.list())
    assert "states the unit" not in _findings(bids.list(eeg_unit="V"))


def test_list_bids_lists_channels_whose_names_are_not_electrodes(bids):
    names = [f"E{number}" for number in range(1, 13)]
    bids.recording("sub-01/eeg/sub-01_task-film", *TWO, names=names)
    bids.recording("sub-02/eeg/sub-02_task-film", *TWO, names=names[:10])
    for sub in ("01", "02"):
        bids.write(
            f"sub-{sub}/eeg/sub-{sub}_task-film_channels.tsv",
            "name\ttype\tunits",
            *(f"{name}\tEEG\tuV" for name in names[: 12 if sub == "01" else 10]),
        )
    listing = bids.list()
    assert {row["eeg_channels"] for row in listing.rows} == {";".join(names[:10])}
    assert open_listing(listing, DataSettings()).channels == tuple(names[:10])


def test_list_bids_names_what_cannot_be_used_and_lists_the_rest(bids):
    bids.recording("sub-01/eeg/sub-01_task-film", *TWO)
    bids.write("sub-02/eeg/sub-02_task-film_events.tsv", "onset\tduration", "1\t5")
    bids.write("sub-02/eeg/sub-02_task-film_eeg.edf", "damaged")
    (bids.root / "sub-02/eeg/sub-02_task-music_eeg.edf").symlink_to("../../.git/annex/objects/x")
    bids.write("sub-02/eeg/sub-02_task-sound_eeg.edf", "/annex/objects/MD5E-s1--0.edf")
    bids.eeg("sub-02/eeg/sub-02_task-rest_eeg.edf")
    bids.eeg("sub-02/eeg/sub-01_task-rest_eeg.edf")
    bids.eeg("sub-02/eeg/sub-02_ses-1_task-rest_eeg.edf")
    bids.eeg("derivatives/sub-01/eeg/sub-01_task-clean_eeg.edf")
    bids.write("participants.tsv", "participant_id", "sub-01", "sub-03")
    listing = bids.list()
    assert [row["participant"] for row in listing.rows] == ["sub-01"] * 2
    reasons = {item.what: item.why for item in listing.missing}
    assert "not downloaded" in reasons["sub-02/eeg/sub-02_task-music_eeg.edf"]
    assert "not downloaded" in reasons["sub-02/eeg/sub-02_task-sound_eeg.edf"]
    assert "no events.tsv" in reasons["sub-02_task-rest_eeg.edf"]
    assert "sub-02_task-film_eeg.edf" in reasons
    assert "no folder" in reasons["sub-03"]
    text = _findings(listing)
    assert (
        "contradicts its folder (sub-02/eeg/sub-01_task-rest_eeg.edf, sub-02/eeg/sub-02_ses" in text
    )
    assert "participants.tsv does not list all folders (sub-02)" in text


def test_list_bids_follows_and_reports_links_out_of_the_data_set(bids, tmp_path):
    path = bids.recording("sub-01/eeg/sub-01_task-film", *TWO)
    path.rename(tmp_path / "elsewhere.edf")
    path.symlink_to(tmp_path / "elsewhere.edf")
    listing = bids.list()
    assert len(listing.rows) == 2
    assert "leaves the data set" in _findings(listing)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ("n/a\t10\tfilm\t7\t3", "without an onset"),
        ("x\t10\tfilm\t7\t3", "onset: expected seconds, got 'x'"),
        ("-2\t10\tfilm\t7\t3", "before the recording"),
        ("3\tn/a\tfilm\t7\t3", "without a duration"),
        ("3\tNaN\tfilm\t7\t3", "without a duration"),
        ("3\t90000\tfilm\t7\t3", "more than a day"),
        ("400\t10\tfilm\t7\t3", "after the end of the recording are left out"),
    ],
)
def test_list_bids_leaves_out_events_without_a_valid_time(bids, events, words):
    bids.eeg("sub-01/eeg/sub-01_task-film_eeg.edf", [5])
    header = "onset\tduration\ttrial_type\tvalence\tarousal"
    bids.write(
        "sub-01/eeg/sub-01_task-film_events.tsv", header, events, "5\t10\tfilm\t7\t3", end="\r\n"
    )
    listing = bids.list(trial_type="film")
    assert [row["eeg_onset_s"] for row in listing.rows] == [5.0]
    assert words in _findings(listing)


def test_list_bids_reports_samples_that_contradict_onsets(bids):
    header = "onset\tduration\ttrial_type\tvalence\tarousal\tsample"
    bids.recording(
        "sub-01/eeg/sub-01_task-film", "5\t5\tf\t7\t3\t640", "15\t5\tf\t7\t3\t3000", header=header
    )
    assert "onset is used (8.44 s in sub-01_task-film_events.tsv row 3)" in _findings(bids.list())


def test_list_bids_takes_trial_numbers_and_names_from_their_columns(bids):
    header = "onset\tduration\tlabel\ttrial"
    stem = "sub-01/ses-1/eeg/sub-01_ses-1_task-film"
    bids.recording(stem, "5\t5\tjoy\t7", "15\t5\tfear\t3", header=header)
    bids.write("participants.tsv", "participant_id\tparticipant_name", "sub-01\tP-1")
    bids.write("sub-01/sub-01_sessions.tsv", "session_id\tsession_name", "ses-1\tday 1")
    rows = bids.list().rows
    assert [(r["participant"], r["session"], r["trial"], r["label"]) for r in rows] == [
        ("P-1", "day 1", 7, "joy"),
        ("P-1", "day 1", 3, "fear"),
    ]


def test_list_bids_without_a_recording_states_the_first_reason(bids, tmp_path):
    with pytest.raises(InputError, match="no folder sub-"):
        bids.list()
    bids.write("sub-01/eeg/sub-01_task-film_eeg.edf", "damaged")
    bids.write("sub-01/eeg/sub-01_task-film_events.tsv", "onset\tduration", "1\t5")
    with pytest.raises(InputError, match=r"No recording below .* can be used: sub-01_task-film"):
        bids.list()


def test_write_listing_of_bids_without_video_prepares_eeg_only(bids, tmp_path):
    bids.recording("sub-01/eeg/sub-01_task-film", *TWO)
    listing = bids.list()
    assert "only the EEG can be used" in _findings(listing)
    rows = read_csv(write_listing(listing, tmp_path / "recordings.csv").manifest)
    assert "video" not in rows[0]
    assert rows[0]["stimulus"] != rows[1]["stimulus"]
    assert "protocols by stimulus are not possible" in _findings(listing)


def test_list_bids_leaves_out_recordings_without_an_electrode(bids):
    bids.recording("sub-01/eeg/sub-01_task-film", *TWO)
    bids.recording("sub-02/eeg/sub-02_task-film", *TWO, names=("x", "y", "z"))
    listing = bids.list()
    assert {row["participant"] for row in listing.rows} == {"sub-01"}
    assert "no channel whose name is an electrode" in _findings(listing)
    assert open_listing(listing, DataSettings()).participants() == ["sub-01"]


def test_list_bids_ignores_names_that_no_participant_can_have(bids):
    bids.recording("sub-01/eeg/sub-01_task-film", *TWO)
    bids.write("participants.tsv", "participant_id\tparticipant_name", "sub-01\tA/../b")
    bids.write("sub-01/sub-01_scans.tsv", "filename\tacq_time", "/\t1", ".x\t2", "n/a\t3")
    listing = bids.list()
    assert {row["participant"] for row in listing.rows} == {"sub-01"}
    assert "are ignored (A/../b)" in _findings(listing)
