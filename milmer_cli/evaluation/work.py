"""One model in one fold: trained, tested, looked into, and kept under what made it."""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import milmer_cli
from milmer_cli.compute import Compute
from milmer_cli.data.dataset import collate
from milmer_cli.data.labels import LEFT_OUT
from milmer_cli.data.split_file import segments_fingerprint
from milmer_cli.data.splits import Fold
from milmer_cli.evaluation.checkup import checkup
from milmer_cli.evaluation.probes import TARGETS, features_of, named
from milmer_cli.evaluation.rivals import MAIN, Rival
from milmer_cli.evaluation.rounds import Round
from milmer_cli.model import MilmerModel
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import Settings
from milmer_cli.store.atomic import written_aside
from milmer_cli.training.confidence import calibrate
from milmer_cli.training.folds import bags_of, new_model, train_fold
from milmer_cli.training.material import Material, seen
from milmer_cli.training.predictions import predict_probabilities

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Job:
    """A model to be trained and tested in a round."""

    rival: Rival
    round: Round

    @property
    def settings(self) -> Settings:
        """Of the model, with the seed of the round."""
        return self.rival.settings.model_copy(update={"seed": self.round.seed})

    @property
    def name(self) -> str:
        """For people."""
        seed = f", seed {self.round.seed}" if self.round.seed != self.rival.settings.seed else ""
        return f"{self.rival.name}, {self.round.protocol} fold {self.round.number}{seed}"


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a job gave.

    Attributes
    ----------
    probabilities
        (n_test, n_classes), calibrated on the validation part.
    epoch
        The one that was kept; None where nothing was trained by epochs.
    temperature
        What calibrated them; 1 for none.
    seconds
        Of training and testing.
    extras
        For the model itself: what `checkup` gives, and ``names a participant`` and ``names a
        clip`` of `probes.named`.
    """

    probabilities: np.ndarray
    epoch: int | None = None
    temperature: float = 1.0
    seconds: float = 0.0
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)


def train_and_test(
    job: Job, material: Material, out: Path, compute: Compute, progress: Progress = SILENT
) -> Outcome:
    """Do a job of a network.

    Raises
    ------
    MilmerError
        As `train_fold`.
    """
    began = time.perf_counter()
    settings = job.settings
    model, history = train_fold(
        material.store,
        material.segments,
        material.labels,
        visible(job.round.fold, material, settings),
        settings,
        None,
        compute,
        progress,
        task=job.name,
    )
    settings = settings.with_micro_batch(history.micro_batch)  # what memory has shown to hold
    fold = job.round.fold
    temperature = 1.0
    if not np.array_equal(fold.validation, fold.test):
        validation = visible(fold, material, settings).validation
        found = _probabilities(model, validation, material, settings, out, compute)
        temperature = calibrate(model, material.labels[validation], found)
    probabilities = _probabilities(model, fold.test, material, settings, out, compute)
    extras: dict[str, np.ndarray] = {}
    if job.rival.name == MAIN:
        extras |= looked_into(model, fold, material, settings, out, compute)
        extras |= _named(model, fold, material, settings, out, compute)
    seconds = time.perf_counter() - began
    return Outcome(probabilities, history.best_epoch, temperature, seconds, extras)


def looked_into(
    model: MilmerModel,
    fold: Fold,
    material: Material,
    settings: Settings,
    out: Path,
    compute: Compute,
) -> dict[str, np.ndarray]:
    """`checkup` on the test part of a fold; empty for a model without faces."""
    if settings.model.modalities == "eeg":
        return {}
    data = bags_of(
        model, material.store, material.segments, material.labels, fold.test, settings, compute,
        out=out,
    )  # fmt: skip
    return checkup(model, data, compute, settings.samples_at_once, settings.seed)


def visible(fold: Fold, material: Material, settings: Settings) -> Fold:
    """Leave out of training and validation what a model of one modality cannot see."""
    labels = seen(material.labels, material.segments, settings.model.modalities)

    def kept(rows: np.ndarray) -> np.ndarray:
        return rows[labels[rows] != LEFT_OUT]

    return Fold(kept(fold.train), kept(fold.validation), fold.test)


def make_tokens(
    job: Job, material: Material, out: Path, compute: Compute, progress: Progress
) -> None:
    """Make the face tokens that a job needs, before several processes ask for them at once."""
    settings = job.settings
    if settings.model.freeze_backbone and settings.model.modalities != "eeg":
        model = new_model(material.store, material.segments, settings, compute)
        store, segments, labels = material.store, material.segments, material.labels
        bags_of(
            model, store, segments, labels, job.round.fold.train, settings, compute, progress, out
        )


def token_key(job: Job) -> tuple[object, ...]:
    """Jobs with equal keys have equal backbones."""
    model = job.settings.model
    return (job.round.seed, model.backbone, model.freeze_backbone, model.modalities != "eeg")


# Kept on disk -----------------------------------------------------------------------------------


def identity(job: Job, material: Material) -> str:
    """Everything that decides what a job gives, as JSON: equal text, equal outcome."""
    plain = job.settings.model_dump(mode="json")
    rows = hashlib.sha256()
    for _, part in job.round.fold.parts():
        rows.update(np.ascontiguousarray(part, dtype=np.int64).tobytes() + b"|")
    what = {
        "format": FORMAT,
        "milmer": milmer_cli.__version__,
        "model": job.rival.name == MAIN,
        "store": material.store.fingerprint,
        "segments": segments_fingerprint(material.segments),
        "backbone": _backbone(job.settings),
        "rows": rows.hexdigest(),
        **{name: plain[name] for name in ("seed", "data", "eeg", "faces")},
        "settings": {name: plain[name] for name in ("model", "train")},
    }
    return json.dumps(what, sort_keys=True)


def file_of(job: Job, material: Material, out: Path) -> Path:
    """Where the outcome of a job is kept."""
    digest = hashlib.sha256(identity(job, material).encode()).hexdigest()[:12]
    return out / "folds" / f"{job.round.protocol}-{job.round.seed}-{job.round.number}-{digest}.npz"


def save(path: Path, made_from: str, outcome: Outcome) -> None:
    """Keep an outcome, whole or not at all."""
    arrays: dict[str, Any] = {f"extra {k}": values for k, values in outcome.extras.items()}
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez_compressed(
            file,
            identity=np.array(made_from),
            probabilities=outcome.probabilities,
            epoch=np.array(-1 if outcome.epoch is None else outcome.epoch),
            temperature=np.array(outcome.temperature),
            seconds=np.array(outcome.seconds),
            **arrays,
        )


def load(path: Path, made_from: str) -> Outcome | None:
    """Read an outcome back; None where there is none, or none that was made from the same."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            if str(kept["identity"]) != made_from:
                return None
            epoch = int(kept["epoch"])
            return Outcome(
                kept["probabilities"],
                None if epoch < 0 else epoch,
                float(kept["temperature"]),
                float(kept["seconds"]),
                {
                    name.removeprefix("extra "): kept[name]
                    for name in kept.files
                    if name.startswith("extra ")
                },
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # there is none, or it is damaged: made again


def _backbone(settings: Settings) -> str:
    """Digest of a backbone's folder, where it is one: another training gives it other weights."""
    folder = Path(settings.model.backbone)
    if settings.model.modalities == "eeg" or not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")) + sorted(folder.glob("config.json")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _probabilities(
    model: MilmerModel,
    rows: np.ndarray,
    material: Material,
    settings: Settings,
    out: Path,
    compute: Compute,
) -> np.ndarray:
    data = bags_of(
        model, material.store, material.segments, material.labels, rows, settings, compute, out=out
    )
    return predict_probabilities(model, data, compute, settings.samples_at_once, collate=collate)


def _named(
    model: MilmerModel,
    fold: Fold,
    material: Material,
    settings: Settings,
    out: Path,
    compute: Compute,
) -> dict[str, np.ndarray]:
    """Ask the probes on the model's features about the test part."""
    rows = np.concatenate([fold.train, fold.test])
    data = bags_of(
        model, material.store, material.segments, material.labels, rows, settings, compute, out=out
    )
    read = features_of(model, data, compute, settings.samples_at_once)
    features = np.full((len(material.segments), read.shape[1]), np.nan, dtype=np.float32)
    features[rows] = read
    return {
        f"names a {target}": named(material.segments, fold, features, target) for target in TARGETS
    }
