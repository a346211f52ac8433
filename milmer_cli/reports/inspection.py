"""Render the page of `inspect` from an `InspectionResult`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from milmer_cli.errors import shorten
from milmer_cli.inspection.examples import SegmentExample
from milmer_cli.inspection.result import InspectionResult
from milmer_cli.inspection.spectra import Spectra
from milmer_cli.reports.html import image_data_url, render, split_settings
from milmer_cli.reports.plots import inspection as plots
from milmer_cli.reports.plots.signal_quality import plot_channel_quality, plot_quality_overview
from milmer_cli.reports.plots.style import NARROW_IN, WIDE_IN, class_color_indices, to_svg
from milmer_cli.settings.published_defects import LAYOUT

MAX_FINDINGS = 12
MAX_CHANNEL_FIGURES = 8


def inspection_page(result: InspectionResult) -> str:
    """Render the page as one string of HTML."""
    store, coverage = result.store, result.coverage
    color_indices = class_color_indices(len(result.class_names))
    return render(
        "inspection.html.j2",
        result=result,
        title=store.folder.resolve().name,
        counts=_counts(result),
        notes=_notes(result),
        class_colors=dict(zip(result.class_names, color_indices, strict=True)),
        totals=[result.trials_per_class[name] for name in result.class_names],
        coverage=to_svg(
            plots.coverage(coverage), "cover", "Fraction of instances with a face, by trial"
        ),
        coverage_narrow=to_svg(
            plots.face_fractions(coverage),
            "cover-s",
            "Fraction of instances with a face, by participant",
        ),
        quality_figure=_quality_overview(result),
        quality_channels=list(_channel_figures(result)),
        remarks=_remarks(result),
        spectra=None
        if result.spectra is None
        else to_svg(
            plots.spectra(result.spectra), "spectra", "Median spectrum of each participant"
        ),
        examples=[
            _example_view(example, index, result.spectra)
            for index, example in enumerate(result.examples)
        ],
        **split_settings(store.settings),
        facts=[("store", str(store.folder.resolve())), ("fingerprint", store.fingerprint)],
    )


def _quality_overview(result: InspectionResult) -> dict[str, Markup] | None:
    if not any(quality.channels for quality in result.quality):
        return None
    limit = result.quality_rule.max_bad_channels
    return _two_widths(
        lambda width_in: plot_quality_overview(result.quality, limit, width_in),
        "quality",
        "Share of bad channels by participant and segment",
    )


def _two_widths(plot: Callable[[float], Figure], name: str, description: str) -> dict[str, Markup]:
    """Draw a figure for a wide window and for a phone; ``name`` must be unique on the page."""
    return {
        "wide": to_svg(plot(WIDE_IN), name, description),
        "narrow": to_svg(plot(NARROW_IN), f"{name}-s", description),
    }


def _remarks(result: InspectionResult) -> list[tuple[str, str]]:
    """Return each remark once, with the participants that it concerns."""
    names: dict[str, list[str]] = {}
    for participant in result.participants:
        remarks = list(participant.remarks)
        if participant.interpolated and not remarks:
            remarks = ["Interpolated: " + ", ".join(participant.interpolated)]
        for remark in remarks:
            names.setdefault(remark, []).append(participant.name)
    return [(remark, ", ".join(concerned)) for remark, concerned in names.items()]


def _channel_figures(result: InspectionResult) -> Iterator[tuple[str, str, dict[str, Markup]]]:
    """Yield name, worst channels and figures of the participants with the most bad channels."""
    with_bad = [quality for quality in result.quality if quality.worst_channels]
    with_bad.sort(key=lambda quality: -float(np.nanmean(quality.bad_share)))
    for index, quality in enumerate(with_bad[:MAX_CHANNEL_FIGURES]):
        name = quality.participant
        worst = [f"{channel} {share:.0%}" for channel, share in quality.worst_channels]
        figures = _two_widths(
            partial(plot_channel_quality, quality),
            f"channels{index}",
            f"Bad channels of {name} over time",
        )
        yield name, shorten(worst), figures


def _counts(result: InspectionResult) -> list[tuple[str, str]]:
    """Return the facts at the top of the page as label and value."""
    store = result.store
    first = store.participant(store.participants[0])
    detectors = sorted({entry["detector"] for entry in store.entries.values()})
    minutes = result.n_segments * first.segment_s / 60
    total = f"{minutes:.1f} min" if minutes < 60 else f"{minutes / 60:.1f} h"
    return [
        ("participants", str(len(result.participants))),
        ("trials", str(result.n_trials)),
        ("segments", f"{result.n_segments} of {first.segment_s:g} s ({total})"),
        ("EEG", f"{len(first.channels)} channels at {first.sfreq:g} Hz"),
        ("segments with EEG", f"{result.eeg_coverage:.1%}"),
        ("instances", f"{first.instances} per segment, {first.face_size} pixels"),
        ("instances with a face", f"{result.face_coverage:.1%}"),
        ("face detector", ", ".join(filter(None, detectors)) or "none"),
    ]


def _notes(result: InspectionResult) -> list[str]:
    notes = [LAYOUT] if result.store.settings["eeg"].get("layout") == "published" else []
    notes += result.findings[:MAX_FINDINGS]
    if len(result.findings) > MAX_FINDINGS:
        notes.append(f"{len(result.findings) - MAX_FINDINGS} more findings are not shown.")
    return notes


def _example_view(example: SegmentExample, index: int, spectra: Spectra | None) -> dict[str, Any]:
    """Prepare a segment for the template; ``index`` makes the names in the SVG unique."""
    session = f", session {example.session}" if example.session else ""
    location = f"{example.participant}{session}, trial {example.trial}"
    traces = spectrum = None
    if example.eeg is not None:
        traces = _round_coordinates(
            to_svg(plots.traces(example), f"eeg{index}", f"EEG of {location}")
        )
    if example.density is not None and spectra is not None:
        store_median = np.median(spectra.density, axis=0)
        figure = plots.spectrum(example.density, store_median, spectra)
        spectrum = _round_coordinates(to_svg(figure, f"psd{index}", f"Spectrum of {location}"))
    return {
        "segment": example,
        "interval": f"{example.onset_s:g} to {example.onset_s + example.segment_s:g} s",
        "faces": [
            {
                "source": None if isinstance(face, str) else image_data_url(face),
                "reason": face if isinstance(face, str) else "",
                "time": "" if np.isnan(time_s) else f"{time_s:.2f} s",
            }
            for face, time_s in zip(example.faces, example.times_s, strict=True)
        ],
        "traces": traces,
        "spectrum": spectrum,
    }


def _round_coordinates(svg: Markup) -> Markup:
    """Round coordinates to a tenth of a point, because EEG traces have thousands of them."""
    return Markup(re.sub(r"(\d+\.\d)\d+", r"\1", svg))
