"""What one checkpoint makes of segments from which something is taken away."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from milmer_cli.compute import Compute
from milmer_cli.data.dataset import Bag, collate
from milmer_cli.model import MilmerModel

CONDITIONS = ("both", "EEG only", "face only", "half of the faces")
SHARES = np.linspace(0.0, 1.0, 6)
"""Shares of the found faces that the deletion curve deletes."""
DRAWS = 8
"""Random orders of deletion."""


def checkup(
    model: MilmerModel, data: Dataset[Bag], compute: Compute, batch_size: int, seed: int
) -> dict[str, np.ndarray]:
    """Run a model over segments with all, with one modality, and with fewer and fewer faces.

    The backbone sees every face once. What is deleted at random is drawn from the seed and the
    segment, whatever the order of segments or the size of batches.

    Parameters
    ----------
    model
        Left in evaluation mode.
    data
        `Bags` or `TokenBags` of both modalities, or of faces.
    compute, batch_size, seed
        As for prediction.

    Returns
    -------
    dict
        ``whole``, (n,) bool, whether a segment has all the modalities that the model sees;
        ``CONDITION``, (n, n_classes) probabilities for each of `CONDITIONS` that applies;
        ``chosen``, (n, n_shares) classes named after deleting the faces of the highest weights, and
        ``random``, (n, `DRAWS`, n_shares), after deleting faces at random.
    """
    model = model.to(compute.device).eval()
    parts: dict[str, list[np.ndarray]] = {}
    with torch.inference_mode(), compute.autocast():
        for batch in DataLoader(data, batch_size, collate_fn=collate):
            rows = batch["index"].numpy()
            bags = {
                key: value.to(compute.device)
                for key, value in batch.items()
                if key not in ("index", "labels")
            }
            if "faces" in bags:
                bags["face_tokens"] = model.encode_faces(bags.pop("faces"), bags["faces_found"])
            for name, values in _of_batch(model, bags, rows, seed).items():
                parts.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}


def _of_batch(model: MilmerModel, bags: Bag, rows: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    found = bags["faces_found"]
    order = _orders(rows, found.shape[1], seed)

    def probabilities(faces: torch.Tensor, eeg: bool = True) -> np.ndarray:
        changed = {**bags, "faces_found": faces}
        if not eeg:
            changed["eeg_found"] = torch.zeros_like(bags["eeg_found"])
        return model(**changed).logits.float().softmax(-1).cpu().numpy().astype(np.float64)

    def curve(rank: np.ndarray) -> np.ndarray:
        """(n, n_shares) classes that are named as more and more is deleted."""
        kept = [probabilities(deleted(rank, float(share))) for share in SHARES[1:]]
        return np.stack([p.argmax(axis=1) for p in [result["both"], *kept]], axis=1)

    def deleted(rank: np.ndarray, share: float) -> torch.Tensor:
        """Take away the first of the found faces, in the order of rank; a half is rounded down."""
        here = found.cpu().numpy()
        rank = np.where(here, rank, np.inf)
        place = rank.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
        gone = np.floor(share * here.sum(axis=1) + 0.5 - 1e-9)
        return torch.from_numpy(here & (place >= gone[:, None])).to(found.device)

    whole = found.any(1).cpu().numpy()
    result = {"both": probabilities(found)}
    result["half of the faces"] = probabilities(deleted(order[:, 0], 0.5))
    if "eeg_found" in bags:
        whole &= bags["eeg_found"].cpu().numpy()
        result["EEG only"] = probabilities(torch.zeros_like(found))
        result["face only"] = probabilities(found, eeg=False)
    weights = model(**bags).instance_weights.float().cpu().numpy()
    result["chosen"] = curve(-weights)
    result["random"] = np.stack([curve(order[:, draw]) for draw in range(DRAWS)], axis=1)
    return {"whole": whole, **result}


def _orders(rows: np.ndarray, instances: int, seed: int) -> np.ndarray:
    """(n, `DRAWS`, instances) random ranks."""
    return np.stack(
        [np.random.default_rng([seed, int(row)]).random((DRAWS, instances)) for row in rows]
    )
