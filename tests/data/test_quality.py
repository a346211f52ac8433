"""The quality rule: which modalities of a segment are usable, and that training obeys it."""

from dataclasses import replace

import numpy as np
import pytest

from helpers import RecordingProgress, write_labeled_store
from milmer_cli.data.dataset import BagDataset
from milmer_cli.data.feature_cache import TokenBagDataset
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import EXCLUDED
from milmer_cli.data.quality import good_channels, usable_eeg, usable_faces
from milmer_cli.eeg.quality import EegQuality
from milmer_cli.settings import load_settings
from milmer_cli.settings.schema import QualitySettings

DEFAULT = QualitySettings()


def test_good_channels_are_not_bad_flat_or_too_large():
    bad = np.array([[True, False, False, False, False]])
    ptp = np.array([[50, 50, 0.4, 501, np.nan]], np.float32)
    quality = EegQuality(bad, np.zeros_like(bad), ptp)
    assert good_channels(quality, DEFAULT).tolist() == [[False, True, False, False, True]]
    unlimited = QualitySettings(reject_ptp_uv=0)
    assert good_channels(quality, unlimited).tolist() == [[False, True, False, True, True]]


@pytest.mark.parametrize(("n_bad", "usable"), [(0, True), (8, True), (9, False), (32, False)])
def test_usable_eeg_allows_a_quarter_of_the_channels_to_be_bad(n_bad, usable):
    bad = (np.arange(32) < n_bad)[None]
    quality = EegQuality(bad, bad, np.full(bad.shape, 50, np.float32))
    assert usable_eeg(quality, DEFAULT).tolist() == [usable]
    assert usable_eeg(quality, QualitySettings(max_bad_channels=1.0)).tolist() == [True]


def test_usable_eeg_needs_channels():
    assert not usable_eeg(EegQuality.missing(2, 0), QualitySettings(max_bad_channels=1.0)).any()


@pytest.mark.parametrize(("n_found", "usable"), [(0, False), (2, False), (3, True), (10, True)])
def test_usable_faces_needs_the_minimum_fraction(n_found, usable):
    found = (np.arange(10) < n_found)[None]
    assert usable_faces(found, DEFAULT).tolist() == [usable]
    assert usable_faces(found, QualitySettings(min_faces=0)).tolist() == [n_found > 0]


@pytest.fixture
def poor_store(tmp_path, monkeypatch):
    """s01: the EEG of trial 1 has an artifact, and so has trial 2, which has one face of three."""
    import helpers

    write = helpers.write_participant

    def spoil(path, header, trials):
        if header.participant == "s01":
            for number in range(2):
                eeg = trials[number].eeg
                eeg[:, : len(header.channels) // 2, 5] += 5000
                trials[number] = replace(trials[number], quality=EegQuality.of(eeg))
            faces = trials[1].faces
            few = faces.found & (np.arange(3) == 2)
            images = [im if ok else b"" for im, ok in zip(faces.images, few.ravel(), strict=True)]
            reason = np.where(few, "", "no face").astype(object)
            trials[1] = replace(
                trials[1], faces=replace(faces, images=images, found=few, reason=reason)
            )
        write(path, header, trials)

    monkeypatch.setattr(helpers, "write_participant", spoil)
    write_labeled_store(tmp_path, participants=2, trials=4)
    return tmp_path


def test_labeled_segments_apply_the_quality_rule(poor_store):
    settings = load_settings(overrides=["quality.min_faces=0.5"])
    progress = RecordingProgress()
    labeled = LabeledSegments.open(poor_store, settings, progress)
    segments = labeled.segments
    first = (segments.participant == "s01") & (segments.trial == 1)
    second = (segments.participant == "s01") & (segments.trial == 2)
    assert not segments.eeg_found[first | second].any()
    assert segments.eeg_found[~(first | second)].all()
    assert (segments.faces_found[first] > 0).all()
    assert not segments.faces_found[second].any()
    np.testing.assert_array_equal(labeled.labels == EXCLUDED, second)
    counts = {count.participant: count for count in labeled.quality}
    assert (counts["s01"].unusable_eeg, counts["s01"].unusable_faces, counts["s01"].removed) == (
        4, 2, 2,
    )  # fmt: skip
    assert (counts["s02"].unusable_eeg, counts["s02"].removed) == (0, 0)
    assert "the EEG of 4 segments and the faces of 2" in progress.text

    bag = BagDataset(labeled, np.flatnonzero(first))[0]
    assert not bag["eeg_found"]
    assert not bag["eeg"].any()
    assert bag["faces_found"].any()


def test_labeled_segments_without_limits_use_every_segment(poor_store):
    off = ["quality.min_faces=0", "quality.max_bad_channels=1", "quality.reject_ptp_uv=0"]
    labeled = LabeledSegments.open(poor_store, load_settings(overrides=off))
    assert labeled.segments.eeg_found.all()
    assert not (labeled.labels == EXCLUDED).any()
    bag = BagDataset(labeled, np.arange(len(labeled.labels)))[0]
    assert bag["eeg"].abs().max() > 4000


def test_bags_mask_faces_that_are_not_usable(poor_store):
    settings = load_settings(overrides=["quality.min_faces=0.5", "quality.max_bad_channels=1"])
    labeled = LabeledSegments.open(poor_store, settings)
    second = (labeled.segments.participant == "s01") & (labeled.segments.trial == 2)
    files = {name: poor_store / f"{name}.npy" for name in ("s01", "s02")}
    for path in files.values():
        np.save(path, np.zeros((8, 3, 1, 4), np.float16))
    rows = np.flatnonzero(second)
    for bags in (BagDataset(labeled, rows), TokenBagDataset(labeled, rows, "both", files)):
        assert bags[0]["eeg_found"]
        assert not bags[0]["faces_found"].any()
