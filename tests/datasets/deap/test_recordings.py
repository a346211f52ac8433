from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest

from milmer_cli.datasets.deap import bdf
from milmer_cli.datasets.deap.inventory import inventory_deap
from milmer_cli.datasets.deap.preprocessed import read_preprocessed
from milmer_cli.datasets.deap.recordings import DeapRecordings
from milmer_cli.datasets.synthetic.preprocessed_writer import write_dat, write_mat
from milmer_cli.eeg.biosemi import status_codes
from milmer_cli.eeg.channels import GENEVA, TWENTE
from milmer_cli.eeg.preprocess import preprocess_eeg
from milmer_cli.eeg.segment import cut_segments
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import EegSettings
from milmer_cli.video.frames import VideoSpan

N_TRIALS = 3
ORDER = {1: 3, 2: 1, 3: 2}
"""Trial -> Experiment_id."""
RATINGS = {1: (2.0, 3.0, 4.0, 5.0), 2: (7.5, 5.0, 1.0, 9.0), 3: (6.04, 8.0, 3.0, 2.0)}
"""By Experiment_id."""
SAMPLES = 384 + 2 * 128


def _arrays() -> tuple[np.ndarray, np.ndarray]:
    """Values that encode row, channel and sample."""
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


def test_deap_recordings_finds_files_in_any_folder(root):
    recordings = DeapRecordings(root)
    assert recordings.participants() == ["s01", "s02", "s23", "s30"]
    assert [recordings.eeg_format(number) for number in (1, 2, 23, 30)] == [
        "bdf",
        "bdf",
        "dat",
        None,
    ]
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


def test_deap_recordings_trials_are_in_order_of_presentation(root):
    for source in ("bdf", "dat", "mat"):
        trials = DeapRecordings(root, source, "1").trials("s01")
        assert [trial.trial for trial in trials] == [1, 2, 3]
        assert [trial.stimulus for trial in trials] == [3, 1, 2]
        assert [trial.ratings for trial in trials] == [RATINGS[stimulus] for stimulus in (3, 1, 2)]
        # code 5 comes some milliseconds early or late
        assert [trial.duration_s for trial in trials] == pytest.approx([2, 2, 2], abs=0.02)


@pytest.mark.parametrize("source", ["dat", "mat"])
def test_deap_recordings_preprocessed_rows_follow_the_stimulus(root, source):
    recordings = DeapRecordings(root, source, "23")
    settings = EegSettings(segment_s=1.0)
    seen = []
    for block in recordings.eeg_blocks("s23"):
        eeg = preprocess_eeg(block, settings)
        assert eeg.channels == GENEVA
        (trial,) = block.onset_s
        segments = cut_segments(eeg, trial, 2.0, EegSettings(segment_s=1.0))
        # the first 3 s are baseline; no electrode or sample may move
        expected = _arrays()[0][ORDER[trial] - 1, :32, 384:].reshape(32, 2, 128).swapaxes(0, 1)
        np.testing.assert_allclose(segments, expected, rtol=1e-6)
        np.testing.assert_array_equal(np.rint(segments), expected)
        seen.append(trial)
    assert seen == [1, 2, 3]


def test_deap_recordings_dat_and_mat_give_equal_bits(root):
    both = []
    for source in ("dat", "mat"):
        blocks = DeapRecordings(root, source, "1").eeg_blocks("s01")
        both.append([preprocess_eeg(block, EegSettings()).data for block in blocks])
    np.testing.assert_array_equal(both[0], both[1])


def test_deap_recordings_is_independent_of_the_channel_order_on_disk(root):
    recordings = DeapRecordings(root, "bdf")
    one, two = (
        preprocess_eeg(next(recordings.eeg_blocks(name)), EegSettings()) for name in ("s01", "s02")
    )
    assert one.channels == two.channels == GENEVA
    np.testing.assert_allclose(one.data, two.data, atol=1e-9)


def test_deap_recordings_notes_the_source(root):
    notes = " ".join(DeapRecordings(root).notes())
    assert "EEG from .bdf files: s01, s02." in notes
    assert "EEG from .dat files: s23." in notes
    assert "No EEG file of s30" in notes
    assert "Raw EEG and EEG that DEAP's authors cleaned are combined" in notes


def test_deap_recordings_pass_band_is_that_of_preprocessed_files(root):
    assert DeapRecordings(root).pass_band_hz == (4.0, 45.0)  # s23 has only a .dat file
    assert DeapRecordings(root, participants="1,2").pass_band_hz is None
    assert DeapRecordings(root, "mat").pass_band_hz == (4.0, 45.0)


def test_deap_recordings_eeg_inputs(root):
    inputs = DeapRecordings(root, "mat").eeg_inputs("s01")
    assert inputs.files == (root / "pre_mat/S01.MAT",)


def test_deap_recordings_copy_of_a_worker_is_equal(root):
    recordings = DeapRecordings(root, participants="1")
    copy = pickle.loads(pickle.dumps(recordings))
    assert copy.trials("s01") == recordings.trials("s01")


def test_deap_recordings_notes_duplicate_files(root, tmp_path):
    shutil.copytree(root, tmp_path / "a")
    deep = tmp_path / "a/copy/of/everything/s01.bdf"
    deep.parent.mkdir(parents=True)
    shutil.copy(root / "data_original/data_original/s01.bdf", deep)
    recordings = DeapRecordings(tmp_path / "a")
    assert recordings.files.eeg[1]["bdf"] != deep
    assert any(str(deep) in note for note in recordings.notes())


def test_deap_recordings_says_that_the_ratings_are_a_workbook(tmp_path):
    for name in ("s01.bdf", "participant_ratings.xls"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=r"no participant_ratings\.csv below") as caught:
        DeapRecordings(tmp_path)
    assert "participant_ratings.xls in Excel or LibreOffice" in caught.value.hint
    found = inventory_deap(tmp_path)
    assert "participant_ratings.xls" in found.missing[0].fix


@pytest.mark.parametrize("archive", ["data_original.zip", "video.tar.gz", "a.RAR", "b.7z"])
def test_deap_recordings_says_that_archives_are_not_unpacked(tmp_path, archive):
    (tmp_path / archive).write_bytes(b"x")
    with pytest.raises(InputError) as caught:
        DeapRecordings(tmp_path)
    assert f"Unpack {archive} first." in caught.value.hint
    assert {entry.fix for entry in inventory_deap(tmp_path).missing} == {caught.value.hint}


@pytest.mark.parametrize("kind", ["dat", "mat"])
def test_deap_recordings_masks_trials_with_values_that_are_not_finite(root, tmp_path, kind):
    shutil.copytree(root, tmp_path / "a")
    recordings = DeapRecordings(tmp_path / "a", kind, "1")
    (path,) = recordings.eeg_inputs("s01").files
    arrays, row = read_preprocessed(path), recordings.ratings[1][2]
    data = arrays.data.copy()
    data[row.stimulus - 1, 3, 500] = np.inf
    (write_dat if kind == "dat" else write_mat)(path, data, arrays.labels)
    recordings = DeapRecordings(tmp_path / "a", kind, "1")
    without = [trial for trial in recordings.trials("s01") if not trial.has_eeg]
    assert [trial.trial for trial in without] == [2]
    assert "trial 2 of" in without[0].eeg_problem.lower()
    blocks = [trial for block in recordings.eeg_blocks("s01") for trial in block.onset_s]
    assert 2 not in blocks
    assert len(blocks) == len(recordings.trials("s01")) - 1
    (entry,) = inventory_deap(tmp_path / "a", kind, "1").participants
    assert entry.eeg_trials == len(blocks)
    assert any("values that are not finite" in missing.why for missing in entry.missing)


def test_deap_recordings_rejects_a_missing_or_empty_root(tmp_path):
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


def test_deap_recordings_rejects_ratings_without_files(tmp_path, root):
    shutil.copytree(root / "metadata_csv", tmp_path / "metadata_csv")
    with pytest.raises(InputError, match="No participant below"):
        DeapRecordings(tmp_path)


@pytest.mark.parametrize("text", ["3", "1,3-5", "31", "s01,s07"])
def test_deap_recordings_names_an_unknown_participant(root, text):
    with pytest.raises(InputError, match=r"has no participant (3|3-5|31|s07)\.") as error:
        DeapRecordings(root, participants=text)
    assert "Available: s01, s02, s23, s30." in error.value.hint


def test_deap_recordings_rejects_another_number_of_stimuli(tmp_path, root, write_bdf, status_words):
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
def test_deap_recordings_rejects_labels_that_differ_from_the_ratings(tmp_path, root, source):
    data, labels = _arrays()
    labels[0, 1] += 0.02
    shutil.copytree(root / "metadata_csv", tmp_path / "metadata_csv")
    (write_dat if source == "dat" else write_mat)(tmp_path / f"s01.{source}", data, labels)
    recordings = DeapRecordings(tmp_path, source)
    for read in (recordings.trials, lambda name: list(recordings.eeg_blocks(name))):
        with pytest.raises(InputError, match=r"s01.*trial 2 \(Experiment_id 1\).*2, 3\.02, 4, 5"):
            read("s01")


def test_deap_recordings_reads_the_status_channel_of_a_bdf_once(root, monkeypatch):
    """The check, the durations and the blocks of one run of `prepare` share the stimulus marks."""
    reads = []

    def count(raw):
        reads.append(raw)
        return status_codes(raw)

    bdf._cached_marks.cache_clear()
    monkeypatch.setattr(bdf, "status_codes", count)
    inventory_deap(root, participants="1")
    recordings = DeapRecordings(root, participants="1")
    recordings.trials("s01")
    copy = pickle.loads(pickle.dumps(recordings))
    bdf._cached_marks.cache_clear()  # a worker process has a cache of its own
    (block,) = copy.eeg_blocks("s01")
    assert len(block.onset_s) == N_TRIALS
    assert len(reads) == 1


def test_read_stimulus_marks_of_a_changed_file_are_read_again(
    tmp_path, root, write_bdf, status_words
):
    path = tmp_path / "s01.bdf"
    shutil.copy(root / "data_original/data_original/s01.bdf", path)
    assert len(bdf.read_stimulus_marks(path)) == N_TRIALS
    words = status_words(512 * 12, [(1000, 4), (2000, 5)])
    write_bdf(path, {name: np.zeros(512 * 12) for name in GENEVA}, words)
    assert len(bdf.read_stimulus_marks(path)) == 1


@pytest.mark.parametrize("source", ["bdf", "dat"])
def test_deap_recordings_selected_channels_have_their_own_average(root, source):
    wanted = ("O1", "T7", "Fp1", "F3", "F4", "Pz", "Cz", "T8", "Oz")
    settings = EegSettings(eog_correction="none", bad_channels="keep")
    recordings = DeapRecordings(root, source, "s01", ("O1", "T3", *wanted[2:]))
    assert recordings.channels == wanted
    assert any("9 of DEAP's 32" in note for note in recordings.notes())
    whole = DeapRecordings(root, source, "s01")
    block = next(iter(recordings.eeg_blocks("s01")))
    own = preprocess_eeg(block, settings, recordings.channels)
    full = preprocess_eeg(next(iter(whole.eeg_blocks("s01"))), settings, whole.channels)
    expected = full.data[[GENEVA.index(name) for name in wanted]]
    np.testing.assert_allclose(own.data, expected - expected.mean(axis=0), atol=1e-6)


def test_deap_recordings_rejects_channels_that_deap_lacks(root):
    with pytest.raises(InputError, match="DEAP lacks FT9"):
        DeapRecordings(root, channels=("Fp1", "FT9"))
