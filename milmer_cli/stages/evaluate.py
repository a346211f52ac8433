"""A prepared store -> scores under each protocol, the predictions behind them, and a page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.compute import Compute
from milmer_cli.data.dataset import Bags
from milmer_cli.data.split_file import Splits
from milmer_cli.errors import InputError
from milmer_cli.evaluation.bandpower import band_power
from milmer_cli.evaluation.checkup import checkup
from milmer_cli.evaluation.rivals import MAIN, Rival, rivals
from milmer_cli.evaluation.rounds import make_splits, read_splits, rounds_of
from milmer_cli.evaluation.running import run_jobs
from milmer_cli.evaluation.summary import ProtocolSummary, Tested, summarise
from milmer_cli.evaluation.work import Job, Outcome
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import Settings
from milmer_cli.stages.evaluation_files import METRICS, PAGE, PREDICTIONS, write_all
from milmer_cli.training.folds import probabilities_of
from milmer_cli.training.material import Material
from milmer_cli.training.runfolder import Run, with_settings_of


@dataclass(frozen=True)
class EvaluateResult:
    """Scores under each protocol, and where everything about them is.

    Attributes
    ----------
    out
        Folder of the evaluation.
    headlines
        For each protocol accuracy with its interval, the majority rate and its p-value; the one
        that counts first.
    metrics
        What metrics.json holds.
    """

    out: Path
    headlines: tuple[str, ...]
    metrics: dict[str, Any]

    @property
    def headline(self) -> str:
        """The line that counts: of the first protocol that is not LEAKY."""
        return self.headlines[0]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"out": str(self.out), **self.metrics}

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        scores = self.metrics["scores"]
        shown = self.metrics["protocols"][self.metrics["protocol"]]
        return [
            ("result", self.headline),
            *(("and", line) for line in self.headlines[1:]),
            (
                "tested",
                f"{scores['n_segments']} segments"
                + (f" (by {scores['repeats']} seeds)" if scores["repeats"] > 1 else "")
                + f", {scores['n_trials']} trials, "
                f"{scores['n_participants']} participants",
            ),
            *(("compared", one["sentence"]) for one in shown["comparisons"]),
            ("predictions", str(self.out / PREDICTIONS)),
            ("metrics", str(self.out / METRICS)),
            ("page to open", str(self.out / PAGE)),
        ]


def evaluate(
    prepared: Path,
    out: Path,
    settings: Settings,
    *,
    run: Path | None = None,
    splits: Path | None = None,
    progress: Progress = SILENT,
) -> EvaluateResult:
    """Train and test by folds, or score a trained run on the test part it never saw.

    Parameters
    ----------
    prepared
        The prepared store.
    out
        Folder of the evaluation. Trainings that an earlier call finished there are not done again
        where all that decides their outcome is the same; everything else is written anew.
    settings
        All sections but ``eeg`` and ``faces``, which are the store's; with ``run`` only
        ``evaluate`` and ``run``, everything else is the run's.
    run
        A run folder. Nothing is trained then.
    splits
        Folds to use, as an earlier evaluation or a training wrote them, in place of those that
        ``evaluate.protocols``, ``folds`` and ``seeds`` ask for.

    Raises
    ------
    InputError
        The store, the run or the splits cannot be used, or there are too few groups for the folds.
    MilmerError
        A training failed; what is finished is kept.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "An evaluation is one process that starts others itself.",
            "Call `milmer evaluate` without a launcher; --workers trains folds side by side.",
        )
    compute = Compute.choose(settings.run)
    compute.activate()
    if run is not None:
        return _evaluate_run(Run.open(run), prepared, out, settings, compute, progress)
    material = Material.open(prepared, settings, progress)
    settings = with_settings_of(material.store, settings)
    used = (
        read_splits(splits, material)
        if splits
        else make_splits(
            material, settings.evaluate, settings.train.validation_fraction, settings.seed
        )
    )
    rounds = rounds_of(used, material, settings.evaluate.epoch_on)
    seen = material.labels >= 0
    competing = rivals(
        settings,
        has_eeg=bool(material.segments.eeg_found[seen].any()),
        has_faces=bool((material.segments.faces_found[seen] > 0).any()),
    )
    progress.note(_plan(rounds_of(used, material, "validation"), competing, compute))
    power = None
    if settings.model.modalities != "face" and material.segments.eeg_found[seen].any():
        power = band_power(material.store, material.segments, settings.eeg.band_hz)
    jobs = [Job(rival, one) for one in rounds for rival in competing]
    outcomes = run_jobs(jobs, material, power, out, settings.run, compute, progress)
    found = list(zip(jobs, outcomes, strict=True))
    tested = {
        protocol: {
            rival.name: Tested(
                [one for one in rounds if one.protocol == protocol],
                [o for job, o in found if job.rival == rival and job.round.protocol == protocol],
            )
            for rival in competing
        }
        for protocol in dict.fromkeys(one.protocol for one in rounds)
    }
    summaries = [
        summarise(protocol, models, material, settings, power)
        for protocol, models in tested.items()
    ]
    return _written(out, material, settings, used, summaries, tested, compute, None)


def _plan(rounds: Sequence[Any], competing: Sequence[Rival], compute: Compute) -> str:
    networks = sum(rival.kind == "network" for rival in competing)
    protocols = ", ".join(dict.fromkeys(one.protocol for one in rounds))
    return (
        f"{len(rounds)} folds by {protocols}: {len(rounds) * networks} trainings "
        f"({networks} model{'s' if networks > 1 else ''} a fold) on {compute.describe()}."
    )


def _evaluate_run(
    run: Run,
    prepared: Path,
    out: Path,
    asked: Settings,
    compute: Compute,
    progress: Progress,
) -> EvaluateResult:
    evaluation = asked.evaluate.model_copy(
        update={
            "protocols": (run.settings.train.protocol,),
            "epoch_on": "validation",
            "per_participant": False,
            "seeds": 1,
            "ablate": (),
        }
    )
    settings = run.settings.model_copy(update={"evaluate": evaluation, "run": asked.run})
    material = Material.open(prepared, settings, progress)
    split = run.splits(material.segments, material.labels)
    if not len(split.folds[0].test):
        raise InputError(
            f"{run.path} was trained without a test part, so there is nothing to score it on.",
            "Train with train.test_fraction above 0, or evaluate by folds.",
        )
    (one,) = rounds_of([split], material, "validation")
    model = run.load_model()
    rows = one.fold.test
    probabilities = probabilities_of(
        model, material.store, material.segments, material.labels, rows, settings, compute, progress
    )
    extras: dict[str, np.ndarray] = {}
    if settings.model.modalities != "eeg":
        data = Bags(
            material.store, material.segments, material.labels, rows, settings.model.modalities
        )
        extras = checkup(model, data, compute, settings.samples_at_once, settings.seed)
    temperature = float(getattr(model.config, "calibration_temperature", 1.0))
    tested = {MAIN: Tested([one], [Outcome(probabilities, temperature=temperature, extras=extras)])}
    summaries = [summarise(one.protocol, tested, material, settings, None)]
    return _written(
        out, material, settings, [split], summaries, {one.protocol: tested}, compute, run
    )


def _written(
    out: Path,
    material: Material,
    settings: Settings,
    used: Sequence[Splits],
    summaries: Sequence[ProtocolSummary],
    tested: dict[Any, dict[str, Tested]],
    compute: Compute,
    run: Run | None,
) -> EvaluateResult:
    metrics = write_all(out, material, settings, used, summaries, tested, compute.describe(), run)
    first = metrics["protocol"]
    ordered = sorted(summaries, key=lambda summary: summary.protocol != first)
    return EvaluateResult(out, tuple(summary.headline for summary in ordered), metrics)
