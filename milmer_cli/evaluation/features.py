"""Features of segments that baselines classify, from the EEG or from the faces.

The features of a segment depend on this segment only: nothing here is fitted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from milmer_cli.data.dataset import Bag, BagDataset
from milmer_cli.data.eeg_alignment import align_eeg
from milmer_cli.data.feature_cache import read_tokens, token_folder
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import EXCLUDED
from milmer_cli.device import Device
from milmer_cli.digests import digest
from milmer_cli.evaluation.band_power import (
    alpha_asymmetry,
    band_power,
    differential_entropy,
)
from milmer_cli.evaluation.baselines import ALPHA_ASYMMETRY, asymmetry_pairs
from milmer_cli.inference.eeg_feature_cache import cache_eeg_features
from milmer_cli.inference.predict_proba import map_batches
from milmer_cli.models.eeg_encoder import load_eeg_encoder
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import Settings
from milmer_cli.settings.baseline_names import FACE, encoder_weights, is_encoder
from milmer_cli.store import PreparedParticipant
from milmer_cli.training.fit_fold import new_model, open_bags
from milmer_cli.training.fit_network import eeg_shape

BATCH_SIZE = 256
"""Segments of which the EEG is in memory at once."""
TOKEN_BATCH = 16
TIMING_REPEATS = 3


@dataclass(frozen=True, eq=False)
class FeatureInput:
    """What features are computed from.

    Attributes
    ----------
    labeled
        The segments.
    settings
        ``eeg.band_hz``; ``seed``, ``model`` and ``run`` for the face backbone.
    device
        Device of the face backbone.
    out
        Folder of the evaluation, for face tokens if the store is read-only.
    progress
        Receives the progress of the face tokens.
    """

    labeled: LabeledSegments
    settings: Settings
    device: Device
    out: Path
    progress: Progress = SILENT


@dataclass(frozen=True, eq=False)
class Features:
    """Features of all segments, and how long they took.

    Attributes
    ----------
    values
        (n_segments, ...) float64; NaN in segments without the modality.
    seconds
        Seconds for each segment, of all segments together.
    seconds_alone
        Seconds for one segment alone, without cached face tokens.
    n_parameters, n_bytes
        Weights of the encoder that computes them, and their size.
    """

    values: np.ndarray
    seconds: float
    seconds_alone: float
    n_parameters: int = 0
    n_bytes: int = 0


def compute_features(name: str, inputs: FeatureInput) -> Features:
    """Compute some features of all segments that have the modality and a class.

    Parameters
    ----------
    name
        `FACE_TOKENS`, a key of `EEG_FEATURES`, or the name of a pretrained encoder.
    inputs
        What they are computed from.
    """
    from_faces = name == FACE_TOKENS or name.startswith(f"{FACE}:")
    labeled = inputs.labeled.restrict_to("face" if from_faces else "eeg")
    rows = np.flatnonzero(labeled.labels != EXCLUDED)
    compute = _functions(name, inputs)
    start = time.perf_counter()
    computed = compute.all_rows(rows)
    seconds = time.perf_counter() - start
    values = np.full((len(labeled.segments), *computed.shape[1:]), np.nan)
    values[rows] = computed
    durations = []
    for _ in range(TIMING_REPEATS):
        start = time.perf_counter()
        compute.one_row(rows[:1])
        durations.append(time.perf_counter() - start)
    return Features(
        values,
        seconds / len(rows),
        min(durations),
        n_parameters=sum(weights.numel() for weights in compute.weights),
        n_bytes=sum(weights.numel() * weights.element_size() for weights in compute.weights),
    )


class SegmentFeatures:
    """Features of all segments, computed when they are first needed.

    Parameters
    ----------
    inputs
        What they are computed from; the settings of an experiment replace ``settings``.
    """

    def __init__(self, inputs: FeatureInput) -> None:
        self._inputs = inputs
        self._computed: dict[tuple[str, int | None], Features] = {}
        self._aligned: tuple[str, SegmentFeatures] | None = None

    def aligned(self, train: np.ndarray, settings: Settings) -> SegmentFeatures:
        """Return the features of the EEG as it is aligned on a training set, (n,) rows."""
        if settings.model.eeg_alignment == "none":
            return self
        key = digest(train, settings.model.model_dump(mode="json"))
        if self._aligned is None or self._aligned[0] != key:
            labeled = align_eeg(self._inputs.labeled, train, settings.model)
            self._aligned = key, SegmentFeatures(replace(self._inputs, labeled=labeled))
        return self._aligned[1]

    def get(self, name: str, settings: Settings | None = None) -> Features:
        """Return some features; see `compute_features`.

        Parameters
        ----------
        name
            As for `compute_features`.
        settings
            Their seed determines a face backbone without pretrained weights.
        """
        settings = settings or self._inputs.settings
        key = (name, settings.seed if name == FACE_TOKENS else None)
        if key not in self._computed:
            inputs = replace(self._inputs, settings=settings)
            self._computed[key] = compute_features(name, inputs)
        return self._computed[key]


@dataclass(frozen=True)
class _Functions:
    """Functions of (n,) rows that return (n, ...) features: with a cache, and without one.

    ``weights`` are those of the encoder that they run.
    """

    all_rows: Callable[[np.ndarray], np.ndarray]
    one_row: Callable[[np.ndarray], np.ndarray]
    weights: Sequence[torch.Tensor] = ()


def _functions(name: str, inputs: FeatureInput) -> _Functions:
    if name == FACE_TOKENS:
        return _face_token_functions(inputs)
    if not is_encoder(name):
        return _eeg_functions(name, inputs)
    if not name.startswith(f"{FACE}:"):
        return _eeg_encoder_functions(name, inputs)
    settings = _frozen_backbone(inputs.settings, encoder_weights(name))
    return _face_token_functions(replace(inputs, settings=settings))


def _frozen_backbone(settings: Settings, weights: str) -> Settings:
    """Return settings of a model with another backbone, of which only the backbone is used."""
    small = {"num_heads": 1, "num_layers": 1, "dim_feedforward": 1}
    model = settings.model.model_copy(
        update={
            "backbone": weights,
            "freeze_backbone": True,
            "modalities": "face",
            "selection": "mean",
            "fusion": "none",
            **small,
        }
    )
    return settings.model_copy(update={"model": model})


def _eeg_functions(name: str, inputs: FeatureInput) -> _Functions:
    function, labeled = EEG_FEATURES[name], inputs.labeled

    def compute(rows: np.ndarray) -> np.ndarray:
        segments, parts, order = labeled.segments, [], []
        for participant_name in np.unique(segments.participant[rows]):
            own = rows[segments.participant[rows] == participant_name]
            with labeled.store.participant(str(participant_name)) as participant:
                for batch in np.split(own, range(BATCH_SIZE, len(own), BATCH_SIZE)):
                    eeg = [labeled.read_eeg(participant, int(segments.row[row])) for row in batch]
                    parts.append(function(np.stack(eeg), participant, inputs.settings))
            order.append(own)
        return np.concatenate(parts)[np.argsort(np.concatenate(order))]

    return _Functions(compute, compute)


def _face_token_functions(inputs: FeatureInput) -> _Functions:
    """Average the tokens of the found faces, from the backbone as training would start with it."""
    labeled, settings, device = inputs.labeled, inputs.settings, inputs.device
    model = new_model(labeled, settings, device)

    def mean_token(batch: Bag) -> np.ndarray:
        found = batch["faces_found"]
        tokens = (
            batch["face_tokens"].float()
            if "face_tokens" in batch
            else model.encode_faces(batch["faces"], found)
        )
        weights = found[:, :, None, None].float()
        total = (tokens * weights).sum(dim=(1, 2)) / (weights.sum(dim=(1, 2)) * tokens.shape[2])
        return np.asarray(total.cpu().numpy(), dtype=np.float64)

    def average(data: Dataset[Bag]) -> np.ndarray:
        exact = replace(device, precision="float32")
        return np.concatenate(
            map_batches(mean_token, model, data, exact, TOKEN_BATCH, inputs.progress, FACE_TOKENS)
        )

    return _Functions(
        lambda rows: average(
            open_bags(model, labeled, rows, settings, device, inputs.out, inputs.progress)
        ),
        lambda rows: average(BagDataset(labeled, rows, "face")),
        list(model.backbone.parameters()),
    )


def _eeg_encoder_functions(name: str, inputs: FeatureInput) -> _Functions:
    """Read the cached features of a pretrained EEG encoder; see `models.eeg_encoder`."""
    labeled, device = inputs.labeled, inputs.device
    encoder = load_eeg_encoder(name, eeg_shape(labeled))

    def cached(rows: np.ndarray) -> np.ndarray:
        names, segments = np.unique(labeled.segments.participant[rows]).tolist(), labeled.segments
        folder = token_folder(labeled.store.folder, inputs.out, "eeg-features")
        files = cache_eeg_features(encoder, labeled.store, names, folder, device, inputs.progress)
        values = np.empty((len(rows), encoder.n_features))
        for participant_name, file in files.items():
            own = segments.participant[rows] == participant_name
            values[own] = read_tokens(file)[segments.row[rows[own]]]
        return values

    def encode(batch: Bag) -> np.ndarray:
        return np.asarray(encoder(batch["eeg"]).cpu().numpy(), dtype=np.float64)

    def compute(rows: np.ndarray) -> np.ndarray:
        data, exact = BagDataset(labeled, rows, "eeg"), replace(device, precision="float32")
        return np.concatenate(map_batches(encode, encoder, data, exact, TOKEN_BATCH))

    return _Functions(cached, compute, encoder.parameters_used)


def _covariance(
    eeg: np.ndarray, participant: PreparedParticipant, settings: Settings
) -> np.ndarray:
    """Covariance between channels, (n, n_channels, n_channels), with shrinkage (Chen et al., 2010).

    The average reference and interpolated channels make the sample covariance singular.
    """
    from sklearn.covariance import oas  # here: only this baseline needs it

    return np.stack([oas(segment.T.astype(np.float64))[0] for segment in eeg])


EEG_FEATURES: Mapping[str, Callable[[np.ndarray, PreparedParticipant, Settings], np.ndarray]] = {
    "band power": lambda eeg, participant, settings: band_power(
        eeg, participant.sfreq, settings.eeg.band_hz
    ),
    "differential entropy": lambda eeg, participant, settings: differential_entropy(
        eeg, participant.sfreq, settings.eeg.band_hz
    ),
    "covariance": _covariance,
    ALPHA_ASYMMETRY: lambda eeg, participant, settings: alpha_asymmetry(
        eeg, participant.sfreq, settings.eeg.band_hz, asymmetry_pairs(participant.channels)
    ),
}
"""Functions of (n, n_channels, n_samples) EEG in microvolts, its participant and the settings."""
FACE_TOKENS = "mean face token"
