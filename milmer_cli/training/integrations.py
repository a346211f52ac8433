"""Experiment trackers: TensorBoard if it is installed, or any tracker that Trainer supports."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.integrations import (
    TensorBoardCallback,
    get_available_reporting_integrations,
    get_reporting_integration_callbacks,
)

from milmer_cli.errors import SettingsError
from milmer_cli.partial_files import require_no_link
from milmer_cli.training.distributed import is_main_process

TENSORBOARD = "tensorboard"
"""Name of TensorBoard, and of the folder of its logs in a run folder."""


def tracker_callbacks(report_to: str, out: Path | None) -> list[TrainerCallback]:
    """Create the callbacks of the trackers in ``run.report_to``.

    Parameters
    ----------
    report_to
        ``auto``, ``none``, or names of transformers' integrations, separated by commas.
    out
        The run folder. If it is None, and in all processes but the first, there are no trackers.

    Raises
    ------
    SettingsError
        A tracker is unknown or not installed.
    InputError
        A link has the name of TensorBoard's folder.
    """
    names = [name.strip() for name in report_to.split(",") if name.strip() not in ("", "none")]
    if out is None or not is_main_process():
        return []
    if names == ["auto"]:
        names = [TENSORBOARD] if find_spec(TENSORBOARD) else []
    if TENSORBOARD in names:
        require_no_link(out / TENSORBOARD)
    available = get_available_reporting_integrations() if names else []
    if unknown := [name for name in names if name not in available]:
        raise SettingsError(
            f"run.report_to={report_to}: {unknown[0]!r} is not installed or unknown to Trainer.",
            f"Install it, or use one of: {', '.join(available) or 'none'}.",
        )
    callbacks: list[Any] = []
    for name in names:
        if name == TENSORBOARD:
            callbacks.append(_tensorboard(out))
        else:
            callbacks += [
                integration() for integration in get_reporting_integration_callbacks([name])
            ]
    return callbacks


def _tensorboard(out: Path) -> TrainerCallback:
    from torch.utils.tensorboard import SummaryWriter

    # a random suffix, so that nobody can plant a link with the name of the file
    suffix = f".{os.urandom(8).hex()}"
    return TensorBoardCallback(SummaryWriter(str(out / TENSORBOARD), filename_suffix=suffix))
