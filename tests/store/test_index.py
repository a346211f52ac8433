"""The store as a whole: its table of segments and its index."""

import json
import os
import sys

import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.store import PreparedStore, write_index
from milmer_cli.store.index import update_index
from milmer_cli.store.schema import INDEX_FILE


def test_segments_lists_the_rows_of_all_participants(store):
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


def test_segments_of_selected_participants_and_rows(store):
    opened = PreparedStore.open(store)

    assert set(opened.segments(["s02"]).participant) == {"s02"}
    some = opened.segments().take(np.array([13, 2]))
    assert some.trial_id.tolist() == ["s02/01", "s01/01"]
    assert some.row.tolist() == [1, 2]


def test_segments_row_refers_to_the_file_of_the_participant(store, trials):
    opened = PreparedStore.open(store)
    segments = opened.segments()
    p = opened.participant(segments.participant[22])

    np.testing.assert_array_equal(p.eeg[segments.row[22]], trials[2].eeg[2])


def test_repr_names_the_store_and_its_participants(store):
    opened = PreparedStore.open(store)
    assert repr(opened) == f"<PreparedStore | {store}: s01, s02>"
    assert repr(opened.participant("s01")) == "<PreparedParticipant | s01: 12 segments, 2 channels>"


def test_to_dataframe_has_one_row_per_segment(store):
    pytest.importorskip("pandas")
    frame = PreparedStore.open(store).to_dataframe()

    assert ",".join(frame.columns) == (
        "participant,row,trial,stimulus,onset_s,valence,arousal,dominance,liking,eeg_found,"
        "faces_found,label,session,condition"
    )
    assert len(frame) == 24
    last = frame.iloc[-1].to_dict()
    assert (last["participant"], last["row"], last["trial"]) == ("s02", 11, 3)
    assert (last["stimulus"], last["onset_s"], last["label"]) == (37, 9.0, "")
    assert (last["valence"], last["arousal"], last["liking"]) == (3.5, 5.0, 9.0)
    assert frame["dominance"].isna().all()
    assert frame.groupby("trial")["eeg_found"].all().to_dict() == {1: True, 2: False, 3: True}


def test_to_dataframe_names_the_extra_that_installs_pandas(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="needs the package pandas") as caught:
        PreparedStore.open(store).to_dataframe()
    assert caught.value.hint == "Install it with `pip install 'milmer-cli[notebook]'`."


def test_write_index_counts(store):
    entry = json.loads((store / INDEX_FILE).read_text())["participants"]["s02"]

    assert (entry["segments"], entry["trials"], entry["detector"]) == (12, 3, "dlib")
    assert entry["eeg_coverage"] == pytest.approx(2 / 3, abs=1e-5)
    assert entry["face_coverage"] == pytest.approx(0.5)
    assert entry["bytes"] == (store / "s02.h5").stat().st_size


def test_fingerprint_depends_on_the_participants(store, header, trials):
    before = PreparedStore.open(store).fingerprint
    write_index(store, {}, ["s01", "s02"])
    assert PreparedStore.open(store).fingerprint == before

    write_index(store, {}, ["s01"])
    assert PreparedStore.open(store).fingerprint != before


def test_write_index_keeps_the_digest_of_an_unchanged_file(store, monkeypatch):
    before = json.loads((store / INDEX_FILE).read_text())
    monkeypatch.setattr("milmer_cli.store.index.file_digest", lambda path: "read again")
    os.utime(store / "s02.h5", (1, 1))
    write_index(store, {}, ["s01", "s02"])
    after = json.loads((store / INDEX_FILE).read_text())["participants"]

    assert after["s01"]["sha256"] == before["participants"]["s01"]["sha256"]
    assert after["s02"]["sha256"] == "read again"


def test_open_without_a_store_refers_to_prepare(tmp_path):
    for folder in (tmp_path / "nothing", tmp_path):
        with pytest.raises(InputError) as caught:
            PreparedStore.open(folder)
        assert "milmer prepare" in caught.value.hint


def test_open_unfinished_store(store):
    (store / INDEX_FILE).unlink()

    with pytest.raises(InputError, match="not finished"):
        PreparedStore.open(store)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "not the index of a prepared store"),
        ('{"format": 4, "settings": {}, "participants": {"s01": {}}}', "format 4"),
        ('{"format": 1, "settings": {}, "participants": {}}', "lists no participants"),
        ('{"format": 2, "settings": {}, "participants": [1]}', "an entry is incomplete"),
        ('{"format": 2, "settings": {}, "participants": {"s01": {}}}', "an entry is incomplete"),
        (
            '{"format": 2, "settings": {}, "participants": {"s01": {"file": "../s01.h5", '
            '"bytes": 1, "fingerprints": {}}}}',
            "an entry is incomplete",
        ),
    ],
)
def test_open_damaged_or_newer_index(store, text, message):
    (store / INDEX_FILE).write_text(text)

    with pytest.raises(InputError, match=message):
        PreparedStore.open(store)


def test_open_missing_or_replaced_file(store):
    with (store / "s01.h5").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=r"has \d+ bytes, expected \d+"):
        PreparedStore.open(store)

    (store / "s01.h5").unlink()
    with pytest.raises(InputError, match="is missing"):
        PreparedStore.open(store)


def test_participant_unknown_name(store):
    with pytest.raises(InputError, match=r"no participant s03.*s01, s02"):
        PreparedStore.open(store).participant("s03")


def test_update_index_keeps_participants_with_the_same_settings(store):
    settings = json.loads((store / INDEX_FILE).read_text())["settings"]

    assert update_index(store, settings, ["s02"]) == []
    assert PreparedStore.open(store).participants == ["s01", "s02"]

    assert update_index(store, {"eeg": {"sfreq_hz": 256.0}}, ["s02"]) == ["s01"]
    assert PreparedStore.open(store).participants == ["s02"]
