"""Can the features name the participant and the clip? Then a model may read these instead."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from milmer_cli.compute import Compute
from milmer_cli.data.dataset import Bag, collate
from milmer_cli.data.splits import Fold
from milmer_cli.evaluation.bandpower import lda
from milmer_cli.metrics.resampling import binomial_p
from milmer_cli.model import MilmerModel
from milmer_cli.store import Segments

TARGETS = {"participant": "participant", "clip": "stimulus"}
"""What is probed for -> the column of the Segments table."""
UNASKED = -1


@dataclass(frozen=True)
class Probe:
    """How well features name something that is not an emotion.

    Attributes
    ----------
    features
        ``Milmer's features`` or ``band power``.
    target
        ``participant`` or ``clip``.
    accuracy
        Over segments of test parts whose participant or clip is in the training part too.
    trial_accuracy
        Over their trials, each by the name that most of its segments got.
    commonest
        Accuracy over segments of always naming the commonest of the training part.
    p
        Chance of as many right trials when guessing one of ``n_names`` names.
    n_names, n_segments, n_trials
        How many names there are to tell apart; how much was tested.
    """

    features: str
    target: str
    accuracy: float
    trial_accuracy: float
    commonest: float
    p: float
    n_names: int
    n_segments: int
    n_trials: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def features_of(
    model: MilmerModel, data: Dataset[Bag], compute: Compute, batch_size: int
) -> np.ndarray:
    """Give what the model's classifier reads of each segment, (n, width) float32."""
    read: list[np.ndarray] = []

    def keep(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        read.append(inputs[0].float().cpu().numpy())

    hook = model.to(compute.device).eval().classifier.register_forward_pre_hook(keep)
    try:
        with torch.inference_mode(), compute.autocast():
            for batch in DataLoader(data, batch_size, collate_fn=collate):
                model(
                    **{
                        key: value.to(compute.device)
                        for key, value in batch.items()
                        if key not in ("index", "labels")
                    }
                )
    finally:
        hook.remove()
    return np.concatenate(read)


def named(segments: Segments, fold: Fold, features: np.ndarray, target: str) -> np.ndarray:
    """Name the participant or the clip of each test segment.

    Parameters
    ----------
    segments
        Their table.
    fold
        The probe is fitted on its training part.
    features
        (n_segments, n_features); only rows of the training and test parts are read.
    target
        One of `TARGETS`.

    Returns
    -------
    ndarray
        (n_test,) number of the name in the sorted names of the whole table; -1 for segments whose
        own name is not in the training part, so that no answer could be right.
    """
    numbers = np.unique(getattr(segments, TARGETS[target]), return_inverse=True)[1]
    names = np.unique(numbers[fold.train])
    asked = np.isin(numbers[fold.test], names)
    answers = np.full(len(fold.test), UNASKED)
    if len(names) > 1 and asked.any():
        probabilities = lda(features, numbers, fold.train, fold.test[asked], numbers.max() + 1)
        answers[asked] = probabilities.argmax(axis=1)
    return answers


def probe(
    features: str,
    target: str,
    segments: Segments,
    folds: list[Fold],
    answers: list[np.ndarray],
) -> Probe | None:
    """Score a probe over folds; None where no test segment's name was in the training part."""
    numbers = np.unique(getattr(segments, TARGETS[target]), return_inverse=True)[1]
    right, trial, guess, names = [], [], [], 0
    for fold, answer in zip(folds, answers, strict=True):
        asked = answer != UNASKED
        rows = fold.test[asked]
        commonest = np.bincount(numbers[fold.train]).argmax()
        names = max(names, len(np.unique(numbers[fold.train])))
        right.append(answer[asked] == numbers[rows])
        guess.append(numbers[rows] == commonest)
        trial += [
            _most(answer[asked][segments.trial_id[rows] == one])
            == numbers[rows][segments.trial_id[rows] == one][0]
            for one in np.unique(segments.trial_id[rows])
        ]
    hits = np.concatenate(right)
    if not len(hits):
        return None
    return Probe(
        features=features,
        target=target,
        accuracy=float(hits.mean()),
        trial_accuracy=float(np.mean(trial)),
        commonest=float(np.concatenate(guess).mean()),
        p=binomial_p(int(np.sum(trial)), len(trial), 1 / names),
        n_names=names,
        n_segments=len(hits),
        n_trials=len(trial),
    )


def _most(answers: np.ndarray) -> int:
    return int(np.bincount(answers).argmax())
