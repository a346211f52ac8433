"""A prepared store -> a run folder: a trained model with an honest score of its test part."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate.utils import broadcast_object_list

from milmer_cli.compute import Compute
from milmer_cli.data.split_file import Splits, segments_fingerprint
from milmer_cli.data.splits import Fold, check_fold, holdout
from milmer_cli.errors import SettingsError
from milmer_cli.metrics import Scores, headline, resampled_unit, score
from milmer_cli.model import MilmerModel
from milmer_cli.progress import SILENT, Progress
from milmer_cli.report import figures
from milmer_cli.settings import Settings, asked_yaml, dump_yaml
from milmer_cli.settings.schema import DataSettings
from milmer_cli.store import PreparedStore
from milmer_cli.training import runfolder
from milmer_cli.training.confidence import calibrate, calibration_facts
from milmer_cli.training.folds import probabilities_of, train_fold
from milmer_cli.training.history import History
from milmer_cli.training.material import Material
from milmer_cli.training.processes import Processes


@dataclass(frozen=True)
class TrainResult:
    """What a training gave.

    Attributes
    ----------
    run
        The run folder.
    protocol
        What training, validation and test parts do not share.
    metrics
        What metrics.json holds.
    headline
        The accuracy on the test part with its protocol, its interval and the majority rate.
    device
        Where it was trained.
    """

    run: Path
    protocol: str
    metrics: dict[str, Any]
    headline: str
    device: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"run": str(self.run), "headline": self.headline, **self.metrics}

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        sizes = self.metrics["segments"]
        kept = self.metrics["training"]
        return [
            ("test part", self.headline),
            ("segments", ", ".join(f"{count} {part}" for part, count in sizes.items())),
            (
                "kept epoch",
                f"{kept['best_epoch']} of {kept['epochs']}, balanced accuracy "
                f"{kept['validation_balanced_accuracy']:.1%} on the validation part "
                f"({self.protocol} protocol)",
            ),
            (
                "time",
                f"{kept['seconds']:.0f} s on {self.device}, "
                f"{kept['waiting_share']:.0%} of it waiting for data",
            ),
            ("learning curve", str(self.run / runfolder.CURVE)),
            ("run", str(self.run)),
        ]


def train(
    prepared: Path,
    out: Path,
    settings: Settings,
    *,
    resume: bool = False,
    progress: Progress = SILENT,
) -> TrainResult:
    """Train a Milmer model and score it once on the test part it never saw.

    Parameters
    ----------
    prepared
        The prepared store.
    out
        The run folder. A run that is there already with the same settings and store is returned as
        it is.
    settings
        All settings. ``eeg`` and ``faces`` are the store's: what is asked otherwise is refused.
    resume
        Go on with an unfinished run in ``out``.
    progress
        Whom to tell.

    Raises
    ------
    InputError
        The store cannot be used, or ``out`` holds something else.
    MilmerError
        The training failed; what is needed to go on is kept.
    """
    compute = Compute.choose(settings.run)
    compute.activate()
    others = Processes.join(compute)
    if not others.is_main:
        progress = SILENT
    material = Material.open(prepared, settings, progress)
    _refuse_other_preparation(settings, material.store)
    resolved = runfolder.with_settings_of(material.store, settings)
    identity = _identity(resolved, material)
    finished = [runfolder.begin(out, identity, resume) if others.is_main else False]
    if others.world > 1:
        broadcast_object_list(finished)
    if finished[0]:
        progress.note(f"{out} holds this very run already, finished; nothing is done.", "info")
        return _stored(out)

    fold = holdout(
        material.segments,
        material.labels,
        resolved.train.protocol,
        resolved.train.test_fraction,
        resolved.train.validation_fraction,
        resolved.seed,
    )
    if len(fold.test):
        check_fold(fold, material.segments, resolved.train.protocol)
    progress.note(
        f"Training on {compute.describe()}: "
        + ", ".join(f"{len(rows)} segments for {part}" for part, rows in fold.parts())
        + f" ({resolved.train.protocol} protocol).",
        "info",
    )
    model, history = train_fold(
        material.store,
        material.segments,
        material.labels,
        fold,
        resolved,
        out,
        compute,
        progress,
        resume=resume,
        level="info",
    )
    fits = resolved.with_micro_batch(history.micro_batch)  # as memory has shown
    tested = _test(model, material, fold, fits, compute, progress)
    if others.is_main:
        runfolder.save_model(model, out / runfolder.MODEL)
        _write(out, settings, resolved, material, fold, history, tested, compute, identity)
        runfolder.finish(out)
    others.wait()
    return _stored(out)


def _identity(settings: Settings, material: Material) -> dict[str, Any]:
    """Collect what makes two runs the same: all that decides their result."""
    plain = settings.model_dump(mode="json")
    return {
        **{name: plain[name] for name in ("seed", "data", "eeg", "faces", "model", "train")},
        "store": material.store.fingerprint,
    }


def _refuse_other_preparation(settings: Settings, store: PreparedStore) -> None:
    asked = settings.model_dump(mode="json", exclude_unset=True)
    for section in runfolder.EEG_AND_FACES:
        there = store.settings.get(section, {})
        for name, value in asked.get(section, {}).items():
            if name in there and there[name] != value:
                raise SettingsError(
                    f"{section}.{name}={value} is asked for, but the store {store.folder} was "
                    f"prepared with {there[name]}.",
                    "Leave the setting out, or prepare a store with it.",
                )


@dataclass(frozen=True)
class _Tested:
    """What is known of the model from parts of the data it did not learn from."""

    scores: Scores | None
    calibration: dict[str, Any]
    alone: dict[str, str]


def _test(
    model: MilmerModel,
    material: Material,
    fold: Fold,
    settings: Settings,
    compute: Compute,
    progress: Progress,
) -> _Tested:
    """Calibrate on the validation part, score on the test part, and there on one modality alone."""

    def probabilities(rows: np.ndarray, asked: Settings = settings) -> np.ndarray:
        store, segments, labels = material.store, material.segments, material.labels
        return probabilities_of(model, store, segments, labels, rows, asked, compute, progress)

    validation, labels = fold.validation, material.labels
    temperature = calibrate(model, labels[validation], probabilities(validation))
    if not len(fold.test):
        return _Tested(None, {"temperature": temperature}, {})
    found = probabilities(fold.test)
    alone = {}
    for modality in ("eeg", "face") if settings.model.modalities == "both" else ():
        part = settings.model_copy(
            update={"model": settings.model.model_copy(update={"modalities": modality})}
        )
        scores = _score(material, fold, settings, probabilities(fold.test, part))
        alone[modality] = headline(scores, settings.train.protocol)
    return _Tested(
        _score(material, fold, settings, found),
        calibration_facts(labels[fold.test], found, temperature),
        alone,
    )


def _score(material: Material, fold: Fold, settings: Settings, probabilities: np.ndarray) -> Scores:
    commonest = int(np.bincount(material.labels[fold.train]).argmax())
    return score(
        material.labels[fold.test],
        probabilities,
        material.segments.participant[fold.test],
        material.segments.trial_id[fold.test],
        material.names,
        majority=np.full(len(fold.test), commonest),
        unit=resampled_unit(settings.train.protocol),
        resamples=settings.evaluate.bootstrap,
        permutations=settings.evaluate.permutations,
        confidence=settings.evaluate.confidence,
        seed=settings.seed,
        clip=material.segments.stimulus[fold.test],
    )


def _write(
    out: Path,
    asked: Settings,
    settings: Settings,
    material: Material,
    fold: Fold,
    history: History,
    tested: _Tested,
    compute: Compute,
    identity: dict[str, Any],
) -> None:
    protocol = settings.train.protocol
    segments = material.segments
    runfolder.write_text(out / runfolder.ASKED, asked_yaml(asked))
    runfolder.write_text(out / runfolder.SETTINGS, dump_yaml(settings))
    Splits(protocol, settings.seed, (fold,), segments_fingerprint(segments)).save(
        out / runfolder.SPLITS
    )
    history.write_csv(out / runfolder.HISTORY)
    validation = material.labels[fold.validation]
    commonest = int(np.bincount(material.labels[fold.train]).argmax())
    majority = float(np.mean(validation == commonest))
    figures.learning_curve(history, out / runfolder.CURVE, protocol, majority)
    best = history.best
    runfolder.write_json(
        out / runfolder.METRICS,
        {
            "protocol": protocol,
            "headline": headline(tested.scores, protocol)
            if tested.scores
            else "no test part was asked for",
            "headline_alone": tested.alone,
            "calibration": tested.calibration,
            "segments": {part: len(rows) for part, rows in fold.parts()},
            "segments_per_class": {
                part: dict(
                    zip(
                        material.names,
                        np.bincount(material.labels[rows], minlength=len(material.names)).tolist(),
                        strict=True,
                    )
                )
                for part, rows in fold.parts()
            },
            "training": {
                "best_epoch": history.best_epoch,
                "epochs": len(history.epochs),
                "validation_loss": best.validation_loss,
                "validation_accuracy": best.validation_accuracy,
                "validation_balanced_accuracy": best.validation_balanced_accuracy,
                "seconds": history.seconds,
                "waiting_share": history.waiting_share,
                "micro_batch": history.micro_batch,
            },
            "test": tested.scores.to_json() if tested.scores else None,
        },
    )
    runfolder.write_json(
        out / runfolder.ENVIRONMENT,
        {
            "versions": runfolder.versions(),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "seed": settings.seed,
            "device": compute.describe(),
            "classes": list(material.names),
            "label_rule": label_rule(settings.data),
            "store": runfolder.store_facts(material.store, segments),
            "identity": identity,
        },
    )


def label_rule(data: DataSettings) -> str:
    """How ratings become classes, in words."""
    if data.target == "label":
        return "label: as the data set names the classes"
    tie = {
        "low": "exactly at it is low",
        "high": "exactly at it is high",
        "drop": "exactly at it is left out",
        "published": "ties as in the published code",
    }[data.ties]
    return f"{data.target}: a rating above {data.threshold:g} is high, {tie}"


def _stored(out: Path) -> TrainResult:
    """Read the result back: of this run, or of one that was finished before."""
    metrics = json.loads((out / runfolder.METRICS).read_text(encoding="utf-8"))
    environment = json.loads((out / runfolder.ENVIRONMENT).read_text(encoding="utf-8"))
    line = metrics.pop("headline")
    return TrainResult(out, metrics["protocol"], metrics, line, environment["device"])
