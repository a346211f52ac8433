"""Finished trials survive a kill, and only under the settings that made them."""

import numpy as np

from milmer_cli.store.pieces import TrialPieces

PRINTS = {"eeg": "a" * 64, "faces": "b" * 64}


def test_pieces_come_back_as_they_were(tmp_path, trials):
    pieces = TrialPieces(tmp_path, "s01", PRINTS)
    pieces.save_eeg(1, trials[0].eeg)
    pieces.save_faces(1, trials[0].faces)

    again = TrialPieces(tmp_path, "s01", PRINTS)
    faces = again.load_faces(1)

    assert again.has("eeg", 1)
    assert again.has("faces", 1)
    assert not again.has("eeg", 2)
    np.testing.assert_array_equal(again.load_eeg(1), trials[0].eeg)
    assert faces.images == trials[0].faces.images
    for name in ("found", "time", "box", "score", "reason"):
        np.testing.assert_array_equal(getattr(faces, name), getattr(trials[0].faces, name))


def test_a_change_of_one_part_keeps_the_other(tmp_path, trials):
    pieces = TrialPieces(tmp_path, "s01", PRINTS)
    pieces.save_eeg(1, trials[0].eeg)
    pieces.save_faces(1, trials[0].faces)

    changed = TrialPieces(tmp_path, "s01", {**PRINTS, "eeg": "c" * 64})

    assert not changed.has("eeg", 1)
    assert changed.load_eeg(1) is None
    assert changed.load_faces(1) is not None


def test_a_damaged_piece_counts_as_none(tmp_path, trials):
    pieces = TrialPieces(tmp_path, "s01", PRINTS)
    pieces.save_eeg(1, trials[0].eeg)
    path = next(pieces.folder.iterdir())
    path.write_bytes(path.read_bytes()[:100])

    assert pieces.load_eeg(1) is None


def test_clearing_leaves_no_trace(tmp_path, trials):
    for name in ("s01", "s02"):
        TrialPieces(tmp_path, name, PRINTS).save_eeg(1, trials[0].eeg)

    TrialPieces(tmp_path, "s01", PRINTS).clear()
    assert TrialPieces(tmp_path, "s02", PRINTS).has("eeg", 1)
    TrialPieces(tmp_path, "s02", PRINTS).clear()
    assert not list(tmp_path.iterdir())
