"""Train an EEG network that is not part of Milmer on one fold, with the budget of the model."""

from __future__ import annotations

import numpy as np
from transformers import set_seed

from milmer_cli.data.dataset import BagDataset
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.splits import Fold
from milmer_cli.device import Device
from milmer_cli.models.eeg_network import EegNetwork, EegShape, build_eeg_network
from milmer_cli.settings import Settings
from milmer_cli.training.fit_fold import check_training_set, training_spec
from milmer_cli.training.history import History
from milmer_cli.training.train_model import train_model
from milmer_cli.training.training_args import TrainingLog


def new_network(name: str, labeled: LabeledSegments, seed: int) -> EegNetwork:
    """Build an untrained network for the EEG of a store; equal seeds give equal weights.

    Raises
    ------
    SettingsError
        There is no such network, or it does not accept the EEG.
    """
    set_seed(seed)
    return build_eeg_network(name, eeg_shape(labeled), labeled.class_names)


def eeg_shape(labeled: LabeledSegments) -> EegShape:
    """Return channels, samples and sampling rate of the segments."""
    names = [str(name) for name in np.unique(labeled.segments.participant)]
    participants = [labeled.store.participant(name) for name in names]
    # a participant without EEG has no channels
    largest = max(participants, key=lambda participant: len(participant.channels))
    return EegShape(tuple(largest.channels), largest.n_samples, largest.sfreq)


def fit_network(
    name: str,
    labeled: LabeledSegments,
    fold: Fold,
    settings: Settings,
    device: Device,
    log: TrainingLog = TrainingLog(),  # noqa: B008 (frozen)
) -> tuple[EegNetwork, History]:
    """Train a new network on the training set of a fold; the validation set selects the epoch.

    Epochs, batches, optimizer and the selection of the epoch are those of `fit_fold`.

    Parameters
    ----------
    name
        See `milmer_cli.models.eeg_network`.
    labeled
        The segments.
    fold
        Rows of ``labeled`` with EEG; the test set is not read.
    settings
        ``seed``, ``train`` and ``run`` are used.
    device
        Device and precision.
    log
        Progress display and messages.

    Returns
    -------
    EegNetwork, History
        The network has the weights of the best epoch.

    Raises
    ------
    MilmerError
        As for `train_model`; `InputError` if the training set contains one class only.
    """
    check_training_set(labeled, fold, settings, log.progress)
    model = new_network(name, labeled, settings.seed)
    train_data, validation_data = (
        BagDataset(labeled, rows, "eeg") for rows in (fold.train, fold.validation)
    )
    spec = training_spec(labeled, fold, settings, device, log=log)
    return model, train_model(model, train_data, validation_data, spec)
