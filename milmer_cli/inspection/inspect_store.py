"""Compute the `InspectionResult` of a prepared store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from milmer_cli.data.labels import EXCLUDED, class_names, describe_label_rule, make_labels
from milmer_cli.data.signal_quality import store_quality
from milmer_cli.errors import shorten
from milmer_cli.inspection.coverage import compute_coverage, summarize_participant
from milmer_cli.inspection.examples import choose_examples, read_example
from milmer_cli.inspection.result import InspectionResult
from milmer_cli.inspection.spectra import Spectra, median_spectrum
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import Settings
from milmer_cli.store import Finding, PreparedStore, validate_store

TASK = "inspect"


def inspect_store(
    prepared: Path,
    page: Path,
    settings: Settings,
    *,
    participant: str | None = None,
    trial: int | None = None,
    progress: Progress = SILENT,
) -> InspectionResult:
    """Compute what the page shows.

    Parameters
    ----------
    prepared
        Folder of the store.
    page
        File to which the caller writes the page.
    settings
        Sections ``data`` (how labels are derived from ratings) and ``quality``.
    participant, trial
        Which segments to show (see `choose_examples`).
    progress
        Advanced by participants.

    Raises
    ------
    InputError
        There is no store, or it has no such participant or trial.
    """
    data = settings.data
    store = PreparedStore.open(prepared)
    segments = store.segments()
    rows, description = choose_examples(store, segments, participant, trial)
    labels = make_labels(segments.ratings, data, segments.label)
    names = class_names(data.target, segments.label)
    progress.start(TASK, len(store.participants), "participants")
    participants, density, frequencies = [], {}, np.zeros(0)
    for name in store.participants:
        prepared_participant = store.participant(name)
        own_labels = labels[segments.participant == name]
        participants.append(summarize_participant(prepared_participant, own_labels, names))
        if prepared_participant.eeg_found.any() and prepared_participant.channels:
            frequencies, density[name] = median_spectrum(prepared_participant)
        progress.advance(TASK)
    progress.done(TASK)
    max_frequency_hz = float(store.settings["eeg"]["band_hz"][1])
    return InspectionResult(
        page=page,
        store=store,
        class_names=names,
        label_rule=describe_label_rule(data),
        participants=tuple(participants),
        face_coverage=float(segments.faces_found.mean()),
        eeg_coverage=float(segments.eeg_found.mean()),
        coverage=compute_coverage(store),
        quality=store_quality(store, settings.quality),
        quality_rule=settings.quality,
        spectra=Spectra(
            tuple(density), frequencies, np.array(list(density.values())), max_frequency_hz
        )
        if density
        else None,
        examples=tuple(
            read_example(
                store, segments, row, None if labels[row] == EXCLUDED else names[labels[row]]
            )
            for row in rows
        ),
        examples_description=description,
        findings=tuple(_grouped(validate_store(prepared, deep=False))),
    )


def _grouped(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield each message once, after all places that it concerns."""
    places: dict[str, list[str]] = {}
    for finding in findings:
        places.setdefault(finding.message, []).append(finding.where)
    for message, where in places.items():
        yield f"{shorten(where)}: {message}"
