from __future__ import annotations

import csv
import pickle
import pickletools

import mne
import numpy as np
import pytest
from scipy import io, signal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from milmer_cli.demo import DemoSpec
from milmer_cli.demo.eeg import make_signals
from milmer_cli.demo.plan import plan
from milmer_cli.demo.preprocessed import preprocess
from milmer_cli.demo.spec import QUADRANTS

NAMES = ["s01", "s02", "s24", "s29"]
_GENEVA = (
    "Fp1 AF3 F3 F7 FC5 FC1 C3 T7 CP5 CP1 P3 P7 PO3 O1 Oz Pz "
    "Fp2 AF4 Fz F4 F8 FC6 FC2 Cz C4 T8 CP6 CP2 P4 P8 PO4 O2"
)
GENEVA = _GENEVA.split()


def _unpickled(made, name):
    with (made.root / "data_preprocessed_python" / f"{name}.dat").open("rb") as file:
        return pickle.load(file, encoding="latin1")


@pytest.mark.parametrize("name", NAMES)
def test_dat_and_mat_hold_the_same(made, name):
    dat = _unpickled(made, name)
    mat = io.loadmat(made.root / "data_preprocessed_matlab" / f"{name}.mat")
    assert set(dat) == {"data", "labels"}
    assert dat["data"].shape == (3, 40, (3 + 3) * 128)
    assert dat["labels"].shape == (3, 4)
    for key in ("data", "labels"):
        assert dat[key].dtype == mat[key].dtype == np.float64
        np.testing.assert_array_equal(dat[key], mat[key])


def test_the_pickle_has_the_three_globals_of_a_real_one_and_python_2s_strings(made):
    content = (made.root / "data_preprocessed_python" / "s01.dat").read_bytes()
    operations = [(code.name, argument) for code, argument, _ in pickletools.genops(content)]
    assert operations[0] == ("PROTO", 2)
    assert {argument for name, argument in operations if name == "GLOBAL"} == {
        "numpy.core.multiarray _reconstruct",
        "numpy ndarray",
        "numpy dtype",
    }
    assert "BINSTRING" in {name for name, _ in operations}
    assert not {"STACK_GLOBAL", "BINBYTES", "SHORT_BINBYTES", "BINUNICODE"} & {
        name for name, _ in operations
    }


def test_rows_follow_experiment_id_and_agree_with_the_ratings(made):
    path = made.root / "metadata_csv" / "participant_ratings.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for name in NAMES:
        labels = _unpickled(made, name)["labels"]
        own = [row for row in rows if int(row["Participant_id"]) == int(name[1:])]
        assert len(own) == 3
        for row in own:
            given = [float(row[key]) for key in ("Valence", "Arousal", "Dominance", "Liking")]
            np.testing.assert_allclose(labels[int(row["Experiment_id"]) - 1], given)


@pytest.mark.parametrize("name", ["s01", "s29"])
def test_the_preprocessed_eeg_is_that_of_the_bdf(made, name):
    truth = made.truth.participant(name)
    raw = mne.io.read_raw_bdf(made.root / "data_original" / f"{name}.bdf", verbose="ERROR")
    eeg = raw.get_data(picks=GENEVA) * 1e6
    eeg -= eeg.mean(axis=0)
    sos = signal.butter(4, (4, 45), "bandpass", fs=512, output="sos")
    eeg = signal.sosfiltfilt(sos, eeg, axis=1)
    data = _unpickled(made, name)["data"]
    np.testing.assert_allclose(data[:, :32].mean(axis=1), 0, atol=1e-3)
    back = [c for c, channel in enumerate(GENEVA) if channel[0] in "CPO" and channel[-1] != "z"]
    for trial in truth.trials:
        row = data[trial.stimulus - 1, :32]
        same = eeg[:, trial.onset_sample - 3 * 512 : trial.onset_sample + 3 * 512 : 4]
        agree = [np.corrcoef(row[channel], same[channel])[0, 1] for channel in back]
        assert np.median(agree) > 0.97  # far from the eyes; the preprocessed files have no blinks


def _features(spec: DemoSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Band power and evoked averages of every 3-s segment; quadrant; trial."""
    rows, classes, groups = [], [], []
    for participant in plan(spec).participants:
        data, _ = preprocess(spec, participant, make_signals(spec, participant))
        for row, trial in zip(data[:, :32, 384:], participant.by_stimulus, strict=True):
            for segment in row.reshape(32, -1, 384).transpose(1, 0, 2):
                hertz, power = signal.welch(segment, 128, nperseg=128)
                bands = [
                    np.log(power[:, (hertz >= low) & (hertz <= high)].mean(axis=1))
                    for low, high in ((8, 12), (16, 28))
                ]
                evoked = segment.reshape(32, 2, 192).mean(axis=1)
                rows.append(np.concatenate([*bands, evoked[:, 26:61:4].ravel()]))
                classes.append(QUADRANTS.index(trial.quadrant))
                groups.append(100 * participant.number + trial.trial)
    return np.array(rows), np.array(classes), np.array(groups)


def _accuracy(spec: DemoSpec) -> float:
    features, classes, groups = _features(spec)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=1000))
    guessed = cross_val_predict(model, features, classes, groups=groups, cv=GroupKFold(6))
    return float((guessed == classes).mean())


def test_the_eeg_carries_the_quadrant_with_signal_and_not_without():
    assert _accuracy(DemoSpec(signal=1.0)) > 0.6
    null = [_accuracy(DemoSpec(signal=0.0, seed=seed)) for seed in range(3)]
    assert np.mean(null) < 0.36  # chance is 0.25; three sets of 48 trials


def test_a_twin_that_names_the_trial_says_nothing_of_new_trials():
    assert _accuracy(DemoSpec(signal=1.0, signal_kind="trial")) < 0.4
