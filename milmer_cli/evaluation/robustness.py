"""Evaluate one checkpoint with missing modalities, deleted faces and removed electrodes."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from milmer_cli.data.dataset import Bag
from milmer_cli.device import Device
from milmer_cli.evaluation.missing_electrodes import MissingElectrodes
from milmer_cli.evaluation.results import BOTH, EEG_ONLY, FACE_ONLY, HALF_FACES
from milmer_cli.inference.predict_proba import map_batches, model_inputs
from milmer_cli.models import MilmerModel

CONDITIONS = (BOTH, EEG_ONLY, FACE_ONLY, HALF_FACES)
"""Inputs under which probabilities are computed."""
COMPLETE, SELECTED_DELETED, RANDOM_DELETED = "complete", "selected deleted", "random deleted"
DELETED_SHARES = np.linspace(0.0, 1.0, 6)
"""Shares of the found faces that are deleted for the deletion curve."""
N_ORDERS = 8
"""Number of random orders of deletion."""


def evaluate_robustness(
    model: MilmerModel,
    data: Dataset[Bag],
    device: Device,
    batch_size: int,
    seed: int,
    electrodes: MissingElectrodes | None = None,
) -> dict[str, np.ndarray]:
    """Predict segments with one modality, with fewer and fewer faces, and with fewer electrodes.

    The backbone encodes every face once. The random order of deletion depends on the seed and the
    segment, not on the batch.

    Parameters
    ----------
    model
        A trained model; set to evaluation mode.
    data
        `BagDataset` or `TokenBagDataset`.
    device
        Device and precision.
    batch_size
        Segments per forward pass.
    seed
        Seed of the random orders of the faces.
    electrodes
        The electrodes that are removed; None for none.

    Returns
    -------
    dict
        `COMPLETE`: (n,) bool, whether a segment has all modalities of the model.
        With faces, each of `CONDITIONS` that applies to the model: (n, n_classes) probabilities;
        `SELECTED_DELETED`: (n, n_shares) predicted classes after deleting the faces with the
        highest weights; `RANDOM_DELETED`: (n, `N_ORDERS`, n_shares), after deleting random faces.
        With EEG and ``electrodes``, the output of `MissingElectrodes.predict`.
    """

    def predict(batch: Bag) -> dict[str, np.ndarray]:
        rows, bags = batch["index"].cpu().numpy(), model_inputs(batch)
        if "faces" in bags:
            bags["face_tokens"] = model.encode_faces(bags.pop("faces"), bags["faces_found"])
        result = {COMPLETE: _is_complete(bags)}
        if "face_tokens" in bags:
            result |= _predict_faces(model, bags, rows, seed)
        if "eeg" in bags and electrodes is not None:
            result |= electrodes.predict(model, bags, rows)
        return result

    batches = map_batches(predict, model, data, device, batch_size)
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def _is_complete(bags: Bag) -> np.ndarray:
    """(n,) bool: whether a segment has all modalities of the model."""
    found = [bags["faces_found"].any(1)] if "faces_found" in bags else []
    found += [bags["eeg_found"]] if "eeg_found" in bags else []
    found += [bags["channels_found"].any(1)] if "channels_found" in bags else []
    return torch.stack(found).all(0).cpu().numpy()


def _predict_faces(
    model: MilmerModel, bags: Bag, rows: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    found = bags["faces_found"]
    random_rank = _random_ranks(rows, found.shape[1], seed)

    def probabilities(faces_found: torch.Tensor, with_eeg: bool = True) -> np.ndarray:
        changed = {**bags, "faces_found": faces_found}
        if not with_eeg:
            changed["eeg_found"] = torch.zeros_like(bags["eeg_found"])
        return model(**changed).logits.float().softmax(-1).cpu().numpy().astype(np.float64)

    def deletion_curve(rank: np.ndarray) -> np.ndarray:
        """Predict classes, (n, n_shares), with an increasing share of the faces deleted."""
        curve = [result[BOTH]]
        for share in DELETED_SHARES[1:]:
            curve.append(probabilities(_delete_faces(found, rank, float(share))))
        return np.stack([values.argmax(axis=1) for values in curve], axis=1)

    result = {BOTH: probabilities(found)}
    result[HALF_FACES] = probabilities(_delete_faces(found, random_rank[:, 0], 0.5))
    if "eeg_found" in bags:
        result[EEG_ONLY] = probabilities(torch.zeros_like(found))
        result[FACE_ONLY] = probabilities(found, with_eeg=False)
    weights = model(**bags).instance_weights.float().cpu().numpy()
    result[SELECTED_DELETED] = deletion_curve(-weights)
    result[RANDOM_DELETED] = np.stack(
        [deletion_curve(random_rank[:, order]) for order in range(N_ORDERS)], axis=1
    )
    return result


def _delete_faces(found: torch.Tensor, rank: np.ndarray, share: float) -> torch.Tensor:
    """Delete a share of the found faces, lowest rank first; halves are rounded down."""
    present = found.cpu().numpy()
    rank = np.where(present, rank, np.inf)
    position = rank.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    n_deleted = np.floor(share * present.sum(axis=1) + 0.5 - 1e-9)
    return torch.from_numpy(present & (position >= n_deleted[:, None])).to(found.device)


def _random_ranks(rows: np.ndarray, n_instances: int, seed: int) -> np.ndarray:
    """Draw random ranks for each segment: (n, `N_ORDERS`, n_instances)."""
    return np.stack(
        [np.random.default_rng([seed, int(row)]).random((N_ORDERS, n_instances)) for row in rows]
    )
