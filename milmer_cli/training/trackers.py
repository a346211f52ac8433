"""Who else follows a training: TensorBoard where it is installed, any tracker Trainer knows."""

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
from milmer_cli.training.launch import is_main


def tracker_callbacks(report_to: str, out: Path | None) -> list[TrainerCallback]:
    """Make the trackers that ``run.report_to`` names.

    Parameters
    ----------
    report_to
        ``auto``, ``none``, or names that Trainer knows, comma-separated.
    out
        The run folder; a training that keeps nothing has no trackers, nor has any process but
        the first.
    """
    names = [name.strip() for name in report_to.split(",") if name.strip() not in ("", "none")]
    if out is None or not is_main():
        return []
    if names == ["auto"]:
        names = ["tensorboard"] if find_spec("tensorboard") else []
    callbacks: list[Any] = []
    for name in names:
        known = get_available_reporting_integrations()
        if name not in known:
            raise SettingsError(
                f"run.report_to names {name!r}, which is not installed or not known to Trainer.",
                f"Install it, or choose among: {', '.join(known) or 'none'}.",
            )
        callbacks += (
            [_tensorboard(out)]
            if name == "tensorboard"
            else (get_reporting_integration_callbacks([name]))
        )
    return [callback() if isinstance(callback, type) else callback for callback in callbacks]


def _tensorboard(out: Path) -> TrainerCallback:
    from torch.utils.tensorboard import SummaryWriter

    return TensorBoardCallback(SummaryWriter(str(out / "tensorboard")))
