"""The store as a whole: its table, its index, its lock."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.store import PreparedStore, write_index
from milmer_cli.store.layout import INDEX, LOCK
from milmer_cli.store.lock import StoreLock


def test_segments_are_all_participants_rows_in_order(store):
    segments = PreparedStore.open(store).segments()

    assert len(segments) == 24
    np.testing.assert_array_equal(segments.participant, ["s01"] * 12 + ["s02"] * 12)
    np.testing.assert_array_equal(segments.row, np.tile(np.arange(12), 2))
    np.testing.assert_array_equal(segments.trial, np.tile(np.repeat([1, 2, 3], 4), 2))
    np.testing.assert_array_equal(segments.stimulus, 40 - segments.trial)
    np.testing.assert_array_equal(segments.onset[:5], [0, 3, 6, 9, 0])
    np.testing.assert_array_equal(segments.eeg_found, segments.trial != 2)
    np.testing.assert_allclose(segments.faces_found[8:12], 0)
    np.testing.assert_allclose(segments.faces_found[:4].mean(), 9 / 12)
    assert segments.ratings.shape == (24, 4)
    assert segments.trial_id[0] == "s01/01"
    assert len(set(segments.trial_id)) == 6


def test_segments_of_some_participants_and_some_rows(store):
    opened = PreparedStore.open(store)

    assert set(opened.segments(["s02"]).participant) == {"s02"}
    some = opened.segments().take(np.array([13, 2]))
    assert some.trial_id.tolist() == ["s02/01", "s01/01"]
    assert some.row.tolist() == [1, 2]


def test_a_row_of_the_table_leads_to_its_data(store, trials):
    opened = PreparedStore.open(store)
    segments = opened.segments()
    p = opened.participant(segments.participant[22])

    np.testing.assert_array_equal(p.eeg[segments.row[22]], trials[2].eeg[2])


def test_the_index_counts_and_describes(store):
    entry = json.loads((store / INDEX).read_text())["participants"]["s02"]

    assert (entry["segments"], entry["trials"], entry["detector"]) == (12, 3, "dlib")
    assert entry["eeg_coverage"] == pytest.approx(2 / 3, abs=1e-5)
    assert entry["face_coverage"] == pytest.approx(0.5)
    assert entry["bytes"] == (store / "s02.h5").stat().st_size


def test_the_fingerprint_follows_what_made_the_store(store, header, trials):
    before = PreparedStore.open(store).fingerprint
    write_index(store, {}, ["s01", "s02"])
    assert PreparedStore.open(store).fingerprint == before

    write_index(store, {}, ["s01"])
    assert PreparedStore.open(store).fingerprint != before


def test_an_unchanged_file_is_not_read_again_for_its_hash(store, monkeypatch):
    before = json.loads((store / INDEX).read_text())
    monkeypatch.setattr("milmer_cli.store.index.file_hash", lambda path: "read again")
    os.utime(store / "s02.h5", (1, 1))
    write_index(store, {}, ["s01", "s02"])
    after = json.loads((store / INDEX).read_text())["participants"]

    assert after["s01"]["sha256"] == before["participants"]["s01"]["sha256"]
    assert after["s02"]["sha256"] == "read again"


def test_no_folder_and_an_empty_folder_point_to_prepare(tmp_path):
    for folder in (tmp_path / "nothing", tmp_path):
        with pytest.raises(InputError) as caught:
            PreparedStore.open(folder)
        assert "milmer prepare" in caught.value.hint


def test_an_unfinished_store_is_refused(store):
    (store / INDEX).unlink()

    with pytest.raises(InputError, match="not finished"):
        PreparedStore.open(store)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"format": 2, "settings": {}, "participants": {"s01": {}}}', "format 2"),
        ('{"format": 1, "settings": {}, "participants": {}}', "no participants"),
    ],
)
def test_a_broken_or_newer_index_is_refused(store, text, message):
    (store / INDEX).write_text(text)

    with pytest.raises(InputError, match=message):
        PreparedStore.open(store)


def test_a_missing_or_exchanged_file_is_noticed_on_opening(store):
    with (store / "s01.h5").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match="not the file"):
        PreparedStore.open(store)

    (store / "s01.h5").unlink()
    with pytest.raises(InputError, match="is missing"):
        PreparedStore.open(store)


def test_an_unknown_participant_is_named_beside_the_known(store):
    with pytest.raises(InputError, match=r"no participant s03.*s01, s02"):
        PreparedStore.open(store).participant("s03")


def test_two_runs_on_one_folder_the_second_refuses(tmp_path):
    code = (
        "import sys; from pathlib import Path; from milmer_cli.store.lock import StoreLock\n"
        "with StoreLock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline().strip() == b"held"
        with pytest.raises(InputError, match=rf"process {other.pid} on"), StoreLock(tmp_path):
            pass
        other.kill()  # its lock stays behind ...
        other.wait()
        assert (tmp_path / LOCK).exists()
        with StoreLock(tmp_path):  # ... and is taken over
            assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    finally:
        other.kill()
        other.communicate()
    assert not (tmp_path / LOCK).exists()


def test_a_lock_of_another_machine_is_believed(tmp_path):
    (tmp_path / LOCK).write_text('{"pid": 1, "host": "elsewhere", "started": ""}')

    with pytest.raises(InputError, match="process 1 on elsewhere"), StoreLock(tmp_path):
        pass
    assert (tmp_path / LOCK).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_lock_whose_number_is_another_process_now_is_taken_over(tmp_path):
    with StoreLock(tmp_path):
        mine = json.loads((tmp_path / LOCK).read_text())
    (tmp_path / LOCK).write_text(json.dumps({**mine, "started": "12345"}))

    with StoreLock(tmp_path):
        pass


def test_taking_the_lock_sweeps_what_a_killed_writer_left(tmp_path):
    (tmp_path / ".s01.h5.4711.part").write_bytes(b"half")

    with StoreLock(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
