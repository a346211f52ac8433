from __future__ import annotations

import csv
import pickle
import pickletools
from typing import Any

import mne
import numpy as np
import pytest
from scipy import io, signal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from milmer_cli.datasets.synthetic import SyntheticConfig
from milmer_cli.datasets.synthetic.config import QUADRANTS
from milmer_cli.datasets.synthetic.eeg_signals import simulate_signals
from milmer_cli.datasets.synthetic.preprocessed_writer import preprocess_signals
from milmer_cli.datasets.synthetic.schedule import draw_truth, quadrant_signs

NAMES = ["s01", "s02", "s24", "s29"]
_GENEVA = (
    "Fp1 AF3 F3 F7 FC5 FC1 C3 T7 CP5 CP1 P3 P7 PO3 O1 Oz Pz "
    "Fp2 AF4 Fz F4 F8 FC6 FC2 Cz C4 T8 CP6 CP2 P4 P8 PO4 O2"
)
GENEVA = _GENEVA.split()


def _unpickled(generated, name):
    with (generated.root / "data_preprocessed_python" / f"{name}.dat").open("rb") as file:
        return pickle.load(file, encoding="latin1")


@pytest.mark.parametrize("name", NAMES)
def test_write_dat_and_write_mat_contain_the_same_arrays(generated, name):
    dat = _unpickled(generated, name)
    mat = io.loadmat(generated.root / "data_preprocessed_matlab" / f"{name}.mat")
    assert set(dat) == {"data", "labels"}
    assert dat["data"].shape == (3, 40, (3 + 3) * 128)
    assert dat["labels"].shape == (3, 4)
    for key in ("data", "labels"):
        assert dat[key].dtype == mat[key].dtype == np.float64
        np.testing.assert_array_equal(dat[key], mat[key])


def test_write_dat_opcodes_are_those_of_python_2(generated):
    content = (generated.root / "data_preprocessed_python" / "s01.dat").read_bytes()
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


def test_preprocess_signals_rows_follow_experiment_id_and_match_the_ratings(generated):
    path = generated.root / "metadata_csv" / "participant_ratings.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for name in NAMES:
        labels = _unpickled(generated, name)["labels"]
        own = [row for row in rows if int(row["Participant_id"]) == int(name[1:])]
        assert len(own) == 3
        for row in own:
            given = [float(row[key]) for key in ("Valence", "Arousal", "Dominance", "Liking")]
            np.testing.assert_allclose(labels[int(row["Experiment_id"]) - 1], given)


@pytest.mark.parametrize("name", ["s01", "s29"])
def test_preprocess_signals_eeg_matches_the_bdf_file(generated, name):
    truth = generated.participant(name)
    raw = mne.io.read_raw_bdf(generated.root / "data_original" / f"{name}.bdf", verbose="ERROR")
    eeg = raw.get_data(picks=GENEVA) * 1e6
    eeg -= eeg.mean(axis=0)
    sos = signal.butter(4, (4, 45), "bandpass", fs=512, output="sos")
    eeg = signal.sosfiltfilt(sos, eeg, axis=1)
    data = _unpickled(generated, name)["data"]
    np.testing.assert_allclose(data[:, :32].mean(axis=1), 0, atol=1e-3)
    back = [c for c, channel in enumerate(GENEVA) if channel[0] in "CPO" and channel[-1] != "z"]
    for trial in truth.trials:
        row = data[trial.stimulus - 1, :32]
        same = eeg[:, trial.onset_sample - 3 * 512 : trial.onset_sample + 3 * 512 : 4]
        agree = [np.corrcoef(row[channel], same[channel])[0, 1] for channel in back]
        assert (
            np.median(agree) > 0.97
        )  # parietal channels, because the preprocessed files have no blinks


def _features(config: SyntheticConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return band power and evoked averages of each 3-s segment, its quadrant and its trial."""
    rows, classes, groups = [], [], []
    for participant in draw_truth(config).participants:
        data, _ = preprocess_signals(config, participant, simulate_signals(config, participant))
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


def _predictions(**config: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted and the true quadrants of the segments of four participants."""
    features, classes, groups = _features(SyntheticConfig(participants=4, trials=12, **config))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=1000))
    predicted = cross_val_predict(model, features, classes, groups=groups, cv=GroupKFold(6))
    return predicted, classes


@pytest.mark.slow
def test_signal_eeg_predicts_arousal_and_not_valence_unless_it_is_zero():
    predicted, true = _predictions(signal=1.0)
    signs = np.array([quadrant_signs(quadrant) for quadrant in range(4)])
    valence, arousal = (signs[predicted] == signs[true]).mean(axis=0)
    assert arousal > 0.85
    assert 0.3 < valence < 0.7
    null = [np.equal(*_predictions(signal=0.0, seed=seed)).mean() for seed in range(3)]
    assert np.mean(null) < 0.36  # chance is 0.25; three sets of 48 trials


@pytest.mark.slow
def test_signal_kind_trial_does_not_predict_other_trials():
    assert np.equal(*_predictions(signal=1.0, signal_kind="trial")).mean() < 0.4
