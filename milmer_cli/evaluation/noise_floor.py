"""How much a result changes if only the order of the arithmetic changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.device import Device
from milmer_cli.evaluation.experiment import Experiment, ExperimentResult
from milmer_cli.evaluation.results import NoiseFloor
from milmer_cli.evaluation.run_experiment import run_experiment
from milmer_cli.progress import SILENT, Progress


def measure_noise_floor(
    experiment: Experiment,
    result: ExperimentResult,
    labeled: LabeledSegments,
    out: Path,
    device: Device,
    progress: Progress = SILENT,
) -> NoiseFloor:
    """Train an experiment again with another number of threads.

    Sums of floating-point numbers depend on their order, which depends on the number of threads.
    The seed, the data and the settings are the same, so every difference is rounding that the
    training has amplified.

    Parameters
    ----------
    experiment, result
        A network and its result.
    labeled
        The segments and their labels.
    out
        Folder of the evaluation.
    device
        Device and precision.
    progress
        Receives the progress of the training.
    """
    threads = torch.get_num_threads()
    changed = 1 if threads > 1 else 2
    torch.set_num_threads(changed)
    try:
        again = run_experiment(experiment, labeled, out, device, progress)
    finally:
        torch.set_num_threads(threads)
    truth = labeled.labels[experiment.fold.fold.test]
    first, second = (r.probabilities.argmax(axis=1) for r in (result, again))
    return NoiseFloor(
        n_segments=len(truth),
        threads=(threads, changed),
        accuracies=(float(np.mean(first == truth)), float(np.mean(second == truth))),
        changed_share=float(np.mean(first != second)),
    )
