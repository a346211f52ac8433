"""Decide whether OpenVINO runs the backbone of a model, and report if it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from milmer_cli.device import Device
from milmer_cli.models.face_encoder import FaceEncoderModel
from milmer_cli.models.openvino_backbone import (
    OpenVinoBackbone,
    active_engine,
    openvino_backbone,
)
from milmer_cli.progress import SILENT, Progress


@contextmanager
def backbone_engine(
    model: nn.Module, device: Device, n_samples: int, progress: Progress = SILENT
) -> Iterator[OpenVinoBackbone | None]:
    """Run the backbone with OpenVINO within a ``with`` statement, if the device uses it.

    An engine that an outer ``with`` statement chose stays the same.

    Parameters
    ----------
    model
        In evaluation mode. Models other than `FaceEncoderModel` always run with torch.
    device
        Its ``inference`` decides.
    n_samples
        Segments with faces that are going to be encoded.
    progress
        Receives a warning if OpenVINO cannot run the backbone, which then runs with torch.

    Yields
    ------
    OpenVinoBackbone or None
        None for torch.
    """
    if not isinstance(model, FaceEncoderModel) or model.backbone is None:
        yield None
        return
    if (outer := active_engine(model.backbone)) is not None:
        yield outer
        return
    height, width = size = model.config.image_size
    if not device.uses_openvino(n_samples * model.config.num_instances * height * width):
        yield None
        return
    required = device.inference == "openvino"
    with openvino_backbone(model.backbone, size, required) as engine:
        yield engine
    if engine.failure:
        progress.note(f"{engine.failure} It runs with torch.", "warning")
