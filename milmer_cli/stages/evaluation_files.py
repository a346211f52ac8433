"""The files of an evaluation: metrics.json, predictions, splits, settings, pictures, the page."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.data.split_file import Splits, save_splits
from milmer_cli.evaluation.rivals import MAIN, MAJORITY
from milmer_cli.evaluation.summary import ProtocolSummary, Tested
from milmer_cli.metrics import Scores, format_p
from milmer_cli.report import figures, theme
from milmer_cli.report.html import (
    EvaluationReport,
    ProtocolResult,
    Table,
    evaluation_page,
    main_result,
    write_page,
)
from milmer_cli.report.wording import ladder_reading, percent
from milmer_cli.settings import Settings, dump_yaml
from milmer_cli.settings.schema import Protocol
from milmer_cli.training.material import Material
from milmer_cli.training.runfolder import Run, versions, write_json, write_text

METRICS, PREDICTIONS, OTHERS = "metrics.json", "predictions.csv", "predictions-others.csv"
SPLITS, SETTINGS, PAGE = "splits.json", "settings.yaml", "report.html"
LADDER, CONFUSION = "ladder.png", "confusion.png"


def write_all(
    out: Path,
    material: Material,
    settings: Settings,
    splits: Sequence[Splits],
    summaries: Sequence[ProtocolSummary],
    tested: Mapping[Protocol, Mapping[str, Tested]],
    device: str,
    run: Run | None,
) -> dict[str, Any]:
    """Write everything that is left of an evaluation.

    Parameters
    ----------
    out
        Its folder.
    material, settings, splits
        What was evaluated, how, in which folds.
    summaries
        One a protocol.
    tested
        By protocol and model, for the predictions.
    device
        Where, in words.
    run
        The run that was scored, where nothing was trained.

    Returns
    -------
    dict
        What metrics.json holds: the protocol that counts at the top, all of them in ``protocols``.
    """
    results = [
        ProtocolResult(
            one.protocol,
            one.scores,
            one.folds,
            epoch_on_test=settings.evaluate.epoch_on == "test",
            by_seed=one.by_seed,
        )
        for one in summaries
    ]
    main = next(one for one in summaries if one.protocol == main_result(results).protocol)
    facts: dict[str, Any] = {
        "store": str(material.store.folder),
        "store_fingerprint": material.store.fingerprint,
        "run": None if run is None else str(run.path),
        "device": device,
        "seed": settings.seed,
        "seeds": sorted({split.seed for split in splits}),
        "splits": splits[0].fingerprint,
        "versions": versions(),
    }
    metrics: dict[str, Any] = {
        "protocol": main.protocol,
        "leaky": main.leaky,
        "headline": main.headline,
        "scores": main.scores.to_json(),
        "folds": [dict(row.__dict__) for row in main.folds],
        "readings": _readings(summaries),
        "protocols": {one.protocol: _plain(one.to_json()) for one in summaries},
        **facts,
    }
    write_json(out / METRICS, metrics)
    write_text(out / PREDICTIONS, _predictions(material, tested, summaries, [MAIN]))
    others = [name for name in main.models if name != MAIN]
    if others:
        write_text(out / OTHERS, _predictions(material, tested, summaries, others))
    write_text(out / SETTINGS, dump_yaml(settings))
    save_splits(out / SPLITS, splits)
    _pictures(out, summaries, main)
    page = EvaluationReport(
        title=f"Evaluation of {(run.path if run else material.store.folder).name}",
        results=results,
        notes=list(_notes(material, settings, run)),
        settings=settings.model_dump(mode="json"),
        facts=[
            ("store", facts["store"]),
            ("fingerprint of the store", facts["store_fingerprint"]),
            ("fingerprint of the segments", facts["splits"]),
            *([("run", facts["run"])] if run else []),
            ("device", device),
            ("seeds", ", ".join(map(str, facts["seeds"]))),
            *((name, number) for name, number in facts["versions"].items()),
        ],
        comparisons=main.comparisons,
        tables=list(_tables(summaries, main)),
        deletion=main.deletion,
        reliability=main.reliability,
        readings={name: lines for name, lines in metrics["readings"].items() if name != MAIN},
    )
    write_page(out / PAGE, evaluation_page(page))
    return metrics


def _readings(summaries: Sequence[ProtocolSummary]) -> dict[str, list[str]]:
    """Read the ladder of each model that learns."""
    return {
        name: ladder_reading([(one.protocol, one.models[name]) for one in summaries])
        for name in summaries[0].models
        if name != MAJORITY
    }


def _plain(value: Any) -> Any:
    """Undefined numbers as null."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _notes(material: Material, settings: Settings, run: Run | None) -> Iterator[str]:
    if run is not None:
        yield "Scored on the test part of the run; nothing was trained for this page."
    if settings.evaluate.epoch_on == "test":
        yield (
            "LEAKY: the epoch was chosen on the test part, as the published code does. Every "
            "number on this page is the best of many looks at the test part."
        )
    if settings.evaluate.per_participant:
        yield "A model was trained for each participant, on their recordings alone."
    left_out = int(np.sum(material.labels < 0))
    if left_out:
        yield (
            f"{left_out} of {len(material.labels)} segments were left out: no rating, a tie that "
            "is dropped, or nothing to see."
        )


def _predictions(
    material: Material,
    tested: Mapping[Protocol, Mapping[str, Tested]],
    summaries: Sequence[ProtocolSummary],
    models: Sequence[str],
) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["participant", "trial", "stimulus", "onset_s", "truth", "predicted"]
        + [f"p_{name}" for name in material.names]
        + ["fold", "seed", "protocol", "leaky", "model"]
    )
    leaky = {one.protocol: "LEAKY" if one.leaky else "no" for one in summaries}
    segments, names = material.segments, material.names
    for protocol, by_model in tested.items():
        for model in models:
            one = by_model[model]
            for fold, outcome in zip(one.rounds, one.outcomes, strict=True):
                for row, probabilities in zip(fold.fold.test, outcome.probabilities, strict=True):
                    writer.writerow(
                        [
                            segments.participant[row],
                            segments.trial[row],
                            segments.stimulus[row],
                            f"{segments.onset[row]:g}",
                            names[material.labels[row]],
                            names[int(probabilities.argmax())],
                            *(f"{p:.6f}" for p in probabilities),
                            fold.number,
                            fold.seed,
                            protocol,
                            leaky[protocol],
                            model,
                        ]
                    )
    return text.getvalue()


def _pictures(out: Path, summaries: Sequence[ProtocolSummary], main: ProtocolSummary) -> None:
    leaky = {one.protocol for one in summaries if one.leaky}
    theme.save(
        figures.ladder([(one.protocol, one.scores) for one in summaries], leaky), out / LADDER
    )
    for one in summaries:
        name = CONFUSION if one is main else f"confusion-{one.protocol}.png"
        drawn = figures.confusion(one.scores.confusion, one.scores.class_names)
        theme.save(figures.stamped(drawn, one.protocol, one.leaky), out / name)


# Tables of the page -----------------------------------------------------------------------------


def _tables(summaries: Sequence[ProtocolSummary], main: ProtocolSummary) -> Iterator[Table]:
    word = _word(main)
    if len(main.models) > 1:
        yield Table(
            "Other models in the same folds",
            f"{word}. p: how often shuffled labels do as well.",
            ("Model", "Accuracy", "Balanced", "Trials", "p"),
            [(name, *_cells(scores)) for name, scores in main.models.items()],
        )
        if len(summaries) > 1:
            yield Table(
                "Every model under every protocol",
                "Accuracy over segments, with its interval; each protocol's majority class is its "
                "chance.",
                ("Model", *(_short(one) for one in summaries)),
                [
                    (name, *(_interval(one.models[name]) for one in summaries))
                    for name in main.models
                ],
            )
    if main.missing:
        n = next(iter(main.missing.values())).n_segments
        yield Table(
            "When something is missing",
            f"{word}. The same checkpoints on the same {n} segments, those that have everything.",
            ("The model sees", "Accuracy", "Balanced", "Trials", "p"),
            [(name, *_cells(scores)) for name, scores in main.missing.items()],
        )
    probes = list(_probes(summaries, main))
    if probes:
        yield Table(
            "What the features give away",
            "A linear probe is fitted on the training part and asked whose segment, or which clip, "
            "a test segment is. Far above the guess means that a model can read this instead of "
            "the emotion. p over trials, against guessing one of the names.",
            ("Names", "from", "Protocol", "Accuracy", "Guess", "Trials", "p"),
            probes,
        )


def _probes(
    summaries: Sequence[ProtocolSummary], main: ProtocolSummary
) -> Iterator[tuple[str, ...]]:
    """Give the probes of the main protocol, and from the others what it could not ask."""
    told = set()
    for one in [main, *(other for other in summaries if other is not main and not other.leaky)]:
        for found in one.probes:
            if (found.target, found.features) in told:
                continue
            told.add((found.target, found.features))
            yield (
                f"the {found.target}",
                found.features,
                one.protocol + (" (LEAKY)" if one.leaky else ""),
                percent(found.accuracy),
                percent(max(found.commonest, 1 / found.n_names)),
                percent(found.trial_accuracy),
                _p(found.p),
            )


def _cells(scores: Scores) -> tuple[str, str, str, str]:
    return (
        _interval(scores),
        percent(scores.segment["balanced_accuracy"].value),
        percent(scores.trial["accuracy"].value),
        _p(scores.chance.p),
    )


def _interval(scores: Scores) -> str:
    found = scores.segment["accuracy"]
    if math.isnan(found.low):
        return percent(found.value)
    return f"{percent(found.value)} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def _p(p: float) -> str:
    return format_p(p).replace("p = ", "").replace("p ", "")


def _word(one: ProtocolSummary) -> str:
    return f"{one.protocol.capitalize()} protocol{' (LEAKY)' if one.leaky else ''}"


def _short(one: ProtocolSummary) -> str:
    return one.protocol + (" (LEAKY)" if one.leaky else "")
