from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from milmer_cli.datasets.deap.inventory import DeapInventory, inventory_deap
from milmer_cli.datasets.synthetic.preprocessed_writer import write_dat
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.errors import InputError
from milmer_cli.video.probe import VideoProbe

N = 40
STIMULUS = {trial: N + 1 - trial for trial in range(1, N + 1)}
LABELS = np.round(np.random.default_rng(0).uniform(1, 9, (N, 4)), 2)


@pytest.fixture(scope="module")
def root(tmp_path_factory, write_bdf, status_words, write_ratings) -> Path:
    """s01 truncated, s03 whole, s05 no EEG, s07 too few marks, s23 wrong labels, s24 nothing."""
    root = tmp_path_factory.mktemp("deap")
    rows = [(trial, row, ("", *LABELS[row - 1, 1:])) for trial, row in STIMULUS.items()]
    write_ratings(root / "participant_ratings.csv", dict.fromkeys((1, 3, 5, 7, 23, 24), rows))
    n = 512 * 20
    signals = {name: np.zeros(n) for name in GENEVA}
    whole = write_bdf(root / "s03.bdf", signals, status_words(n, _events(N)))
    (root / "s01.bdf").write_bytes(whole.read_bytes()[:-1000])
    write_bdf(root / "s06.bdf", signals, status_words(n, _events(N)))
    write_bdf(root / "s07.bdf", signals, status_words(n, _events(N - 1)))
    write_dat(root / "s03.dat", np.zeros((N, 40, 400)), LABELS)
    write_dat(root / "s23.dat", np.zeros((N, 40, 400)), LABELS[::-1])
    for name in ("s01_trial1", "s01_trial2", "s01_trial40", "s03_trial1", "s05_trial2"):
        (root / f"{name}.avi").write_text("broken" if name == "s01_trial2" else "video")
    return root


def _events(n_stimuli: int) -> list[tuple[int, int]]:
    starts = 100 + 200 * np.arange(n_stimuli)
    return sorted([(int(at), 4) for at in starts] + [(int(at) + 100, 5) for at in starts])


def _probe(path: Path) -> VideoProbe:
    if path.read_text() == "broken":
        raise InputError(f"{path} cannot be decoded.")
    return VideoProbe(50.0, 59.8, (720, 576), "h264", True, path.stem != "s03_trial1")


def _inventory(root: Path, *args, **options) -> DeapInventory:
    return inventory_deap(root, *args, probe=_probe, **options)


def _by_name(found: DeapInventory) -> dict:
    return {person.participant: person for person in found.participants}


def test_inventory_deap_lists_participants_with_a_file_or_a_rating(root):
    found = _inventory(root)
    assert list(_by_name(found)) == ["s01", "s03", "s05", "s06", "s07", "s23", "s24"]
    assert found.usable
    usable = {name: person.usable_trials for name, person in _by_name(found).items()}
    assert usable == {"s01": 2, "s03": 40, "s05": 1, "s06": 0, "s07": 0, "s23": 0, "s24": 0}


def test_inventory_deap_reads_headers(root):
    person = _by_name(_inventory(root))["s03"]
    assert person.source == "bdf"
    raw, dat = person.eeg
    assert (raw.format, raw.checked, raw.sfreq_hz, raw.channels, raw.trials) == (
        "bdf",
        True,
        512,
        32,
        40,
    )
    assert (dat.format, dat.checked, dat.trials) == ("dat", False, None)
    (video,) = person.videos
    assert (video.trial, video.fps, video.duration_s, video.last_decodable) == (1, 50, 59.8, False)
    assert (person.eeg_trials, person.video_trials, person.both_trials) == (40, 1, 1)


def test_inventory_deap_reports_incomplete_videos_and_uses_them(root):
    def probe(path: Path) -> VideoProbe:
        return replace(_probe(path), incomplete=f"{path.name} is incomplete.")

    person = _by_name(inventory_deap(root, probe=probe))["s05"]

    (missing,) = [item for item in person.missing if item.what == "s05_trial2.avi"]
    assert missing.why == "s05_trial2.avi is incomplete."
    assert (person.video_trials, person.videos[0].problem) == (1, "")


def test_inventory_deap_separates_missing_from_never_published_videos(root):
    people = _by_name(_inventory(root))
    three = people["s03"]
    assert three.videos_expected == 39
    assert three.videos_missing == tuple(range(2, 40))
    assert three.videos_never_published == (40,)
    assert any("s03: videos of trials 2, 3, " in item.what for item in three.missing)
    # participants 23-32 were not filmed
    assert people["s23"].videos_expected == 0
    assert not any("video" in item.what for item in people["s23"].missing)


def test_inventory_deap_missing_inputs_have_a_reason_and_a_fix(root):
    people = _by_name(_inventory(root))
    what = [item.what for item in people["s01"].missing]
    assert what[0] == "s01.bdf"
    assert what[1].startswith("s01: videos of trials 3, ")
    assert what[2] == "s01_trial2.avi"
    assert "truncated" in people["s01"].missing[0].why
    assert "marks 39 stimuli" in people["s07"].missing[0].why
    assert people["s05"].missing[0].what == "s05.bdf, .dat or .mat"
    assert "eecs.qmul.ac.uk" in people["s05"].missing[0].fix
    assert "ratings of s06" in people["s06"].missing[0].what
    assert "are not the ratings" in people["s23"].missing[0].why
    assert all(item.why and item.fix for person in people.values() for item in person.missing)


def test_inventory_deap_opens_only_the_selected_source(root):
    found = _by_name(_inventory(root, "dat", "3,5"))
    assert list(found) == ["s03", "s05"]
    assert found["s03"].source == "dat"
    assert {facts.format: facts.checked for facts in found["s03"].eeg} == {
        "bdf": False,
        "dat": True,
    }
    with pytest.raises(InputError, match="has no participant 9"):
        _inventory(root, participants="9")


def test_inventory_deap_contains_ratings_of_usable_trials(root):
    person = _by_name(_inventory(root))["s01"]
    assert list(person.ratings) == [1, 40]
    np.testing.assert_array_equal(person.ratings[1], [np.nan, *LABELS[STIMULUS[1] - 1, 1:]])


def test_inventory_deap_to_json(root):
    text = json.dumps(_inventory(root).to_json(), allow_nan=False)
    document = json.loads(text)
    assert document["usable"] is True
    assert document["participants"][0]["missing"][0]["what"] == "s01.bdf"


def test_inventory_deap_without_ratings_is_not_usable(tmp_path):
    (tmp_path / "s01_trial01.avi").write_text("video")
    found = _inventory(tmp_path)
    assert not found.usable
    assert [item.what for item in found.missing] == [
        "metadata_csv/participant_ratings.csv",
        "all EEG (data_original or data_preprocessed_python)",
    ]
    with pytest.raises(InputError, match="does not exist"):
        _inventory(tmp_path / "nowhere")
