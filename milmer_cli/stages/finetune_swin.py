"""Pictures of facial expressions -> a Swin that knows faces, ready to be Milmer's backbone."""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate.utils import broadcast_object_list

from milmer_cli.compute import Compute
from milmer_cli.errors import InputError
from milmer_cli.metrics import values
from milmer_cli.progress import SILENT, Progress
from milmer_cli.report import figures, theme
from milmer_cli.settings import Settings, asked_yaml, dump_yaml
from milmer_cli.training import runfolder
from milmer_cli.training.classifier import (
    build_classifier,
    normalising,
    side_of,
    write_preprocessor,
)
from milmer_cli.training.expressions import ExpressionSet, Picture, class_list
from milmer_cli.training.faces import cut_out_faces
from milmer_cli.training.history import History
from milmer_cli.training.images import Look, Parts, Pictures, readable, split_pictures
from milmer_cli.training.layouts import read_set
from milmer_cli.training.modelcard import model_card
from milmer_cli.training.predictions import predict_probabilities
from milmer_cli.training.processes import Processes
from milmer_cli.training.trainer import fit

FEW = 5


@dataclass(frozen=True)
class FinetuneResult:
    """What fine-tuning gave.

    Attributes
    ----------
    out
        The model folder.
    metrics
        What metrics.json holds.
    device
        Where it was trained.
    """

    out: Path
    metrics: dict[str, Any]
    device: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"out": str(self.out), **self.metrics}

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        scores, part = self.metrics["scores"], self.metrics["scored_on"]
        training = self.metrics["training"]
        rows = [
            ("classes", ", ".join(self.metrics["classes"])),
            ("pictures", ", ".join(f"{n} {p}" for p, n in self.metrics["pictures"].items())),
            (
                f"{part} part",
                f"macro F1 {scores['macro_f1']:.1%}, accuracy {scores['accuracy']:.1%}, "
                f"majority {self.metrics['majority']:.1%} ({self.metrics['protocol']})",
            ),
            ("kept epoch", f"{training['best_epoch']} of {training['epochs']}"),
            ("time", f"{training['seconds']:.0f} s on {self.device}"),
        ]
        if self.metrics["skipped"]:
            rows.append(("skipped", f"{self.metrics['skipped']}, see {self.out / 'skipped.csv'}"))
        return [*rows, ("model", str(self.out))]


def finetune_swin(
    data: Path | str | Sequence[Path | str],
    out: Path,
    settings: Settings,
    progress: Progress = SILENT,
    *,
    resume: bool = False,
) -> FinetuneResult:
    """Fine-tune a Swin on pictures of facial expressions.

    Parameters
    ----------
    data
        One or more data sets, each as `milmer_cli.training.layouts.read_set` takes it; several
        are merged by the names of their classes.
    out
        The model folder. The same model that is there already is returned as it is.
    settings
        ``finetune``, ``model.backbone``, ``faces`` (with ``finetune.crop``), ``seed``, ``run``.
    progress
        Whom to tell.
    resume
        Go on with an unfinished training in ``out``.

    Raises
    ------
    InputError
        A data set cannot be used, or ``out`` holds something else.
    MilmerError
        The training failed.
    """
    compute = Compute.choose(settings.run)
    compute.activate()
    others = Processes.join(compute)
    if not others.is_main:
        progress = SILENT
    sources = [data] if isinstance(data, str | Path) else list(data)
    sets = [read_set(source) for source in sources]
    names = _classes(sets, progress)
    identity = _identity(settings, sets)
    finished = [runfolder.begin(out, identity, resume) if others.is_main else False]
    if others.world > 1:
        broadcast_object_list(finished)
    if finished[0]:
        progress.note(f"{out} holds this very model already, finished; nothing is done.", "info")
        return _stored(out)

    model = build_classifier(settings.model.backbone, names, settings.finetune, settings.seed)
    pictures, skipped = _usable(sets, settings, side_of(model), progress)
    labels = np.array([names.index(picture.label) for picture in pictures])
    parts = split_pictures(pictures, labels, settings.finetune.validation_fraction, settings.seed)
    progress.note(
        f"Fine-tuning {settings.model.backbone} on {compute.describe()}: "
        f"{len(parts.train)} pictures for training, {len(parts.validation)} for validation, "
        f"{len(parts.test)} for test.",
        "info",
    )
    compute.compile(model.base_model)
    size, look = side_of(model), Look(settings.finetune, *normalising())
    train_data, validation_data, test_data = (
        Pictures([pictures[int(row)] for row in rows], labels[rows], size)
        for rows in (parts.train, parts.validation, parts.test)
    )
    history = fit(
        model,
        train_data,
        validation_data,
        settings,
        out,
        compute,
        progress,
        resume,
        recipe=settings.finetune,
        class_counts=np.bincount(labels[parts.train], minlength=len(names)),
        choose_by="macro_f1",
        prepare=look,
        task="fine-tune",
    )
    scored = test_data if len(parts.test) else validation_data
    probabilities = predict_probabilities(
        model, scored, compute, settings.finetune.batch_size, progress, prepare=look, task="score"
    )
    if others.is_main:
        metrics = _metrics(pictures, labels, parts, names, probabilities, history, len(skipped))
        runfolder.save_model(model, out)
        write_preprocessor(out, size)
        _write(out, settings, sets, names, metrics, history, skipped, compute, identity)
        runfolder.finish(out)
    others.wait()
    return _stored(out)


def _classes(sets: Sequence[ExpressionSet], progress: Progress) -> tuple[str, ...]:
    names = class_list(sets)
    if len(names) < 2:
        raise InputError(
            f"All pictures are {names[0]}: there is nothing to tell apart.",
            "Give pictures of at least two expressions.",
        )
    numbers = [name for name in names if name.isdigit()]
    if len(sets) > 1 and numbers:
        raise InputError(
            f"Folders named {', '.join(numbers)} cannot be merged with other sets: each set "
            "numbers its classes in its own way.",
            "Give the folders the names of the expressions.",
        )
    for found in sets:
        counts = found.counts()
        progress.note(
            f"{found.path} ({found.kind}): "
            + ", ".join(f"{number} {names[number]} x {counts[names[number]]}"
                        for number in range(len(names)) if counts[names[number]])
            + "".join(f"; left out {count} ({reason})" for reason, count in found.left_out)
            + ".",
            "info",
        )  # fmt: skip
    return names


def _usable(
    sets: Sequence[ExpressionSet], settings: Settings, size: int, progress: Progress
) -> tuple[list[Picture], list[tuple[str, str]]]:
    """Pictures that can be used, and the names of the others with the reason."""
    pictures = [picture for found in sets for picture in found.pictures]
    reasons = readable(pictures, progress=progress)
    skipped = [(p.name, why) for p, why in zip(pictures, reasons, strict=True) if why]
    pictures = [p for p, why in zip(pictures, reasons, strict=True) if not why]
    if settings.finetune.crop:
        faces, reasons = cut_out_faces(pictures, settings.faces, size, progress)
        skipped += [(p.name, why) for p, why in zip(pictures, reasons, strict=True) if why]
        pictures = faces
    if not pictures:
        raise InputError(
            f"None of the {len(skipped)} pictures can be used: {skipped[0][0]}: {skipped[0][1]}.",
            "Look at the files, or train without finetune.crop.",
        )
    if skipped:
        shown = "; ".join(f"{name} ({why})" for name, why in skipped[:FEW])
        more = "; ..." if len(skipped) > FEW else ""
        progress.note(f"{len(skipped)} pictures are skipped: {shown}{more}", "warning")
    return pictures, skipped


def _identity(settings: Settings, sets: Sequence[ExpressionSet]) -> dict[str, Any]:
    plain = settings.model_dump(mode="json")
    return {
        "seed": settings.seed,
        "backbone": settings.model.backbone,
        "finetune": plain["finetune"],
        "faces": plain["faces"] if settings.finetune.crop else None,
        "data": [
            {"path": str(found.path.resolve()), "kind": found.kind, "counts": dict(found.counts())}
            for found in sets
        ],
    }


def _metrics(
    pictures: Sequence[Picture],
    labels: np.ndarray,
    parts: Parts,
    names: tuple[str, ...],
    probabilities: np.ndarray,
    history: History,
    skipped: int,
) -> dict[str, Any]:
    scored_on = "test" if len(parts.test) else "validation"
    rows = getattr(parts, scored_on)
    matrix = values.confusion(labels[rows], probabilities.argmax(axis=1), len(names))
    overall = values.from_confusion(matrix)
    each = values.per_class(matrix)
    commonest = np.bincount(labels[parts.train]).argmax()
    people = all(picture.person for picture in pictures)
    own = any(picture.part == scored_on for picture in pictures)
    kept_apart = (
        f"the data sets' own {scored_on} part" if own
        else "no person in two parts" if people
        else "persons are not known, so one may be in two parts"
    )  # fmt: skip
    chosen = "" if scored_on == "test" else "; the epoch was chosen on it, so it flatters"
    return {
        "scored_on": scored_on,
        "protocol": kept_apart + chosen,
        "parts": ", ".join(
            f"{len(getattr(parts, part))} {part}" for part in ("train", "validation", "test")
        ),
        "pictures": {
            part: len(getattr(parts, part)) for part in ("train", "validation", "test")
        },
        "scores": {name: _number(overall[name]) for name in ("accuracy", "balanced_accuracy",
                                                              "macro_f1", "kappa")},
        "majority": float(np.mean(labels[rows] == commonest)),
        "classes": {
            name: {
                **{key: _number(each[key][k]) for key in ("precision", "recall", "f1")},
                "support": int(each["support"][k]),
            }
            for k, name in enumerate(names)
        },
        "confusion": matrix.tolist(),
        "skipped": skipped,
        "training": {
            "best_epoch": history.best_epoch,
            "epochs": len(history.epochs),
            "validation_macro_f1": history.best.validation_macro_f1,
            "seconds": history.seconds,
            "waiting_share": history.waiting_share,
            "micro_batch": history.micro_batch,
        },
    }  # fmt: skip


def _number(value: Any) -> float | None:
    return None if math.isnan(float(value)) else float(value)


def _write(
    out: Path,
    settings: Settings,
    sets: Sequence[ExpressionSet],
    names: tuple[str, ...],
    metrics: dict[str, Any],
    history: History,
    skipped: Sequence[tuple[str, str]],
    compute: Compute,
    identity: dict[str, Any],
) -> None:
    runfolder.write_text(out / runfolder.ASKED, asked_yaml(settings))
    runfolder.write_text(out / runfolder.SETTINGS, dump_yaml(settings))
    history.write_csv(out / runfolder.HISTORY)
    figures.learning_curve(
        history,
        out / runfolder.CURVE,
        "own validation part" if metrics["scored_on"] == "test" else "validation",
    )
    theme.save(figures.confusion(np.array(metrics["confusion"]), names), out / "confusion.png")
    if skipped:
        table = io.StringIO(newline="")
        csv.writer(table).writerows([("picture", "reason"), *skipped])
        runfolder.write_text(out / "skipped.csv", table.getvalue())
    runfolder.write_json(out / runfolder.METRICS, metrics)
    card = model_card(out.name, settings.model.backbone, sets, names, metrics, asked_yaml(settings))
    runfolder.write_text(out / "README.md", card)
    runfolder.write_json(
        out / runfolder.ENVIRONMENT,
        {
            "versions": runfolder.versions(),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "seed": settings.seed,
            "device": compute.describe(),
            "classes": list(names),
            "identity": identity,
        },
    )


def _stored(out: Path) -> FinetuneResult:
    metrics = json.loads((out / runfolder.METRICS).read_text(encoding="utf-8"))
    environment = json.loads((out / runfolder.ENVIRONMENT).read_text(encoding="utf-8"))
    return FinetuneResult(out, metrics, environment["device"])
