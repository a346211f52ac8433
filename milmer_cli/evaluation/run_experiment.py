"""Train the model of one experiment and test it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from milmer_cli.data.dataset import Bag, BagDataset
from milmer_cli.data.eeg_alignment import align_eeg
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import EXCLUDED
from milmer_cli.data.splits import Fold
from milmer_cli.device import Device
from milmer_cli.evaluation.adaptation import TrainedClassifier, adapt_to_participants
from milmer_cli.evaluation.experiment import Experiment, ExperimentResult
from milmer_cli.evaluation.features import TIMING_REPEATS
from milmer_cli.evaluation.missing_electrodes import MissingElectrodes
from milmer_cli.evaluation.probes import TARGETS, extract_features, predict_probe
from milmer_cli.evaluation.robustness import evaluate_robustness
from milmer_cli.evaluation.usable_sets import usable_rows
from milmer_cli.inference.predict_proba import predict_proba
from milmer_cli.models import MilmerModel
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import Settings
from milmer_cli.settings.schema import Modalities
from milmer_cli.training.calibration import calibrate, segment_temperatures
from milmer_cli.training.fit_fold import fit_fold, new_model, open_bags, predict_segments
from milmer_cli.training.fit_network import fit_network
from milmer_cli.training.training_args import TrainingLog


def run_experiment(
    experiment: Experiment,
    labeled: LabeledSegments,
    out: Path,
    device: Device,
    progress: Progress = SILENT,
) -> ExperimentResult:
    """Train the network of an experiment and test it.

    Parameters
    ----------
    experiment
        Its method must be ``network``.
    labeled
        The segments.
    out
        Folder of the evaluation, for face tokens if the store is read-only.
    device
        Device and precision.
    progress
        Receives the progress of the training.

    Raises
    ------
    MilmerError
        The training failed.
    """
    start = time.perf_counter()
    settings, fold = experiment.settings, experiment.fold.fold
    usable = usable_rows(fold, labeled, settings.model.modalities)
    labeled = align_eeg(labeled, usable.train, settings.model)
    log = TrainingLog(progress, experiment.name, epoch_level="detail")
    network = experiment.spec.network
    model: Any
    model, history = (
        fit_network(network, labeled, usable, settings, device, log)
        if network
        else fit_fold(labeled, usable, settings, device, log=log)
    )
    training_seconds = time.perf_counter() - start
    # Training may have reduced the batch to fit into memory: predict with the same size.
    settings = settings.with_micro_batch_size(history.micro_batch_size)
    fitted = _FittedModel(model, labeled, settings, out, device)
    temperatures: dict[str, float] = {}
    if not experiment.fold.epoch_selected_on_test:
        temperatures = calibrate(model, labeled, usable.validation, fitted.predict)
    probabilities = fitted.predict(fold.test)
    adapted = None
    if n_trials := experiment.calibration_trials:
        features = fitted.features(np.concatenate([rows for _, rows in usable.sets()]))
        trained = TrainedClassifier(features, fitted.predict(usable.validation), probabilities)
        in_fold = replace(experiment.fold, fold=usable)
        adapted = adapt_to_participants(labeled, in_fold, trained, n_trials)
    is_main, single = experiment.spec.is_main, settings.model.modalities != "both"
    if experiment.fold.epoch_selected_on_test:
        single = False  # no set is left to fit a late fusion on
    tensors = [*model.parameters(), *model.buffers()]
    return ExperimentResult(
        probabilities=probabilities,
        epoch=history.best_epoch,
        temperature=(
            segment_temperatures(temperatures, labeled, fold.test) if temperatures else None
        ),
        temperatures=temperatures,
        robustness=fitted.robustness(fold.test) if is_main else {},
        probe_predictions=fitted.probe_predictions(fold) if is_main else {},
        adapted=adapted,
        validation_probabilities=fitted.predict(fold.validation) if single else None,
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        n_bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
        training_seconds=training_seconds,
        prediction_seconds=fitted.seconds_of_one(fold.test),
        seconds=time.perf_counter() - start,
    )


def evaluate_model(
    model: MilmerModel,
    labeled: LabeledSegments,
    rows: np.ndarray,
    settings: Settings,
    device: Device,
    progress: Progress = SILENT,
) -> ExperimentResult:
    """Test a trained and calibrated model, without training.

    Parameters
    ----------
    model
        The model.
    labeled
        The segments.
    rows
        (n,) rows of the test set.
    settings
        ``model.modalities``, ``run`` and ``seed`` are used.
    device
        Device and precision.
    progress
        Receives the progress.
    """
    own = settings.model.modalities
    temperatures = {
        name: value for name, value in model.config.temperatures.items() if own in ("both", name)
    }
    data = BagDataset(labeled, rows, settings.model.modalities)
    return ExperimentResult(
        probabilities=predict_segments(model, labeled, rows, settings, device, progress),
        temperature=segment_temperatures(temperatures, labeled, rows),
        temperatures=temperatures,
        robustness=evaluate_robustness(
            model,
            data,
            device,
            settings.inference_batch_size,
            settings.seed,
            MissingElectrodes.of(labeled, settings.seed),
        ),
    )


def prepare_face_tokens(
    experiment: Experiment, labeled: LabeledSegments, out: Path, device: Device, progress: Progress
) -> None:
    """Compute the face tokens of a frozen backbone before several processes need them."""
    settings = experiment.settings
    if settings.model.freeze_backbone and settings.model.modalities != "eeg":
        model = new_model(labeled, settings, device)
        open_bags(model, labeled, experiment.fold.fold.train, settings, device, out, progress)


def backbone_key(experiment: Experiment) -> tuple[object, ...]:
    """Return a key that is equal for experiments with the same initial backbone."""
    model = experiment.settings.model
    return experiment.fold.seed, model.backbone, model.freeze_backbone, model.modalities != "eeg"


@dataclass(frozen=True, eq=False)
class _FittedModel:
    """A trained model with everything that is needed to run it."""

    model: Any  # MilmerModel or EegNetwork
    labeled: LabeledSegments
    settings: Settings
    out: Path
    device: Device

    def predict(self, rows: np.ndarray, modalities: Modalities | None = None) -> np.ndarray:
        """Return the probabilities of some segments, (n, n_classes), with only some modalities."""
        batch_size = self.settings.inference_batch_size
        return predict_proba(self.model, self._bags(rows, modalities), self.device, batch_size)

    def seconds_of_one(self, rows: np.ndarray) -> float:
        """Return the shortest duration of a few predictions of one segment, from its images."""
        labels = self.labeled.restrict_to(self.settings.model.modalities).labels
        row = rows[labels[rows] != EXCLUDED][:1]
        durations = []
        for _ in range(TIMING_REPEATS):
            start = time.perf_counter()
            predict_segments(self.model, self.labeled, row, self.settings, self.device)
            durations.append(time.perf_counter() - start)
        return min(durations)

    def robustness(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Run `evaluate_robustness`."""
        seed = self.settings.seed
        return evaluate_robustness(
            self.model,
            self._bags(rows),
            self.device,
            self.settings.inference_batch_size,
            seed,
            MissingElectrodes.of(self.labeled, seed),
        )

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of some segments, (n_segments, width); NaN in all others."""
        rows = np.unique(rows)  # the validation set can be the test set
        batch_size = self.settings.inference_batch_size
        values = extract_features(self.model, self._bags(rows), self.device, batch_size)
        features = np.full((len(self.labeled.segments), values.shape[1]), np.nan, np.float32)
        features[rows] = values
        return features

    def probe_predictions(self, fold: Fold) -> dict[str, np.ndarray]:
        """Predict every probe target of the test set from the model's features."""
        features = self.features(np.concatenate([fold.train, fold.test]))
        segments = self.labeled.segments
        return {target: predict_probe(segments, fold, features, target) for target in TARGETS}

    def _bags(self, rows: np.ndarray, modalities: Modalities | None = None) -> Dataset[Bag]:
        settings = self.settings
        if modalities is not None:
            model = settings.model.model_copy(update={"modalities": modalities})
            settings = settings.model_copy(update={"model": model})
        return open_bags(self.model, self.labeled, rows, settings, self.device, out=self.out)
