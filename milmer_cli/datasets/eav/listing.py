"""EAV: 42 participants, 200 trials of 20 s, five emotions, listening and speaking.

The EEG of a participant is one array, ``seg`` or ``seg1``, time x channel x trial. Trials are
paired with videos by the first number in the name of a video, which is the index in the array.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from milmer_cli.datasets.array_facts import (
    contiguity_finding,
    measure_array,
    unit_finding,
    video_finding,
)
from milmer_cli.datasets.eav.files import (
    SFREQ_HZ,
    TRIAL_S,
    ArrayAxes,
    TrialClass,
    find_array,
    find_participants,
    find_videos,
    read_labels,
)
from milmer_cli.datasets.findings import Findings, list_trials
from milmer_cli.datasets.listing import DatasetListing
from milmer_cli.datasets.participants import select_participants
from milmer_cli.datasets.read_options import read_options
from milmer_cli.eeg.array_layout import EegArray
from milmer_cli.eeg.io import ReadOptions
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import DataSettings

_UNIT = "uV"


def list_eav(root: Path, settings: DataSettings) -> DatasetListing:
    """List the recordings of EAV.

    Parameters
    ----------
    root
        The folder that contains ``subject1``, ``subject2``, ... (or ``subject01``), or ``EAV``.
    settings
        ``participants``; ``eeg_channels`` or ``channels_file`` name the channels of the arrays in
        their order; ``eeg_unit`` states their unit.

    Raises
    ------
    InputError
        The folder contains no participant, or the names are not as many as the channels.
    """
    root, findings, options = root.absolute(), Findings(), read_options(settings)
    folders = find_participants(root, findings)
    rows: list[dict[str, object]] = []
    measured = filmed = False
    for name in select_participants(list(folders), settings.participants, f"EAV below {root}"):
        labels = read_labels(folders[name], name, findings)
        axes = find_array(folders[name], name, len(labels), findings)
        videos = find_videos(folders[name], name, findings)
        rows += _rows(name, axes, labels, videos, options, findings)
        if axes is not None and not measured:
            measured = _measure(name, axes, options, findings)
        if videos and not filmed:
            if sentence := video_finding(next(iter(videos.values()))[0]):
                findings.add(f"{{}}: {sentence}", [name])
            filmed = True
    if not options.eeg_channels and not options.renames:
        findings.add(
            "The names of the EEG channels are not documented, so they are numbered in the order "
            "of the arrays, and prepare refuses the EEG. Name them in this order with "
            "--eeg-channels, or in a table with --channels."
        )
    return DatasetListing.of("EAV", root, rows, findings)


def _rows(
    name: str,
    axes: ArrayAxes | None,
    labels: Mapping[int, TrialClass | None],
    videos: Mapping[int, tuple[Path, TrialClass]],
    options: ReadOptions,
    findings: Findings,
) -> list[dict[str, object]]:
    """Return a row for each trial with EEG or a video, unless its class is contradictory."""
    n_arrays = axes.n_trials if axes else 0
    present = sorted({*range(1, n_arrays + 1), *videos})
    contradictory = [
        trial
        for trial in present
        if trial in videos and labels.get(trial) not in (None, videos[trial][1])
    ]
    if contradictory:
        findings.add_missing(
            list_trials(name, contradictory),
            "The label array and the name of the video state different classes, so these trials "
            "are left out.",
            "Find out which of the two is right.",
        )
    used = [trial for trial in present if trial not in contradictory]
    findings.add_trials(
        "The column of the label array is not one-hot, so these trials have no label.",
        name,
        [trial for trial in used if labels and labels.get(trial) is None],
    )
    silent = [trial for trial in used if trial not in videos]
    findings.add_trials("These trials have no video.", name, silent)
    findings.add_trials("These trials have no EEG.", name, [t for t in used if t > n_arrays])
    array_columns = _array_columns(axes, options, name)
    rows = []
    for trial in used:
        video, named = videos.get(trial, (None, None))
        known = labels.get(trial) or named
        row: dict[str, object] = {
            "participant": name,
            "trial": trial,
            "stimulus": f"{name}_{trial:03d}",
            "duration_s": axes.n_samples / SFREQ_HZ if axes else TRIAL_S,
            "label": known.emotion if known and (labels.get(trial) or not labels) else "",
            "condition": known.condition if known else "",
        }
        if axes and trial <= n_arrays:
            row |= {**array_columns, "eeg_array": axes.trial(trial)}
        if video is not None:
            row |= {"video": video, "video_onset_s": 0}
        rows.append(row)
    return rows


def _array_columns(axes: ArrayAxes | None, options: ReadOptions, name: str) -> dict[str, object]:
    """Return the columns that describe the array of a participant."""
    if axes is None:
        return {}
    return {
        "eeg": axes.path,
        "eeg_sfreq_hz": SFREQ_HZ,
        "eeg_array_channels": ";".join(_channel_names(axes, options, name)),
        "eeg_unit": options.unit or _UNIT,
        "eeg_onset_s": 0,
    }


def _channel_names(axes: ArrayAxes, options: ReadOptions, name: str) -> tuple[str, ...]:
    """Return the names of the channels that the user states; none if they are unknown."""
    stated, count = options.eeg_channels, axes.n_channels
    if options.renames:
        new_names = {old.strip(): new for old, new in options.renames}
        return tuple(new_names.get(str(n), str(n)) for n in range(1, count + 1))
    if stated and len(stated) != count:
        raise InputError(
            f"--eeg-channels names {len(stated)} channels, and the array of {name} has {count}.",
            "Name all channels in the order of the array, or name them with --channels FILE and "
            "select some of them with --eeg-channels.",
        )
    return stated


def _measure(name: str, axes: ArrayAxes, options: ReadOptions, findings: Findings) -> bool:
    """Report what is measured in the array of a participant; return whether it was possible."""
    unit = options.unit or _UNIT
    try:
        array = EegArray.parse(axes.trial(1), SFREQ_HZ, unit=unit)
        deviation, step_ratio = measure_array(axes.path, array)
    except InputError as error:
        findings.add_error(f"EEG of {name}", error)
        return False
    sentence = unit_finding(deviation, unit, bool(options.unit))
    findings.add(f"{{}}: {sentence}", [name])
    if not np.isnan(step_ratio):
        findings.add(f"{{}}: {contiguity_finding(step_ratio)}", [name])
    return True
