"""Running the model on chunks: one segment per thread on a CPU, one batch at a time on a GPU.

On a CPU, segments run in parallel, each in a single thread. Splitting one segment over all threads
is slower: the threads wait for each other at every layer, the more so if other processes are
running (measured in bench/predict.py).
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import softmax

from milmer_cli.device import Device
from milmer_cli.inference.predict_proba import run_batch
from milmer_cli.models import MilmerModel, MilmerOutput
from milmer_cli.models.openvino_backbone import active_engine
from milmer_cli.prediction.chunks import SegmentChunk


@dataclass(frozen=True, eq=False)
class SegmentOutput:
    """Output of the model for one segment.

    Attributes
    ----------
    chunk, row
        The segment.
    probabilities
        (n_classes,).
    instance_weights
        (n_instances,) attention weight of each face in its bag; empty without video.
    selected
        Indices of the selected instances, the highest score first.
    eeg_attention
        (n_channels,) attention of the CLS token to each EEG channel; None without usable EEG.
    """

    chunk: SegmentChunk
    row: int
    probabilities: np.ndarray
    instance_weights: np.ndarray
    selected: tuple[int, ...]
    eeg_attention: np.ndarray | None


class SegmentInference:
    """Run a model on chunks of segments.

    Parameters
    ----------
    model
        In evaluation mode.
    device
        Device and precision.
    face_size
        Side of the face images, in pixels.
    batch_size
        Segments per forward pass on a GPU.
    """

    def __init__(self, model: MilmerModel, device: Device, face_size: int, batch_size: int) -> None:
        self._model = model.to(device.type)
        self._device = device
        self._face_size = face_size
        self._on_cpu = device.type == "cpu"
        self._batch_size = 1 if self._on_cpu else batch_size

    def run(self, chunks: Iterable[SegmentChunk]) -> Generator[SegmentOutput]:
        """Yield the output for every segment, in order, while chunks are read.

        If OpenVINO runs the backbone, it is compiled while the first chunk is read.
        """
        threads = torch.get_num_threads() if self._on_cpu else 1
        pending: deque[Future[list[SegmentOutput]]] = deque()
        pool = ThreadPoolExecutor(threads, "milmer-model", torch.set_num_threads, (1,))
        engine = active_engine(self._model.backbone)
        if engine is not None:
            pool.submit(engine.compile)
        try:
            for chunk in chunks:
                for first in range(0, len(chunk), self._batch_size):
                    rows = range(first, min(first + self._batch_size, len(chunk)))
                    context = contextvars.copy_context()  # contains the engine of the backbone
                    pending.append(pool.submit(context.run, self._forward, chunk, rows))
                    while len(pending) > threads:
                        yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
            if self._on_cpu:
                torch.set_num_threads(threads)

    def _forward(self, chunk: SegmentChunk, rows: range) -> list[SegmentOutput]:
        def forward(batch: dict[str, torch.Tensor]) -> MilmerOutput:
            return self._model(**batch, output_attentions=chunk.eeg is not None)

        output: Any = run_batch(forward, self._batch(chunk, rows), self._device)
        probabilities = softmax(output.logits.double().cpu().numpy(), axis=1)
        weights, selected, attention = (
            None if tensor is None else tensor.cpu().float().numpy()
            for tensor in (output.instance_weights, output.selected_indices, output.eeg_attention)
        )
        return [
            SegmentOutput(
                chunk,
                row,
                probabilities[index],
                np.zeros(0) if weights is None else weights[index],
                () if selected is None else tuple(int(k) for k in selected[index] if k >= 0),
                attention[index] if attention is not None and chunk.eeg_usable[row] else None,
            )
            for index, row in enumerate(rows)
        ]

    def _batch(self, chunk: SegmentChunk, rows: range) -> dict[str, torch.Tensor]:
        batch: dict[str, torch.Tensor] = {}
        part = slice(rows.start, rows.stop)
        if chunk.eeg is not None:
            batch["eeg"] = torch.from_numpy(chunk.eeg.data[part])
            batch["eeg_found"] = torch.from_numpy(chunk.eeg_usable[part])
            if chunk.channels_found is not None:
                batch["channels_found"] = torch.from_numpy(chunk.channels_found[part])
        if chunk.faces is not None:
            batch["faces"] = torch.from_numpy(np.stack([self._faces(chunk, row) for row in rows]))
            usable = chunk.faces_usable[part, None]
            batch["faces_found"] = torch.from_numpy(chunk.faces.found[part] & usable)
        return batch

    def _faces(self, chunk: SegmentChunk, row: int) -> np.ndarray:
        """(n_instances, size, size, 3) uint8; zeros where no face was found, which is masked."""
        masked = np.zeros((self._face_size, self._face_size, 3), np.uint8)
        return np.stack([masked if image is None else image for image in chunk.images(row)])
