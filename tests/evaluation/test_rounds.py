from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.data.split_file import load_splits, save_splits
from milmer_cli.errors import InputError, MilmerError
from milmer_cli.evaluation.rounds import make_splits, read_splits, rounds_of
from milmer_cli.training.material import Material


@pytest.fixture(scope="module")
def material(prepared, asked):
    return Material.open(prepared, asked())


def splits(material, settings):
    return make_splits(material, settings.evaluate, 0.25, settings.seed)


def test_every_protocol_and_seed_has_its_own_folds(material, asked):
    found = splits(material, asked("evaluate.protocols=[segment,trial]", "evaluate.seeds=2"))
    assert [(one.protocol, one.seed) for one in found] == [
        ("segment", 0),
        ("segment", 1),
        ("trial", 0),
        ("trial", 1),
    ]
    rounds = rounds_of(found, material, "validation")
    assert len(rounds) == 8
    first, again = rounds[4].fold.test, rounds[6].fold.test
    assert not np.array_equal(first, again)


def test_published_is_a_model_per_participant_with_the_epoch_on_the_test_part(material, asked):
    settings = asked(
        "evaluate.protocols=[segment]",
        "evaluate.split=holdout",
        "evaluate.per_participant=true",
        "evaluate.epoch_on=test",
    )
    rounds = rounds_of(splits(material, settings), material, settings.evaluate.epoch_on)
    assert [one.label for one in rounds] == ["1 (s01)", "2 (s02)", "3 (s03)"]
    for one, name in zip(rounds, ("s01", "s02", "s03"), strict=True):
        used = np.concatenate([one.fold.train, one.fold.test])
        assert set(material.segments.participant[used]) == {name}
        assert len(np.unique(used)) == 16
        np.testing.assert_array_equal(one.fold.validation, one.fold.test)
        assert len(one.fold.test) / 16 == pytest.approx(0.2, abs=0.02)
        trials = material.segments.trial[one.fold.test]
        assert np.isin(trials, material.segments.trial[one.fold.train]).any(), "that is the leak"


def test_a_model_per_participant_cannot_meet_new_participants(material, asked):
    settings = asked("evaluate.protocols=[participant]", "evaluate.per_participant=true")
    with pytest.raises(InputError, match="A model per participant cannot"):
        splits(material, settings)


def test_splits_of_several_protocols_come_back_from_one_file(tmp_path, material, asked):
    made = splits(material, asked("evaluate.protocols=[trial,stimulus]"))
    save_splits(tmp_path / "splits.json", made)
    back = read_splits(tmp_path / "splits.json", material)
    for one, other in zip(made, back, strict=True):
        assert (one.protocol, one.seed, one.fingerprint) == (
            other.protocol,
            other.seed,
            other.fingerprint,
        )
        for fold, again in zip(one.folds, other.folds, strict=True):
            np.testing.assert_array_equal(fold.test, again.test)
    made[0].save(tmp_path / "single.json")
    assert len(load_splits(tmp_path / "single.json", material.segments)) == 1


def test_a_splits_file_that_breaks_its_protocol_is_refused(tmp_path, material, asked):
    (made,) = splits(material, asked("evaluate.protocols=[segment]"))
    text = (save_splits(tmp_path / "a.json", [made]), (tmp_path / "a.json").read_text())[1]
    (tmp_path / "a.json").write_text(text.replace('"segment"', '"trial"'))
    with pytest.raises(MilmerError, match="Protocol trial is broken"):
        read_splits(tmp_path / "a.json", material)
    (tmp_path / "a.json").write_text(text.replace('"segment"', '"nobody"'))
    with pytest.raises(InputError, match="unknown protocol"):
        read_splits(tmp_path / "a.json", material)
