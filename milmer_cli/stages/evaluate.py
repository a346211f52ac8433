"""A prepared store -> scores under a protocol, the predictions behind them, and a page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.compute import Compute
from milmer_cli.data.split_file import Splits, segments_fingerprint
from milmer_cli.data.splits import Fold, check_fold, make_folds
from milmer_cli.metrics import Scores, headline, resampled_unit, score
from milmer_cli.metrics.values import confusion, from_confusion
from milmer_cli.progress import SILENT, Progress
from milmer_cli.report.html import (
    EvaluationReport,
    FoldRow,
    ProtocolResult,
    evaluation_page,
    write_page,
)
from milmer_cli.settings import Settings, dump_yaml
from milmer_cli.settings.schema import Protocol
from milmer_cli.training.folds import probabilities_of, train_fold
from milmer_cli.training.material import Material
from milmer_cli.training.runfolder import (
    Run,
    versions,
    with_settings_of,
    write_json,
    write_text,
)

TASK = "evaluate"
METRICS, PREDICTIONS, SPLITS = "metrics.json", "predictions.csv", "splits.json"
SETTINGS, PAGE = "settings.yaml", "report.html"


@dataclass(frozen=True)
class EvaluateResult:
    """Scores under one protocol, and where everything about them is.

    Attributes
    ----------
    out
        Folder of the evaluation.
    headline
        Accuracy with its protocol, its interval, the majority rate and its p-value.
    metrics
        What metrics.json holds.
    """

    out: Path
    headline: str
    metrics: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"out": str(self.out), **self.metrics}

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        scores = self.metrics["scores"]
        return [
            ("result", self.headline),
            (
                "tested",
                f"{scores['n_segments']} segments, {scores['n_trials']} trials, "
                f"{scores['n_participants']} participants",
            ),
            ("predictions", str(self.out / PREDICTIONS)),
            ("metrics", str(self.out / METRICS)),
            ("page to open", str(self.out / PAGE)),
        ]


@dataclass(frozen=True, eq=False)
class _Tested:
    """One fold after training: its probabilities, and the epoch that was kept."""

    fold: Fold
    probabilities: np.ndarray
    commonest: int
    epoch: int | None


def evaluate(
    prepared: Path,
    out: Path,
    settings: Settings,
    *,
    run: Path | None = None,
    progress: Progress = SILENT,
) -> EvaluateResult:
    """Train and test by folds, or score a trained run on the test part it never saw.

    Parameters
    ----------
    prepared
        The prepared store.
    out
        Folder of the evaluation; what an earlier evaluation wrote there is replaced.
    settings
        All sections but ``eeg`` and ``faces``, which are the store's; with ``run`` only
        ``evaluate`` and ``run``, everything else is the run's.
    run
        A run folder. Nothing is trained then.

    Raises
    ------
    InputError
        The store or the run cannot be used, or there are too few groups for the folds.
    MilmerError
        A training failed.
    """
    compute = Compute.choose(settings.run)
    compute.activate()
    trained = None if run is None else Run.open(run)
    if trained is not None:
        asked = {"evaluate": settings.evaluate, "run": settings.run}
        settings = trained.settings.model_copy(update=asked)
    material = Material.open(prepared, settings, progress)
    if trained is None:
        settings = with_settings_of(material.store, settings)
        protocol = settings.evaluate.protocol
        tested = _by_folds(material, settings, compute, progress)
    else:
        protocol = settings.train.protocol
        tested = [_held_out(trained, material, settings, compute, progress)]
    return _report(out, material, settings, protocol, tested, trained, compute)


def _by_folds(
    material: Material, settings: Settings, compute: Compute, progress: Progress
) -> list[_Tested]:
    protocol = settings.evaluate.protocol
    folds = make_folds(
        material.segments,
        material.labels,
        protocol,
        settings.evaluate.folds,
        settings.train.validation_fraction,
        settings.seed,
    )
    for fold in folds:
        check_fold(fold, material.segments, protocol)
    progress.note(f"{len(folds)} folds by the {protocol} protocol on {compute.describe()}.")
    progress.start(TASK, total=len(folds), unit="folds")
    tested = []
    for number, fold in enumerate(folds, start=1):
        model, history = train_fold(
            material.store,
            material.segments,
            material.labels,
            fold,
            settings,
            None,
            compute,
            progress,
            task=f"fold {number}",
        )
        probabilities = probabilities_of(
            model,
            material.store,
            material.segments,
            material.labels,
            fold.test,
            settings,
            compute,
        )
        tested.append(_Tested(fold, probabilities, _commonest(material, fold), history.best_epoch))
        progress.advance(TASK)
    progress.done(TASK)
    return tested


def _held_out(
    run: Run, material: Material, settings: Settings, compute: Compute, progress: Progress
) -> _Tested:
    fold = run.splits(material.segments, material.labels).folds[0]
    probabilities = probabilities_of(
        run.load_model(),
        material.store,
        material.segments,
        material.labels,
        fold.test,
        settings,
        compute,
        progress,
    )
    return _Tested(fold, probabilities, _commonest(material, fold), None)


def _commonest(material: Material, fold: Fold) -> int:
    return int(np.bincount(material.labels[fold.train]).argmax())


def _report(
    out: Path,
    material: Material,
    settings: Settings,
    protocol: Protocol,
    tested: Sequence[_Tested],
    run: Run | None,
    compute: Compute,
) -> EvaluateResult:
    scores = _score(material, settings, protocol, tested)
    facts: dict[str, Any] = {
        "store": str(material.store.folder),
        "store_fingerprint": material.store.fingerprint,
        "run": None if run is None else str(run.path),
        "device": compute.describe(),
        "seed": settings.seed,
        "versions": versions(),
    }
    metrics: dict[str, Any] = {
        "protocol": protocol,
        "headline": headline(scores, protocol),
        "scores": scores.to_json(),
        "folds": [row.__dict__ for row in _fold_rows(material, tested)],
        **facts,
    }
    write_json(out / METRICS, metrics)
    write_text(out / PREDICTIONS, _predictions_csv(material, tested, settings.seed))
    write_text(out / SETTINGS, dump_yaml(settings))
    folds = tuple(part.fold for part in tested)
    fingerprint = segments_fingerprint(material.segments)
    Splits(protocol, settings.seed, folds, fingerprint).save(out / SPLITS)
    page = EvaluationReport(
        title=f"Evaluation of {(run.path if run else material.store.folder).name}",
        results=[ProtocolResult(protocol, scores, list(_fold_rows(material, tested)))],
        notes=list(_notes(material, run)),
        settings=settings.model_dump(mode="json"),
        facts=[
            ("store", facts["store"]),
            ("fingerprint of the store", facts["store_fingerprint"]),
            *([("run", facts["run"])] if run else []),
            ("device", facts["device"]),
            *((name, number) for name, number in facts["versions"].items()),
        ],
    )
    write_page(out / PAGE, evaluation_page(page))
    return EvaluateResult(out, metrics["headline"], metrics)


def _score(
    material: Material, settings: Settings, protocol: Protocol, tested: Sequence[_Tested]
) -> Scores:
    rows = np.concatenate([part.fold.test for part in tested])
    return score(
        material.labels[rows],
        np.concatenate([part.probabilities for part in tested]),
        material.segments.participant[rows],
        material.segments.trial_id[rows],
        material.names,
        majority=np.concatenate([np.full(len(part.fold.test), part.commonest) for part in tested]),
        unit=resampled_unit(protocol),
        resamples=settings.evaluate.bootstrap,
        permutations=settings.evaluate.permutations,
        confidence=settings.evaluate.confidence,
        seed=settings.seed,
    )


def _fold_rows(material: Material, tested: Sequence[_Tested]) -> Iterator[FoldRow]:
    for number, part in enumerate(tested, start=1):
        truth = material.labels[part.fold.test]
        matrix = confusion(truth, part.probabilities.argmax(axis=1), len(material.names))
        found = from_confusion(matrix)
        yield FoldRow(
            name=str(number),
            n_train=len(part.fold.train),
            n_validation=len(part.fold.validation),
            n_test=len(part.fold.test),
            epoch=part.epoch,
            accuracy=float(found["accuracy"]),
            balanced_accuracy=float(found["balanced_accuracy"]),
            majority=float(np.mean(truth == part.commonest)),
        )


def _notes(material: Material, run: Run | None) -> Iterator[str]:
    if run is not None:
        yield "Scored on the test part of the run; nothing was trained for this page."
    left_out = int(np.sum(material.labels < 0))
    if left_out:
        yield (
            f"{left_out} of {len(material.labels)} segments were left out: no rating, a tie that "
            "is dropped, or nothing to see."
        )


def _predictions_csv(material: Material, tested: Sequence[_Tested], seed: int) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["participant", "trial", "stimulus", "onset_s", "truth", "predicted"]
        + [f"p_{name}" for name in material.names]
        + ["fold", "seed"]
    )
    segments, names = material.segments, material.names
    for number, part in enumerate(tested, start=1):
        for row, probabilities in zip(part.fold.test, part.probabilities, strict=True):
            writer.writerow(
                [
                    segments.participant[row],
                    segments.trial[row],
                    segments.stimulus[row],
                    f"{segments.onset[row]:g}",
                    names[material.labels[row]],
                    names[int(probabilities.argmax())],
                    *(f"{p:.6f}" for p in probabilities),
                    number,
                    seed,
                ]
            )
    return text.getvalue()
