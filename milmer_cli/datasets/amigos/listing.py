"""AMIGOS: 40 participants, 16 short and 4 long clips, 14 EEG channels.

A file per participant contains cells with one element per trial. Trials are paired with videos by
the identifier of the clip. EEG and video start 5 s before the clip.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from milmer_cli.datasets.array_facts import unit_finding
from milmer_cli.datasets.findings import Findings, list_trials
from milmer_cli.datasets.listing import DatasetListing
from milmer_cli.datasets.missing import COPY_AGAIN
from milmer_cli.datasets.participants import select_participants
from milmer_cli.datasets.read_options import read_options
from milmer_cli.eeg.array_layout import describe_variable
from milmer_cli.eeg.mat_file import ArrayInfo, read_mat
from milmer_cli.errors import InputError, shorten
from milmer_cli.settings.schema import DataSettings

CHANNELS = (
    "AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4",
)  # fmt: skip
"""EEG channels of the arrays, in order; ECG and GSR follow."""
OTHER_CHANNELS = ("ECG right", "ECG left", "GSR")
SFREQ_HZ, BASELINE_S = 128.0, 5.0
N_SHORT, N_TRIALS = 16, 20
RATINGS = ("arousal", "valence", "dominance", "liking")
"""The first of the 12 self-assessments. Arousal comes before valence, unlike in DEAP."""

_SIGNALS, _LABELS, _IDS = "joined_data", "labels_selfassessment", "VideoIDs"
_N_LABELS, _SCALE = 12, (1.0, 9.0)
_UNIT = "uV"
_FILE = re.compile(r"Data_Preprocessed_P0*([1-9]\d*)\.mat", re.IGNORECASE)
_VIDEO = re.compile(r"P0*([1-9]\d*)_([A-Za-z0-9]+)_face\.(?:mov|mp4|avi)", re.IGNORECASE)
_GROUP = re.compile(r"P\(.*\)_.*_face\.\w+", re.IGNORECASE)


@dataclass(frozen=True)
class _Video:
    """Face video: number of the participant, and identifier of the clip in lower case."""

    participant: int
    clip: str
    path: Path


def list_amigos(root: Path, settings: DataSettings) -> DatasetListing:
    """List the recordings of AMIGOS.

    Parameters
    ----------
    root
        A folder above the files ``Data_Preprocessed_P01.mat`` and ``P1_10_face.mov``.
    settings
        ``participants``, and ``eeg_unit``, the unit of the arrays.

    Raises
    ------
    InputError
        The folder contains no file of EEG.
    """
    root, findings = root.absolute(), Findings()
    files = sorted(path for path in root.rglob("*") if path.is_file())
    arrays = _array_files(root, files, findings)
    videos = _videos(files, findings)
    unit = read_options(settings).unit
    rows: list[dict[str, object]] = []
    deviations: list[float] = []
    for name in select_participants(list(arrays), settings.participants, f"AMIGOS below {root}"):
        try:
            participant = _Participant.read(name, arrays[name], findings)
        except InputError as error:
            findings.add_error(f"EEG of {name}", error, f"{name} is left out: {{}}")
            continue
        own = participant.rows(videos, unit or _UNIT, findings)
        if not own:
            findings.add_missing(name, "None of its trials has EEG, so it is left out.")
        rows += own
        deviations += participant.deviations()
    if deviations:
        findings.add(unit_finding(float(np.median(deviations)), unit or _UNIT, bool(unit), "trial"))
    if rows:
        findings.add(
            "The order of presentation is not in the files: the number of a trial is its place "
            "in the file."
        )
    return DatasetListing.of("AMIGOS", root, rows, findings)


def _array_files(root: Path, files: Sequence[Path], findings: Findings) -> dict[str, Path]:
    """Return participant, ``P01`` to ``P40`` -> file."""
    arrays: dict[str, Path] = {}
    for path in files:
        if not (match := _FILE.fullmatch(path.name)):
            continue
        name = f"P{int(match[1]):02d}"
        if name in arrays:
            findings.add(f"There is more than one file of {name}: {arrays[name]} is used.")
            continue
        arrays[name] = path
    if not arrays:
        raise InputError(
            f"{root} contains no file Data_Preprocessed_P01.mat, ... of AMIGOS.",
            "Unpack the preprocessed data in MATLAB format below this folder.",
        )
    return dict(sorted(arrays.items()))


def _videos(files: Sequence[Path], findings: Findings) -> Mapping[tuple[int, str], _Video]:
    """Return (participant, clip) -> video."""
    videos: dict[tuple[int, str], list[_Video]] = {}
    groups = 0
    for path in files:
        if match := _VIDEO.fullmatch(path.name):
            video = _Video(int(match[1]), _clip(match[2]), path)
            videos.setdefault((video.participant, video.clip), []).append(video)
        groups += bool(_GROUP.fullmatch(path.name))
    if groups:
        findings.add(f"Videos of groups of four people are not used: {groups}.")
    for (number, clip), own in videos.items():
        if len(own) > 1:
            findings.add(
                "{}: There is more than one video of this clip, and none of them is used.",
                [f"P{number:02d} clip {clip.upper()}"],
            )
    return {key: own[0] for key, own in videos.items() if len(own) == 1}


def _clip(text: str) -> str:
    """Return an identifier of a clip without the differences of spelling."""
    return text.strip().lower().lstrip("0")


class _Participant:
    """The content of one file, apart from the signals."""

    def __init__(
        self,
        name: str,
        path: Path,
        signals: Mapping[str, ArrayInfo],
        labels: Mapping[str, np.ndarray],
        clips: Mapping[str, str],
    ) -> None:
        self._name, self._path = name, path
        self._signals, self._labels, self._clips = signals, labels, clips
        numbers = [int(key.split("{")[1][:-1]) for key in signals]
        self._trials = range(1, max(numbers, default=0) + 1)
        self._axes = {trial: _axes(self._signal(trial)) for trial in self._trials}

    @classmethod
    def read(cls, name: str, path: Path, findings: Findings) -> _Participant:
        """Read a file.

        Raises
        ------
        InputError
            The file is damaged, or lacks a variable.
        """
        meta, signals = describe_variable(path, _SIGNALS)
        lacking = [v for v in (_SIGNALS, _LABELS, _IDS) if v not in meta["variables"]]
        if lacking or not signals or _SIGNALS in signals:
            raise InputError(
                f"{path}: expected the cells {_SIGNALS}, {_LABELS} and {_IDS}, got "
                f"{shorten(meta['variables']) or 'none'}.",
                COPY_AGAIN,
            )
        content, labels = read_mat(path, [_LABELS, _IDS], unverified=True)
        if meta.get("unverified") or content.get("unverified"):
            findings.add(
                "{}: The file contains more bytes than its compressed variables need; they were "
                "read.",
                [name],
            )
        return cls(name, path, signals, labels, content["texts"])

    def deviations(self) -> list[float]:
        """Return the standard deviations of the electrodes, in the unit of the file."""
        usable = [self._signal(trial) for trial in self._trials if self._axes[trial]]
        values = [info.deviations[: len(CHANNELS)] for info in usable if info]
        return [value for own in values for value in own if value > 0]

    def rows(
        self, videos: Mapping[tuple[int, str], _Video], unit: str, findings: Findings
    ) -> list[dict[str, object]]:
        """Return a row for each trial with EEG."""
        number, rows, silent, unrated = int(self._name[1:]), [], [], []
        excluded: dict[str, list[int]] = {}
        for trial in self._trials:
            reason = self._reason_to_exclude(trial)
            if reason:
                excluded.setdefault(reason, []).append(trial)
                continue
            clip = self._clips.get(f"{_IDS}{{{trial}}}", "").strip()
            video = videos.get((number, _clip(clip)))
            ratings = self._ratings(trial)
            silent += [trial] * (video is None)
            unrated += [trial] * (len(ratings) < len(RATINGS))
            rows.append(
                {
                    **self._eeg_columns(trial, unit),
                    "participant": self._name,
                    "trial": trial,
                    "stimulus": clip.upper(),
                    **({} if video is None else {"video": video.path, "video_onset_s": BASELINE_S}),
                    **ratings,
                    "condition": "short" if trial <= N_SHORT else "long",
                }
            )
        for reason, trials in excluded.items():
            findings.add_missing(list_trials(self._name, trials), f"Left out, because {reason}.")
        if len(self._trials) != N_TRIALS:
            findings.add(
                f"{{}}: Expected {N_TRIALS} trials, got {len(self._trials)}.", [self._name]
            )
        findings.add_trials("These trials have no video.", self._name, silent)
        sentence = "A self-assessment is missing or not between 1 and 9, so it is empty."
        findings.add_trials(sentence, self._name, unrated)
        return rows

    def _eeg_columns(self, trial: int, unit: str) -> dict[str, object]:
        info = self._signal(trial)
        assert info is not None  # noqa: S101 - otherwise the trial is excluded
        return {
            "eeg": self._path,
            "eeg_array": f"{_SIGNALS}{{{trial}}}({self._axes[trial]})",
            "eeg_sfreq_hz": SFREQ_HZ,
            "eeg_array_channels": ";".join((*CHANNELS, *OTHER_CHANNELS)),
            "eeg_unit": unit,
            "eeg_onset_s": BASELINE_S,
            "duration_s": max(info.shape) / SFREQ_HZ - BASELINE_S,
        }

    def _signal(self, trial: int) -> ArrayInfo | None:
        return self._signals.get(f"{_SIGNALS}{{{trial}}}")

    def _reason_to_exclude(self, trial: int) -> str:
        """Return why a trial cannot be used; empty if it can."""
        info = self._signal(trial)
        if info is None or not all(info.shape):
            return "its EEG is empty"
        if not self._axes[trial]:
            sizes = " x ".join(map(str, info.shape))
            n_channels = len(CHANNELS) + len(OTHER_CHANNELS)
            return f"its array is {sizes}, and samples x {n_channels} channels are expected"
        if any(info.not_finite[: len(CHANNELS)]):
            return "its EEG contains NaN"
        if max(info.shape) <= BASELINE_S * SFREQ_HZ:
            return f"its EEG is not longer than the {BASELINE_S:g} s before the clip"
        if not self._clips.get(f"{_IDS}{{{trial}}}", "").strip():
            return f"{_IDS} does not name its clip"
        return ""

    def _ratings(self, trial: int) -> dict[str, object]:
        """Return the ratings within their scale."""
        labels = self._labels.get(f"{_LABELS}{{{trial}}}", np.zeros(0)).ravel()
        if len(labels) != _N_LABELS:
            return {}
        low, high = _SCALE
        pairs = zip(RATINGS, labels.tolist(), strict=False)
        return {name: value for name, value in pairs if low <= value <= high}


def _axes(info: ArrayInfo | None) -> str:
    """Return the order of the axes; empty if they cannot be identified."""
    n_channels = len(CHANNELS) + len(OTHER_CHANNELS)
    if info is None or len(info.shape) != 2 or info.shape.count(n_channels) != 1:
        return ""
    return "time,channel" if info.shape[1] == n_channels else "channel,time"
