"""Conversion of manifest rows to prediction requests, for `milmer predict --manifest`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from milmer_cli.data.labels import EXCLUDED, class_names, make_labels
from milmer_cli.datasets.manifest import ManifestRow, manifest_errors, read_manifest
from milmer_cli.datasets.table import quoted
from milmer_cli.prediction.output import SUMMARY
from milmer_cli.prediction.request import Request
from milmer_cli.settings.schema import DataSettings


def read_requests(path: Path) -> tuple[dict[str, Request], list[str]]:
    """Read the recordings to predict from a manifest (see `datasets.manifest`).

    The name of a prediction is the column ``name``; if it is empty, participant, session and trial
    (``s01_3``); if there is no participant, the name of the video or EEG file.

    Returns
    -------
    requests, notes
        Name -> request, in the order of the file; a note that names columns that are not used.

    Raises
    ------
    InputError
        The manifest has errors; all are listed in one message.
    """
    rows, notes = _read_rows(path)
    return {name: _request(row) for name, row in rows.items()}, notes


def read_rated_classes(path: Path, settings: DataSettings) -> dict[str, str]:
    """Read the classes of the recordings of a manifest that have ratings or a label.

    Parameters
    ----------
    path
        The manifest.
    settings
        Section ``data`` of the model's run: how ratings become classes.

    Returns
    -------
    dict
        Name of the prediction, as in `read_requests` -> name of the class.

    Raises
    ------
    InputError
        The manifest has errors; all are listed in one message.
    """
    rows, _ = _read_rows(path)
    given = np.array([row.label or "" for row in rows.values()], dtype=str)
    ratings = np.array([row.ratings for row in rows.values()], np.float32).reshape(-1, 4)
    names = class_names(settings.target, given)
    labels = make_labels(ratings, settings, given)
    pairs = zip(rows, labels, strict=True)
    return {name: names[label] for name, label in pairs if label != EXCLUDED}


def _read_rows(path: Path) -> tuple[dict[str, ManifestRow], list[str]]:
    """Read the rows of a manifest by the names of their predictions; errors as `read_requests`."""
    errors = manifest_errors(path)
    rows, notes = read_manifest(errors, "predict")
    named: dict[str, ManifestRow] = {}
    for row in rows:
        name = _name(row)
        if not re.fullmatch(r"[\w .+-]*\w[\w .+-]*", name):
            if name:
                errors.add(row.line, f"name: expected the name of a folder, got {quoted(name)}")
        elif name.lower() == SUMMARY:
            errors.add(row.line, f"name: {name!r} is the name of the table of all predictions")
        elif name in named:
            errors.add(
                row.line,
                f"the name {name} is already used in row {named[name].line}; set column name",
            )
        else:
            named[name] = row
    errors.raise_if_any()
    return named, notes


def _name(row: ManifestRow) -> str:
    if row.name:
        return row.name
    if row.participant and row.trial is not None:
        session = f"{row.session}_" if row.session else ""
        return f"{row.participant}_{session}{row.trial}"
    file = row.video or row.eeg
    return file.stem if file else ""


def _request(row: ManifestRow) -> Request:
    # In a manifest, `trial` is the number of the trial. It also selects an event where the start of
    # the stimulus is given by events: by `eeg_event`, or by the event codes of a BDF file.
    marked = row.eeg is not None and row.eeg.suffix.lower() == ".bdf" and row.eeg_onset_s is None
    number = (row.eeg_event_number if row.eeg_event else None) or row.trial
    return Request(
        video=row.video,
        eeg=row.eeg,
        trial=number if row.eeg and (row.eeg_event or marked) else None,
        eeg_event=(row.eeg_event or None) if row.eeg else None,
        video_onset_s=row.video_onset_s if row.video else None,
        eeg_onset_s=row.eeg_onset_s if row.eeg else None,
        duration_s=row.duration_s,
        video_stream=row.video_options.stream if row.video else None,
        video_fps=row.video_options.fps if row.video else None,
        eog=";".join(row.eog) if row.eeg else "",
        eeg_array=row.eeg_array if row.eeg else None,
        eeg_unit=row.eeg_unit if row.eeg else "",
    )
