"""The page of all predictions of a manifest, or of all occurrences of an event."""

from __future__ import annotations

from collections.abc import Mapping

from milmer_cli.bundle.contents import SYNTHETIC
from milmer_cli.prediction.batch import BatchResult
from milmer_cli.prediction.result import PAGE
from milmer_cli.reports.html import render, split_settings
from milmer_cli.reports.plots.style import class_color_indices
from milmer_cli.training.run_environment import package_versions


def batch_page(result: BatchResult, rated: Mapping[str, str]) -> str:
    """Render the page of a batch as one HTML string; it links to the page of each recording.

    Parameters
    ----------
    result
        The predictions.
    rated
        Name of a recording -> the class of its rating, for those that have one.
    """
    names = result.class_names
    return render(
        "prediction_batch.html.j2",
        result=result,
        page=PAGE,
        synthetic=SYNTHETIC,
        colors=dict(zip(names, class_color_indices(len(names)), strict=True)),
        rated=rated,
        with_sets=any(row.sets for row in result.rows.values()),
        with_onsets=any(row.eeg_onset_s is not None for row in result.rows.values()),
        **split_settings(result.model.settings),
        facts=list(package_versions().items()),
    )
