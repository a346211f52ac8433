"""The model over segments: on a CPU a segment a thread, on a GPU a batch at a time.

A CPU is shared out by segments and not within one: threads that wait for each other at every layer
lose much of a processor, and nearly all of it when something else runs beside them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from milmer_cli.compute import Compute
from milmer_cli.model import MilmerModel
from milmer_cli.stages.predicting.stream import Stretch
from milmer_cli.training.predictions import softmax


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model says of one segment.

    Attributes
    ----------
    stretch, row
        Which segment.
    probabilities
        (n_classes,).
    weights
        (instances,) of each face in its bag; empty without video.
    chosen
        Indices of the kept faces, best first.
    attention
        (channels,) of CLS to each EEG channel; None without EEG.
    """

    stretch: Stretch
    row: int
    probabilities: np.ndarray
    weights: np.ndarray
    chosen: tuple[int, ...]
    attention: np.ndarray | None


class Inference:
    """A model ready to answer.

    Parameters
    ----------
    model
        In evaluation mode.
    compute
        Where it runs.
    face_size
        Side of the face images, in pixels.
    batch_size
        Segments a forward pass on a GPU.
    """

    def __init__(
        self, model: MilmerModel, compute: Compute, face_size: int, batch_size: int
    ) -> None:
        self._model = model.to(compute.device)
        self._compute = compute
        self._face_size = face_size
        self._cpu = compute.device == "cpu"
        self._batch = 1 if self._cpu else batch_size

    def answers(self, stretches: Iterable[Stretch]) -> Generator[Answer]:
        """Answer for every segment, in order, as stretches come."""
        threads = torch.get_num_threads() if self._cpu else 1
        pending: deque[Future[list[Answer]]] = deque()
        pool = ThreadPoolExecutor(threads, "milmer-model", torch.set_num_threads, (1,))
        try:
            for stretch in stretches:
                for first in range(0, len(stretch), self._batch):
                    rows = range(first, min(first + self._batch, len(stretch)))
                    pending.append(pool.submit(self._answer, stretch, rows))
                    while len(pending) > threads:
                        yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
            if self._cpu:
                torch.set_num_threads(threads)

    def _answer(self, stretch: Stretch, rows: range) -> list[Answer]:
        batch: dict[str, torch.Tensor] = {}
        if stretch.eeg is not None:
            batch["eeg"] = torch.from_numpy(stretch.eeg.data[rows.start : rows.stop])
        if stretch.faces is not None:
            batch["faces"] = torch.from_numpy(np.stack([self._faces(stretch, r) for r in rows]))
            found = stretch.faces.found[rows.start : rows.stop]
            batch["faces_found"] = torch.from_numpy(found)
        on_device = {name: value.to(self._compute.device) for name, value in batch.items()}
        with torch.inference_mode(), self._compute.autocast():
            said: Any = self._model(**on_device, output_attentions=stretch.eeg is not None)
        probabilities = softmax(said.logits.float().cpu().double().numpy())
        weights, chosen, attention = (
            None if part is None else part.cpu().float().numpy()
            for part in (said.instance_weights, said.chosen, said.eeg_attention)
        )
        return [
            Answer(
                stretch,
                row,
                probabilities[at],
                np.zeros(0) if weights is None else weights[at],
                () if chosen is None else tuple(int(k) for k in chosen[at] if k >= 0),
                None if attention is None else attention[at],
            )
            for at, row in enumerate(rows)
        ]

    def _faces(self, stretch: Stretch, row: int) -> np.ndarray:
        """(instances, size, size, 3) uint8; zeros where no face was found."""
        empty = np.zeros((self._face_size, self._face_size, 3), np.uint8)
        return np.stack([empty if image is None else image for image in stretch.images(row)])
