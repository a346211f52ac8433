from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest

from milmer_cli.demo.preprocessed import write_dat, write_mat
from milmer_cli.errors import InputError
from milmer_cli.recordings.channels import GENEVA, TWENTE
from milmer_cli.recordings.deap import DeapRecordings, find_files, parse_participants
from milmer_cli.recordings.eeg import clean, cut
from milmer_cli.recordings.trial import VideoSpan
from milmer_cli.settings.schema import EegSettings

N_TRIALS = 3
ORDER = {1: 3, 2: 1, 3: 2}
"""Trial -> Experiment_id."""
RATINGS = {1: (2.0, 3.0, 4.0, 5.0), 2: (7.5, 5.0, 1.0, 9.0), 3: (6.04, 8.0, 3.0, 2.0)}
"""By Experiment_id."""
SAMPLES = 384 + 2 * 128


def _arrays() -> tuple[np.ndarray, np.ndarray]:
    """Values that tell row, channel and sample."""
    row, channel, sample = np.ogrid[:N_TRIALS, :40, :SAMPLES]
    data = row * 100_000.0 + channel * 1000.0 + sample
    return data, np.array([RATINGS[stimulus] for stimulus in (1, 2, 3)])


@pytest.fixture(scope="session")
def root(tmp_path_factory, write_bdf, status_words, write_ratings):
    """s01 in every form, s02 (other order on disk) raw only, s23 preprocessed, s30 without EEG."""
    root = tmp_path_factory.mktemp("deap")
    trials = [(trial, ORDER[trial], RATINGS[ORDER[trial]]) for trial in ORDER]
    people = dict.fromkeys((1, 2, 23, 30, 31), trials)
    write_ratings(root / "metadata_csv/participant_ratings.csv", people)
    n = 512 * 20
    events = [(1000, 4), (2020, 5), (4000, 4), (5024, 5), (8000, 4), (9030, 5)]
    rng = np.random.default_rng(1)
    noise = {name: rng.normal(0, 10, n) for name in GENEVA}
    for number, order in ((1, TWENTE), (2, GENEVA)):
        signals = {name: noise[name] for name in order}
        path = root / f"data_original/data_original/s{number:02d}.bdf"
        write_bdf(path, signals, status_words(n, events))
    for number in (1, 23):
        for kind, write in (("dat", write_dat), ("mat", write_mat)):
            path = root / f"pre_{kind}/S{number:02d}.{kind.upper()}"
            path.parent.mkdir(exist_ok=True)
            write(path, *_arrays())
    for name in (
        "s01/s01_trial01.avi",
        "s01/S01_Trial_03.AVI",
        "s30__trial__2.avi",
        "s31_trial9.avi",
    ):
        path = root / "face_video/face_video" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (root / "face_video/._s01_trial02.avi").write_bytes(b"x")
    return root


def test_files_are_found_by_name_in_any_folder(root):
    recordings = DeapRecordings(root)
    assert recordings.participants() == ["s01", "s02", "s23", "s30"]
    assert [recordings.kind(person) for person in (1, 2, 23, 30)] == ["bdf", "bdf", "dat", None]
    by_trial = {trial.trial: trial.video for trial in recordings.trials("s01")}
    folder = root / "face_video/face_video/s01"
    assert by_trial == {
        1: VideoSpan(folder / "s01_trial01.avi"),
        2: None,
        3: VideoSpan(folder / "S01_Trial_03.AVI"),
    }
    assert [trial.video is None for trial in recordings.trials("s02")] == [True] * 3
    faces_only = recordings.trials("s30")
    assert [(t.has_eeg, t.video is not None) for t in faces_only] == [
        (False, False),
        (False, True),
        (False, False),
    ]
    assert list(recordings.eeg_blocks("s30")) == []


def test_trials_are_in_presentation_order_with_their_stimulus(root):
    for source in ("bdf", "dat", "mat"):
        trials = DeapRecordings(root, source, "1").trials("s01")
        assert [trial.trial for trial in trials] == [1, 2, 3]
        assert [trial.stimulus for trial in trials] == [3, 1, 2]
        assert [trial.ratings for trial in trials] == [RATINGS[stimulus] for stimulus in (3, 1, 2)]
        # code 5 comes some milliseconds early or late
        assert [trial.duration_s for trial in trials] == pytest.approx([2, 2, 2], abs=0.02)


@pytest.mark.parametrize("source", ["dat", "mat"])
def test_rows_of_preprocessed_files_follow_the_stimulus(root, source):
    recordings = DeapRecordings(root, source, "23")
    settings = EegSettings(segment_s=1.0)
    seen = []
    for block in recordings.eeg_blocks("s23"):
        eeg = clean(block, settings)
        assert eeg.channels == GENEVA
        (trial,) = block.onset_s
        segments = cut(eeg, trial, 2.0, 1.0)
        # the first 3 s are baseline; no electrode or sample may move
        expected = _arrays()[0][ORDER[trial] - 1, :32, 384:].reshape(32, 2, 128).swapaxes(0, 1)
        np.testing.assert_allclose(segments, expected, rtol=1e-6)
        np.testing.assert_array_equal(np.rint(segments), expected)
        seen.append(trial)
    assert seen == [1, 2, 3]


def test_dat_and_mat_give_equal_bits(root):
    both = []
    for source in ("dat", "mat"):
        blocks = DeapRecordings(root, source, "1").eeg_blocks("s01")
        both.append([clean(block, EegSettings()).data for block in blocks])
    np.testing.assert_array_equal(both[0], both[1])


def test_order_on_disk_changes_nothing(root):
    recordings = DeapRecordings(root, "bdf")
    one, two = (clean(next(recordings.eeg_blocks(name)), EegSettings()) for name in ("s01", "s02"))
    assert one.channels == two.channels == GENEVA
    np.testing.assert_allclose(one.data, two.data, atol=1e-9)


def test_auto_says_which_source_was_taken(root):
    notes = " ".join(DeapRecordings(root).notes())
    assert "EEG from .bdf files: s01, s02." in notes
    assert "EEG from .dat files: s23." in notes
    assert "No EEG file of s30" in notes
    assert "cleaned differently" in notes


def test_inputs_are_the_files_of_the_participant(root):
    inputs = DeapRecordings(root, "mat").inputs("s01")
    assert inputs.eeg == (root / "pre_mat/S01.MAT",)


def test_workers_get_an_equal_copy(root):
    recordings = DeapRecordings(root, participants="1")
    copy = pickle.loads(pickle.dumps(recordings))
    assert copy.trials("s01") == recordings.trials("s01")


def test_doubled_files_are_used_once_and_reported(root, tmp_path):
    shutil.copytree(root, tmp_path / "a")
    deep = tmp_path / "a/copy/of/everything/s01.bdf"
    deep.parent.mkdir(parents=True)
    shutil.copy(root / "data_original/data_original/s01.bdf", deep)
    recordings = DeapRecordings(tmp_path / "a")
    assert recordings.files.eeg[1]["bdf"] != deep
    assert any(str(deep) in note for note in recordings.notes())


def test_links_are_followed_once(root, tmp_path):
    (tmp_path / "linked").symlink_to(root, target_is_directory=True)
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    files = find_files(tmp_path)
    assert sorted(files.eeg) == [1, 2, 23]
    assert files.doubles == ()


def test_a_missing_or_empty_root_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist") as error:
        DeapRecordings(tmp_path / "nowhere")
    assert "eecs.qmul.ac.uk" in error.value.hint
    with pytest.raises(InputError, match="is empty"):
        DeapRecordings(tmp_path)
    (tmp_path / "s01.bdf").write_bytes(b"x")
    with pytest.raises(InputError, match="is not a folder"):
        DeapRecordings(tmp_path / "s01.bdf")
    with pytest.raises(InputError, match=r"no participant_ratings\.csv below"):
        DeapRecordings(tmp_path)


def test_ratings_without_files_are_refused(tmp_path, root):
    shutil.copytree(root / "metadata_csv", tmp_path / "metadata_csv")
    with pytest.raises(InputError, match="No participant below"):
        DeapRecordings(tmp_path)


@pytest.mark.parametrize("text", ["3", "1,3-5", "31", "s01,s07"])
def test_an_absent_participant_is_named(root, text):
    with pytest.raises(InputError, match=r"asks for s(03|31|07)") as error:
        DeapRecordings(root, participants=text)
    assert "Usable are: s01, s02, s23, s30." in error.value.hint


@pytest.mark.parametrize("text", ["one", "5-3", "1;2", "-1"])
def test_a_wrong_list_of_participants_is_refused(text):
    with pytest.raises(InputError, match="no participant or range"):
        parse_participants(text)


def test_a_list_of_participants_is_read():
    assert parse_participants(" 1, 3-5,s22 ,S30-s31") == {1, 3, 4, 5, 22, 30, 31}
    assert parse_participants("") == set()


def test_as_many_stimuli_as_ratings_or_no_eeg(tmp_path, root, write_bdf, status_words):
    shutil.copytree(root / "metadata_csv", tmp_path / "metadata_csv")
    n = 512 * 12
    words = status_words(n, [(1000, 4), (2000, 5), (3000, 4), (4000, 5)])
    write_bdf(tmp_path / "s01.bdf", {name: np.zeros(n) for name in GENEVA}, words)
    recordings = DeapRecordings(tmp_path)
    with pytest.raises(InputError, match=r"marks 2 stimuli .* has 3 trials"):
        recordings.trials("s01")
    with pytest.raises(InputError, match=r"marks 2 stimuli .* has 3 trials"):
        list(recordings.eeg_blocks("s01"))


@pytest.mark.parametrize("source", ["dat", "mat"])
def test_planted_label_mismatch_is_refused(tmp_path, root, source):
    data, labels = _arrays()
    labels[0, 1] += 0.02
    shutil.copytree(root / "metadata_csv", tmp_path / "metadata_csv")
    (write_dat if source == "dat" else write_mat)(tmp_path / f"s01.{source}", data, labels)
    recordings = DeapRecordings(tmp_path, source)
    for read in (recordings.trials, lambda name: list(recordings.eeg_blocks(name))):
        with pytest.raises(InputError, match=r"s01.*trial 2 \(Experiment_id 1\).*2, 3\.02, 4, 5"):
            read("s01")
