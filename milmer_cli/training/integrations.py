"""Experiment trackers: TensorBoard if it is installed, or any tracker that Trainer supports."""

from __future__ import annotations

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
from milmer_cli.training.distributed import is_main_process


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
    """
    names = [name.strip() for name in report_to.split(",") if name.strip() not in ("", "none")]
    if out is None or not is_main_process():
        return []
    if names == ["auto"]:
        names = ["tensorboard"] if find_spec("tensorboard") else []
    available = get_available_reporting_integrations() if names else []
    if unknown := [name for name in names if name not in available]:
        raise SettingsError(
            f"run.report_to={report_to}: {unknown[0]!r} is not installed or unknown to Trainer.",
            f"Install it, or use one of: {', '.join(available) or 'none'}.",
        )
    callbacks: list[Any] = []
    for name in names:
        if name == "tensorboard":
            callbacks.append(_tensorboard(out))
        else:
            callbacks += [
                integration() for integration in get_reporting_integration_callbacks([name])
            ]
    return callbacks


def _tensorboard(out: Path) -> TrainerCallback:
    from torch.utils.tensorboard import SummaryWriter

    return TensorBoardCallback(SummaryWriter(str(out / "tensorboard")))
