"""The class determines how often a person blinks, and nothing else: EEG must not reveal it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers import EEG_HZ, blink_signal, blink_topography, scalp_eeg
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.eeg.io import EegBlock, raw_from_microvolts
from milmer_cli.evaluation.baselines import BAND_POWER, MAIN
from milmer_cli.preprocessing import segment_eeg
from milmer_cli.settings import load_settings
from milmer_cli.settings.schema import EegSettings
from milmer_cli.stages.evaluate import evaluate
from milmer_cli.stages.prepare import prepare

CAP = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4")
TRIAL_S = 6.0
BLINKS_PER_TRIAL = (0.5, 4.0)
"""Mean number of blinks by class; the number of a trial has a Poisson distribution."""
EYE_CHANNELS = {"pair": ("EOG1", "EOG2"), "single": ("EOG1",), "none": ()}
BANDS_HZ = ((1, 4), (4, 8), (8, 13), (13, 30), (30, 45))


def record(
    kind: str, n_trials: int, seed: int, blinking: bool = True
) -> tuple[EegBlock, np.ndarray]:
    """A recording with an EOG pair, a single EOG channel, or none; and the class of each trial.

    Eye electrodes record blinks, the brain next to them, noise, and the reference, as all do.
    Without ``blinking``, everything but the blinks is the same.
    """
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n_trials) % 2)
    brain = scalp_eeg(CAP, n_trials * TRIAL_S, seed)
    counts = rng.poisson(np.array(BLINKS_PER_TRIAL)[labels])
    onsets_s = np.repeat(np.arange(n_trials) * TRIAL_S, counts) + rng.uniform(
        0, TRIAL_S - 0.5, counts.sum()
    )
    blinks = blinking * blink_signal(onsets_s, brain.shape[1], seed)
    eyes = np.outer([1.3, -0.8], blinks) + np.outer([0.8, 0.6], brain[:2].mean(axis=0))
    eyes = (eyes + rng.normal(0, 2, eyes.shape))[: len(EYE_CHANNELS[kind])]
    electrodes = np.vstack([brain + np.outer(blink_topography(CAP), blinks), eyes])
    electrodes += rng.normal(0, 15, brain.shape[1])
    raw = raw_from_microvolts(electrodes, EEG_HZ, CAP, EYE_CHANNELS[kind])
    eog = (EYE_CHANNELS[kind],) if kind == "pair" else ()
    return EegBlock(raw, {trial: trial * TRIAL_S for trial in range(n_trials)}, eog=eog), labels


def features(segments: np.ndarray) -> np.ndarray:
    """Log band power and log amplitude of each channel, (n_segments, n_features)."""
    power = np.abs(np.fft.rfft(segments * np.hanning(segments.shape[-1]))) ** 2
    hz = np.fft.rfftfreq(segments.shape[-1], 1 / EEG_HZ)
    bands = [power[..., (hz >= low) & (hz < high)].mean(axis=-1) for low, high in BANDS_HZ]
    return np.log(np.concatenate([*bands, np.ptp(segments, axis=-1)], axis=1))


def decoding_accuracy(
    kind: str, method: str, n_trials: int = 60, seed: int = 32, blinking: bool = True
) -> float:
    """Accuracy of LDA over segments of 3 s, cross-validated by trial.

    Its standard deviation over recordings without any signal is 0.06 (seeds 30 to 45).
    """
    block, labels = record(kind, n_trials, seed, blinking)
    settings = EegSettings(notch_hz=0.0, eog_correction=method)
    trials = segment_eeg(block, dict.fromkeys(block.onset_s, TRIAL_S), settings).trials
    inputs = np.concatenate([features(segments) for segments in trials.values()])
    groups = np.repeat(list(trials), [len(segments) for segments in trials.values()])
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    model = make_pipeline(StandardScaler(), lda)
    predicted = cross_val_predict(model, inputs, labels[groups], groups=groups, cv=GroupKFold(5))
    return float((predicted == labels[groups]).mean())


def test_lda_decodes_blinks_without_correction():
    assert decoding_accuracy("pair", "none") > 0.7


@pytest.mark.parametrize("kind", EYE_CHANNELS)
def test_lda_is_at_chance_after_the_correction(kind):
    accuracy = decoding_accuracy(kind, "auto")
    assert accuracy < 0.6
    # the same recording without blinks, which has an accuracy of its own by chance
    assert accuracy < decoding_accuracy("none", "none", blinking=False) + 0.1


@pytest.mark.slow
@pytest.mark.parametrize("kind", EYE_CHANNELS)
def test_lda_is_at_chance_after_the_correction_in_many_recordings(kind):
    seeds = range(50, 70)
    accuracies = [decoding_accuracy(kind, "auto", seed=seed) for seed in seeds]
    without = [decoding_accuracy("none", "none", seed=seed, blinking=False) for seed in seeds]
    # 0.013 is the standard error of the mean
    assert np.mean(accuracies) < 0.53
    assert np.mean(accuracies) - np.mean(without) < 0.02


SETTINGS = [
    *("data.target=label", "model.modalities=eeg", "model.backbone=scratch:micro"),
    *("model.dim_feedforward=32", "model.num_layers=1", "model.eeg_amplitude=bands"),
    *("train.epochs=30", "train.lr=1e-3", "train.batch_size=16", "train.ema_decay=0.9"),
    *("evaluate.folds=4", "evaluate.n_bootstraps=500", "evaluate.n_permutations=500"),
    *("evaluate.protocols=[trial]", "run.workers=1", "run.device=cpu", "run.report_to=none"),
]


def write_recordings(folder: Path, kind: str) -> Path:
    """Write three recordings of 60 trials, and their manifest."""
    rows = ["participant,trial,stimulus,eeg,eeg_onset_s,duration_s,label,eog"]
    folder.mkdir()
    for number in range(1, 4):
        block, labels = record(kind, 60, seed=70 + number)
        block.raw.save(folder / f"p{number}_raw.fif", verbose="error")
        eog = "-".join(EYE_CHANNELS[kind]) if kind == "pair" else ""
        rows += [
            f"P{number},{trial + 1},{trial + 1},p{number}_raw.fif,{onset_s},{TRIAL_S},"
            f"{('rare', 'frequent')[labels[trial]]},{eog}"
            for trial, onset_s in block.onset_s.items()
        ]
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return folder / "table.csv"


@pytest.fixture
def accuracies(tmp_path) -> Callable[[str, str], dict[str, float]]:
    """``accuracies(kind, method)``: accuracy of each model after prepare and evaluate."""

    def run(kind: str, method: str) -> dict[str, float]:
        settings = load_settings(overrides=[*SETTINGS, f"eeg.eog_correction={method}"])
        recordings = ManifestRecordings(write_recordings(tmp_path / "data", kind))
        prepare(recordings, tmp_path / "prepared", settings)
        evaluate(tmp_path / "prepared", tmp_path / "out", settings)
        metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
        models = metrics["protocols"]["trial"]["models"]
        return {name: models[name]["segment"]["accuracy"]["value"] for name in (MAIN, BAND_POWER)}

    return run


@pytest.mark.slow
def test_evaluate_decodes_blinks_without_correction(accuracies):
    found = accuracies("none", "none")
    assert min(found.values()) > 0.65, found


@pytest.mark.slow
@pytest.mark.parametrize("kind", EYE_CHANNELS)
def test_evaluate_is_at_chance_after_the_correction(accuracies, kind):
    found = accuracies(kind, "auto")
    # 360 segments: 0.08 is 3 binomial standard errors
    assert max(found.values()) < 0.58, found
