"""The page of a prepared store: what a careful person looks at before training."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from milmer_cli.report import inspection_figures as figures
from milmer_cli.report.pages import face_source, flat, render
from milmer_cli.report.theme import class_numbers, to_svg
from milmer_cli.report.wording import QUADRANT_WORDS

__all__ = ["Coverage", "InspectionReport", "Person", "Sample", "Spectra", "inspection_page"]


@dataclass(frozen=True)
class Person:
    """A participant in the table. ``by_class`` counts trials; ``remarks`` are sentences."""

    name: str
    trials: int
    segments: int
    by_class: Sequence[int]
    left_out: int
    eeg: float
    faces: float
    interpolated: Sequence[str]
    remarks: Sequence[str]


@dataclass(frozen=True, eq=False)
class Coverage:
    """What of each trial is there: arrays of (n_participants, n_trials), NaN for no such trial."""

    participants: Sequence[str]
    trials: Sequence[int]
    faces: np.ndarray
    eeg: np.ndarray


@dataclass(frozen=True, eq=False)
class Spectra:
    """Median spectrum of each participant: (n_participants, n) square microvolts a hertz."""

    names: Sequence[str]
    frequencies: np.ndarray
    density: np.ndarray
    limit_hz: float


@dataclass(frozen=True, eq=False)
class Sample:
    """A segment to look at.

    Attributes
    ----------
    participant, trial, stimulus
        Which.
    onset_s, segment_s
        When in the trial, in seconds.
    class_name
        Class of the trial, None for none.
    faces
        (size, size, 3) uint8 RGB, or why there is none.
    times_s
        When each image was filmed, in seconds of the trial; NaN for no frame.
    eeg
        (n_channels, n_samples) microvolts, or None.
    channels, sfreq
        Of the EEG.
    density
        (n_channels, n) spectrum, at the frequencies of `Spectra`.
    """

    participant: str
    trial: int
    stimulus: int
    onset_s: float
    segment_s: float
    class_name: str | None
    faces: Sequence[np.ndarray | str]
    times_s: Sequence[float]
    eeg: np.ndarray | None
    channels: Sequence[str]
    sfreq: float
    density: np.ndarray | None


@dataclass(frozen=True, eq=False)
class InspectionReport:
    """What the page shows.

    Attributes
    ----------
    title
        Name of the store.
    counts
        Large numbers: label and value.
    class_names, class_rule
        The classes, and how ratings become them.
    people
        The participants.
    eeg, faces
        Share of the segments with EEG, of the images with a face, over all participants.
    coverage, spectra
        Of the participants; spectra None without any EEG.
    samples
        Segments to look at, and in ``choice`` how they were chosen.
    choice
        One sentence.
    notes
        What the reader must see first.
    settings, facts
        As on the other pages.
    """

    title: str
    counts: Sequence[tuple[str, str]]
    class_names: Sequence[str]
    class_rule: str
    people: Sequence[Person]
    eeg: float
    faces: float
    coverage: Coverage
    spectra: Spectra | None
    samples: Sequence[Sample]
    choice: str
    notes: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    facts: Sequence[tuple[str, str]] = ()


def inspection_page(report: InspectionReport) -> str:
    """Render the page as one string of HTML."""
    numbers = dict(zip(report.class_names, class_numbers(len(report.class_names)), strict=True))
    cover, spectra = report.coverage, report.spectra
    shares = [float(np.nanmean(row)) if np.isfinite(row).any() else 0.0 for row in cover.faces]
    what = "Share of the images with a face"
    return render(
        "inspection.html.j2",
        report=report,
        numbers=numbers,
        words=QUADRANT_WORDS,
        totals=[sum(column) for column in zip(*(p.by_class for p in report.people), strict=True)],
        coverage=to_svg(
            figures.coverage(cover.faces, cover.eeg, cover.participants, cover.trials),
            "cover",
            f"{what}, trial by trial",
        ),
        coverage_narrow=to_svg(
            figures.face_shares(cover.participants, shares), "cover-s", f"{what}, by participant"
        ),
        spectra=None
        if spectra is None
        else to_svg(
            figures.spectra(spectra.frequencies, spectra.density, spectra.names, spectra.limit_hz),
            "spectra",
            "Median spectrum of each participant",
        ),
        samples=[_view(sample, number, spectra) for number, sample in enumerate(report.samples)],
        settings=list(flat(report.settings)),
    )


def _view(sample: Sample, number: int, spectra: Spectra | None) -> dict[str, Any]:
    where = f"{sample.participant}, trial {sample.trial}"
    view: dict[str, Any] = {"sample": sample, "traces": None, "spectrum": None}
    view["span"] = f"{sample.onset_s:g} to {sample.onset_s + sample.segment_s:g} s"
    view["faces"] = [
        {
            "source": None if isinstance(face, str) else face_source(face),
            "reason": face if isinstance(face, str) else "",
            "time": "" if np.isnan(time) else f"{time:.2f} s",
        }
        for face, time in zip(sample.faces, sample.times_s, strict=True)
    ]
    if sample.eeg is not None:
        drawn = figures.traces(sample.eeg, sample.channels, sample.sfreq, sample.onset_s)
        view["traces"] = _lighter(to_svg(drawn, f"eeg{number}", f"EEG of {where}"))
    if sample.density is not None and spectra is not None:
        usual = np.median(spectra.density, axis=0)
        drawn = figures.spectrum(spectra.frequencies, sample.density, usual, spectra.limit_hz)
        view["spectrum"] = _lighter(to_svg(drawn, f"psd{number}", f"Spectrum of {where}"))
    return view


def _lighter(svg: Markup) -> Markup:
    """Round coordinates to a tenth of a point: EEG is thousands of them."""
    return Markup(re.sub(r"(\d+\.\d)\d+", r"\1", svg))
