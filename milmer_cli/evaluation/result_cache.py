"""Files of finished experiments, so that an interrupted evaluation can be continued.

Each file contains the identity of its experiment: everything that determines the result. A file
with another identity, or a damaged one, is ignored and replaced.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import milmer_cli
from milmer_cli.arrays import read_arrays
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.digests import digest, file_digest
from milmer_cli.evaluation.experiment import Experiment, ExperimentResult
from milmer_cli.io import atomic_write
from milmer_cli.json_files import json_text
from milmer_cli.models.eeg_network import network_fingerprint
from milmer_cli.settings import Settings
from milmer_cli.settings.baseline_names import encoder_weights, is_encoder
from milmer_cli.weights.local_backbones import own_folder

FORMAT = 5
FOLDER = "folds"
SECTIONS = ("seed", "data", "eeg", "faces", "quality", "model", "train")
COST_FIELDS = ("n_parameters", "n_bytes", "training_seconds", "prediction_seconds")
_ROBUSTNESS, _PROBE = "robustness ", "probe "


def experiment_identity(experiment: Experiment, labeled: LabeledSegments) -> str:
    """Return everything that determines the result of an experiment, as JSON text."""
    values = experiment.settings.model_dump(mode="json")
    baseline = experiment.spec.baseline
    identity = {
        "format": FORMAT,
        "version": milmer_cli.__version__,
        "is_main": experiment.spec.is_main,
        "features": [baseline.features, baseline.classifier] if baseline else ["", ""],
        "store": labeled.store.fingerprint,
        "segments": labeled.fingerprint,
        "backbone": _backbone_digest(experiment.settings),
        "rows": digest(*(rows for _, rows in experiment.fold.fold.sets())),
        "settings": {name: values[name] for name in SECTIONS},
        "calibration_trials": experiment.calibration_trials,
    }
    if network := experiment.spec.network:
        identity["network"] = [network, network_fingerprint(network)]
    if baseline and is_encoder(baseline.features):
        identity["encoder"] = _folder_digest(encoder_weights(baseline.features))
    return json_text(identity, indent=None)


def result_path(experiment: Experiment, labeled: LabeledSegments, out: Path) -> Path:
    """Return the file of an experiment in the folder of the evaluation."""
    fold = experiment.fold
    identity = digest(experiment_identity(experiment, labeled))
    return out / FOLDER / f"{fold.protocol}-{fold.seed}-{fold.number}-{identity}.npz"


def save_result(
    experiment: Experiment, labeled: LabeledSegments, out: Path, result: ExperimentResult
) -> None:
    """Write the result of an experiment atomically."""
    arrays = {
        **{_ROBUSTNESS + name: values for name, values in result.robustness.items()},
        **{_PROBE + target: values for target, values in result.probe_predictions.items()},
    }
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        identity=np.array(experiment_identity(experiment, labeled)),
        probabilities=result.probabilities,
        epoch=np.array(-1 if result.epoch is None else result.epoch),
        temperature=_optional(result.temperature),
        temperatures=np.array(json_text(dict(result.temperatures))),
        seconds=np.array(result.seconds),
        adapted=np.zeros(0) if result.adapted is None else result.adapted,
        validation_probabilities=_optional(result.validation_probabilities),
        cost=np.array([getattr(result, name) for name in COST_FIELDS]),
        **arrays,  # type: ignore[arg-type]
    )
    atomic_write(result_path(experiment, labeled, out), buffer.getvalue())


def load_result(
    experiment: Experiment, labeled: LabeledSegments, out: Path
) -> ExperimentResult | None:
    """Read the result of an experiment; None if there is none, or a damaged or different one."""
    arrays = read_arrays(result_path(experiment, labeled, out))
    if arrays is None:
        return None
    try:
        if str(arrays["identity"]) != experiment_identity(experiment, labeled):
            return None
        epoch = int(arrays["epoch"])
        temperature, validation = arrays["temperature"], arrays["validation_probabilities"]
        n_parameters, n_bytes, training_seconds, prediction_seconds = map(float, arrays["cost"])
        adapted = arrays["adapted"]
        return ExperimentResult(
            probabilities=arrays["probabilities"],
            epoch=None if epoch < 0 else epoch,
            temperature=temperature if len(temperature) else None,
            temperatures=json.loads(str(arrays["temperatures"])),
            seconds=float(arrays["seconds"]),
            adapted=adapted if len(adapted) else None,
            validation_probabilities=validation if len(validation) else None,
            n_parameters=int(n_parameters),
            n_bytes=int(n_bytes),
            training_seconds=training_seconds,
            prediction_seconds=prediction_seconds,
            robustness=_with_prefix(arrays, _ROBUSTNESS),
            probe_predictions=_with_prefix(arrays, _PROBE),
        )
    except (ValueError, KeyError, TypeError):  # of another version
        return None


def _optional(values: np.ndarray | None) -> np.ndarray:
    return np.zeros(0) if values is None else values


def _with_prefix(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def _backbone_digest(settings: Settings) -> str:
    """Digest of the weights of the backbone, if the model has one."""
    return "" if settings.model.modalities == "eeg" else _folder_digest(settings.model.backbone)


def _folder_digest(name: str) -> str:
    """Digest of pretrained weights if they are a folder: the same path may get new weights."""
    folder = own_folder(name)
    if folder is None:
        return ""
    patterns = ("*.safetensors", "*.bin", "config.json")
    files = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    return digest(*(file_digest(path) for path in files))
