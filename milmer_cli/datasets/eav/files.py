"""The files of a participant of EAV: array of EEG, labels and videos."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from milmer_cli.datasets.findings import Findings
from milmer_cli.datasets.missing import COPY_AGAIN
from milmer_cli.eeg.array_layout import describe_variable
from milmer_cli.eeg.mat_file import read_mat
from milmer_cli.errors import InputError, shorten

EMOTIONS = ("Neutral", "Sadness", "Anger", "Happiness", "Calmness")
CONDITIONS = ("Listening", "Speaking")
SFREQ_HZ, TRIAL_S, N_CHANNELS, N_TRIALS = 500.0, 20.0, 30, 200

_VARIABLES = ("seg1", "seg")
_FOLDER = re.compile(r"subject0*([1-9]\d*)", re.IGNORECASE)
_NAME = r"(\d+)_Trial_(\d+)_({})_({})".format("|".join(CONDITIONS), "|".join(EMOTIONS))
_VIDEO = re.compile(rf"{_NAME}\.mp4", re.IGNORECASE)
_AUDIO = re.compile(rf"{_NAME}_aud\.wav", re.IGNORECASE)


@dataclass(frozen=True)
class TrialClass:
    """Emotion and condition of a trial, of `EMOTIONS` and `CONDITIONS`."""

    emotion: str
    condition: str


@dataclass(frozen=True)
class ArrayAxes:
    """Array of a participant.

    Attributes
    ----------
    path
        The file.
    pattern
        Variable and axes as in the column ``eeg_array``, with ``{}`` for the trial.
    n_samples, n_channels, n_trials
        Lengths of its axes.
    """

    path: Path
    pattern: str
    n_samples: int
    n_channels: int
    n_trials: int

    def trial(self, number: int) -> str:
        """Return the array of a trial, from 1."""
        return self.pattern.format(number)


def find_participants(root: Path, findings: Findings) -> dict[str, Path]:
    """Return the folders of the participants by name, ``subject01`` to ``subject42``.

    Raises
    ------
    InputError
        There is none.
    """
    parent = next((path for path in (root, root / "EAV", root / "eav") if _numbered(path)), root)
    folders: dict[str, Path] = {}
    for number, path in sorted(_numbered(parent), key=lambda pair: (pair[0], pair[1].name)):
        name = f"subject{number:02d}"
        if name in folders:
            findings.add(
                f"The folders {folders[name].name} and {path.name} are of one participant: "
                f"{path.name} is not used."
            )
            continue
        folders[name] = path
    if not folders:
        raise InputError(
            f"{root} contains no folder subject1, subject2, ... of EAV.",
            "Give the folder that contains them.",
        )
    return folders


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        return []
    matches = [(_FOLDER.fullmatch(path.name), path) for path in folder.iterdir()]
    return [(int(match[1]), path) for match, path in matches if match and path.is_dir()]


def _files(folder: Path, name: str) -> list[Path]:
    """Return the files of a subfolder whose name may be in any case, sorted."""
    subfolders = [path for path in folder.iterdir() if path.name.lower() == name.lower()]
    files = (path for own in subfolders if own.is_dir() for path in own.iterdir())
    return sorted(path for path in files if path.is_file() and not path.name.startswith("."))


def _array_file(folder: Path, name: str, ending: str, findings: Findings) -> Path | None:
    """Return the file ``EEG/subjectN{ending}.mat``, with or without zeros before N."""
    number = int(name.removeprefix("subject"))
    pattern = re.compile(rf"subject0*{number}{ending}\.mat", re.IGNORECASE)
    found = [path for path in _files(folder, "EEG") if pattern.fullmatch(path.name)]
    if len(found) > 1:
        names = shorten([path.name for path in found])
        findings.add(f"{{}}: {names} have the same meaning: the first one is used.", [name])
    return found[0] if found else None


def read_labels(folder: Path, name: str, findings: Findings) -> dict[int, TrialClass | None]:
    """Read the label array of a participant.

    Returns
    -------
    dict
        Trial -> class; None if its column is not one-hot. Empty without labels.
    """
    instead = "The classes are those of the names of the videos."
    path = _array_file(folder, name, "_eeg_label", findings)
    if path is None:
        findings.add_missing(f"{folder.name}/EEG/{folder.name}_eeg_label.mat", instead, COPY_AGAIN)
        return {}
    try:
        labels = read_mat(path, ["label"], unverified=True)[1].get("label", np.zeros(0))
    except InputError as error:
        findings.add_error(path.name, error, f"{{}} {instead}")
        return {}
    n_classes = len(EMOTIONS) * len(CONDITIONS)
    if labels.ndim == 2 and labels.shape[0] != n_classes:
        labels = labels.T
    if labels.ndim != 2 or labels.shape[0] != n_classes:
        why = f"Expected an array label of {n_classes} x {N_TRIALS}. {instead}"
        findings.add_missing(path.name, why, COPY_AGAIN)
        return {}
    return {trial: _class_of(column) for trial, column in enumerate(labels.T, start=1)}


def _class_of(column: np.ndarray) -> TrialClass | None:
    hot = np.flatnonzero(column)
    if len(hot) != 1 or column[hot[0]] != 1:
        return None
    emotion, condition = divmod(int(hot[0]), len(CONDITIONS))
    return TrialClass(EMOTIONS[emotion], CONDITIONS[condition])


def find_array(folder: Path, name: str, n_labels: int, findings: Findings) -> ArrayAxes | None:
    """Find the array of a participant and its axes, by their lengths.

    Parameters
    ----------
    folder, name
        Of the participant.
    n_labels
        Number of trials; 0 if it is unknown.
    findings
        Receives what is missing or unusual.
    """
    path = _array_file(folder, name, "_eeg", findings)
    if path is None:
        why = "Without it, only the faces of this participant can be used."
        findings.add_missing(f"{folder.name}/EEG/{folder.name}_eeg.mat", why, COPY_AGAIN)
        return None
    try:
        axes = _axes(path, n_labels or N_TRIALS)
    except InputError as error:
        findings.add_error(f"EEG of {name}", error)
        return None
    if not re.fullmatch(r"\w+\(time,channel,\{\}\)", axes.pattern):
        findings.add(
            f"{{}}: The array is transposed: it is read as {axes.pattern.format('trial')}.", [name]
        )
    lengths, expected = (axes.n_samples, axes.n_channels, axes.n_trials), _expected_lengths()
    if lengths != expected:
        findings.add(
            f"{{}}: Expected {_describe(expected)}, got {_describe(lengths)}; {SFREQ_HZ:g} Hz is "
            "assumed.",
            [name],
        )
    return axes


def _expected_lengths() -> tuple[int, int, int]:
    return round(SFREQ_HZ * TRIAL_S), N_CHANNELS, N_TRIALS


def _describe(lengths: tuple[int, int, int]) -> str:
    return "{} samples of {} channels in {} trials".format(*lengths)


def _axes(path: Path, n_trials: int) -> ArrayAxes:
    present = describe_variable(path, _VARIABLES[0])[0]["variables"]
    shapes: dict[str, tuple[int, ...]] = {}
    for variable in _VARIABLES:
        if variable in present and (arrays := describe_variable(path, variable)[1]):
            shapes |= {name: info.shape for name, info in arrays.items()}
    sizes = {name: " x ".join(map(str, shape)) for name, shape in shapes.items()}
    cubes = [(name, shape) for name, shape in shapes.items() if len(shape) == 3]
    if len(cubes) != 1:
        found = [f"{name} ({size})" for name, size in sizes.items()] or present
        raise InputError(
            f"{path}: expected one array with 3 dimensions, seg or seg1, got "
            f"{shorten(found) or 'none'}.",
            COPY_AGAIN,
        )
    ((variable, shape),) = cubes
    time = int(np.argmax(shape))
    others = [axis for axis in range(3) if axis != time]
    trial_axes = [axis for axis in others if shape[axis] == n_trials]
    if not trial_axes:  # the number of labels is another one
        trial_axes = [axis for axis in others if shape[axis] != N_CHANNELS]
    if len(trial_axes) != 1 or shape.count(shape[time]) > 1:
        raise InputError(
            f"{path}: the axes of {variable} ({sizes[variable]}) cannot be identified: expected "
            f"{n_trials} trials, and other numbers of channels and samples.",
            COPY_AGAIN,
        )
    (trial,) = trial_axes
    (channel,) = set(others) - {trial}
    names = {time: "time", channel: "channel", trial: "{}"}
    pattern = f"{variable}({','.join(names[axis] for axis in range(3))})"
    return ArrayAxes(path, pattern, shape[time], shape[channel], shape[trial])


def find_videos(
    folder: Path, name: str, findings: Findings
) -> Mapping[int, tuple[Path, TrialClass]]:
    """Return trial -> video and the class in its name; the first number in it is the trial."""
    by_trial: dict[int, list[tuple[Path, TrialClass]]] = {}
    unexpected, differ = [], False
    for path in _files(folder, "Video"):
        match = _VIDEO.fullmatch(path.name)
        if match is None or int(match[1]) == 0:
            unexpected.append(path.name)
            continue
        own = TrialClass(match[4].capitalize(), match[3].capitalize())
        by_trial.setdefault(int(match[1]), []).append((path, own))
        differ |= int(match[1]) != int(match[2])
    unexpected += [p.name for p in _files(folder, "Audio") if not _AUDIO.fullmatch(p.name)]
    if unexpected:
        sentence = f"{{}}: Files with unexpected names are not used: {shorten(unexpected)}."
        findings.add(sentence, [name])
    if differ:
        findings.add(
            "The number after Trial_ in the names of videos is not the index of the trial: the "
            "first number is, and is used."
        )
    twice = [trial for trial, own in by_trial.items() if len(own) > 1]
    sentence = "These trials have more than one video, and none of them is used."
    findings.add_trials(sentence, name, twice)
    return {trial: own[0] for trial, own in by_trial.items() if len(own) == 1}
