"""Cached trials are returned unchanged, under the same fingerprints only."""

import os

import numpy as np
import pytest

from milmer_cli.eeg.quality import EegQuality
from milmer_cli.errors import InputError
from milmer_cli.faces.segment_faces import FACE_FIELDS
from milmer_cli.store.cache import TrialCache
from milmer_cli.store.schema import CACHE_FOLDER

FINGERPRINTS = {"eeg": "a" * 64, "faces": "b" * 64}
BAD = np.arange(8).reshape(4, 2) % 3 == 0
QUALITY = EegQuality(BAD, BAD & (np.arange(2) == 1), np.arange(8, dtype=np.float32).reshape(4, 2))


def test_trial_cache_round_trip(tmp_path, trials):
    cache = TrialCache(tmp_path, "s01", FINGERPRINTS)
    cache.save_eeg(1, trials[0].eeg, QUALITY)
    cache.save_faces(1, trials[0].faces)

    again = TrialCache(tmp_path, "s01", FINGERPRINTS)
    faces = again.load_faces(1)

    assert again.has("eeg", 1)
    assert again.has("faces", 1)
    assert not again.has("eeg", 2)
    eeg, quality = again.load_eeg(1)
    np.testing.assert_array_equal(eeg, trials[0].eeg)
    for name, values in vars(QUALITY).items():
        np.testing.assert_array_equal(getattr(quality, name), values)
    assert faces.images == trials[0].faces.images
    for name in FACE_FIELDS:
        np.testing.assert_array_equal(getattr(faces, name), getattr(trials[0].faces, name))


def test_trial_cache_new_eeg_fingerprint_keeps_the_faces(tmp_path, trials):
    cache = TrialCache(tmp_path, "s01", FINGERPRINTS)
    cache.save_eeg(1, trials[0].eeg, QUALITY)
    cache.save_faces(1, trials[0].faces)

    changed = TrialCache(tmp_path, "s01", {**FINGERPRINTS, "eeg": "c" * 64})

    assert not changed.has("eeg", 1)
    assert changed.load_eeg(1) is None
    assert changed.load_faces(1) is not None


def test_trial_cache_damaged_file_is_ignored(tmp_path, trials):
    cache = TrialCache(tmp_path, "s01", FINGERPRINTS)
    cache.save_eeg(1, trials[0].eeg, QUALITY)
    path = next(cache.folder.iterdir())
    path.write_bytes(path.read_bytes()[:100])

    assert cache.load_eeg(1) is None


def test_trial_cache_clear_removes_its_folder(tmp_path, trials):
    for name in ("s01", "s02"):
        TrialCache(tmp_path, name, FINGERPRINTS).save_eeg(1, trials[0].eeg, QUALITY)

    TrialCache(tmp_path, "s01", FINGERPRINTS).clear()
    assert TrialCache(tmp_path, "s02", FINGERPRINTS).has("eeg", 1)
    TrialCache(tmp_path, "s02", FINGERPRINTS).clear()
    assert not list(tmp_path.iterdir())


def test_trial_cache_eeg_metadata_marks_complete_eeg(tmp_path):
    cache = TrialCache(tmp_path, "s01", FINGERPRINTS)
    assert cache.load_eeg_metadata() is None

    cache.save_eeg_metadata({"channels": ("Cz",), "notes": {}})

    assert cache.load_eeg_metadata() == {"channels": ["Cz"], "notes": {}}


@pytest.mark.skipif(os.name == "nt", reason="links need special rights on Windows")
@pytest.mark.parametrize("name", [CACHE_FOLDER, f"{CACHE_FOLDER}/s01"])
def test_trial_cache_refuses_links_and_keeps_what_they_point_to(tmp_path, trials, name):
    victim = tmp_path / "victim" / "s01" / "file"
    victim.parent.mkdir(parents=True)
    victim.write_text("precious")
    link = tmp_path / "store" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(victim.parent if name.endswith("s01") else victim.parent.parent)
    with pytest.raises(InputError, match="is a link"):
        TrialCache(tmp_path / "store", "s01", FINGERPRINTS)
    assert victim.read_text() == "precious"
