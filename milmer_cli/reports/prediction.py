"""The page of a prediction, and the files that a prediction writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from milmer_cli.bundle.contents import SYNTHETIC
from milmer_cli.eeg.montage import head_positions
from milmer_cli.formats import write_document
from milmer_cli.io import atomic_write
from milmer_cli.prediction.result import PAGE, RESULT, SYNC_FIGURE, PredictResult
from milmer_cli.prediction.sync_check import SyncCheck
from milmer_cli.reports.face_strips import (
    attention_sentence,
    face_attention_sentence,
    face_strips,
    segment_rows,
)
from milmer_cli.reports.html import render, split_settings
from milmer_cli.reports.plots import calibration as calibration_plots
from milmer_cli.reports.plots import prediction as prediction_plots
from milmer_cli.reports.plots.style import (
    NARROW_IN,
    WIDE_IN,
    class_color_indices,
    save_figure,
    to_svg,
)
from milmer_cli.reports.plots.sync import plot_sync
from milmer_cli.reports.text import QUADRANT_WORDS
from milmer_cli.training.run_environment import package_versions

_SYNC_WIDE_IN = 9.0
_MIN_POSITIONS = 3


def write_prediction(out: Path, result: PredictResult) -> None:
    """Write report.html, timeline.json and, after a synchronization check, its figure.

    Parameters
    ----------
    out
        Folder of the prediction.
    result
        The prediction.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    if result.sync is not None:
        save_figure(plot_sync(result.sync, _SYNC_WIDE_IN), out / SYNC_FIGURE)
    atomic_write(out / PAGE, prediction_page(result))
    write_document(out / RESULT, result.format_name, result.to_json())


def prediction_page(result: PredictResult) -> str:
    """Render the page of a prediction as one HTML string."""
    names = result.class_names
    indices = class_color_indices(len(names))
    mean = result.mean
    top = None if mean is None else int(mean.argmax())
    title = "Probability of each class over time"
    return render(
        "prediction.html.j2",
        synthetic=SYNTHETIC,
        result=result,
        title=result.request.title,
        n_predicted=int((~result.abstained).sum()),
        top=None if top is None else names[top],
        top_color=None if top is None else indices[top],
        top_words="" if top is None else QUADRANT_WORDS.get(names[top], ""),
        mean=[] if mean is None else list(zip(names, indices, mean, strict=True)),
        timeline_wide=to_svg(prediction_plots.plot_timeline(result, WIDE_IN), "time", title),
        timeline_narrow=to_svg(prediction_plots.plot_timeline(result, NARROW_IN), "time-s", title),
        plane=_plane(result),
        strips=list(face_strips(result)),
        face_attention_sentence=face_attention_sentence(result),
        attention_sentence=attention_sentence(result.eeg_attention, "channel"),
        scalp=_scalp(result),
        sync=None if result.sync is None else _sync(result.sync),
        reliability=_reliability(result),
        reliability_note=result.model.reliability[0].too_few if result.model.reliability else "",
        rows=list(segment_rows(result)),
        facts=[*result.provenance(), *package_versions().items()],
        **split_settings(result.model.settings),
    )


def _plane(result: PredictResult) -> Markup | None:
    if set(result.class_names) != set(QUADRANT_WORDS) or result.abstained.all():
        return None
    figure = prediction_plots.plot_plane(result)
    return to_svg(figure, "plane", "Path through the valence-arousal plane")


def _scalp(result: PredictResult) -> Markup | None:
    """Attention to the channels with a known position; None if there are too few of them."""
    if not len(result.eeg_attention):
        return None
    positions = head_positions(result.channels)
    known = np.isfinite(positions).all(axis=1)
    if known.sum() < _MIN_POSITIONS:
        return None
    names = [name for name, is_known in zip(result.channels, known, strict=True) if is_known]
    figure = prediction_plots.plot_scalp(names, positions[known], result.eeg_attention[known])
    return to_svg(figure, "scalp", "Attention to each EEG channel")


def _reliability(result: PredictResult) -> Markup | None:
    if result.model.reliability is None:
        return None
    figure = calibration_plots.plot_reliability_diagram(*result.model.reliability)
    return to_svg(figure, "reliability", "Confidence and accuracy on the test set")


def _sync(check: SyncCheck) -> dict[str, Any]:
    description = "Blinks in the video and in the EEG"
    return {
        "sentence": check.sentence,
        "wide": to_svg(plot_sync(check, _SYNC_WIDE_IN), "sync", description),
        "narrow": to_svg(plot_sync(check, NARROW_IN), "sync-s", description),
    }
