"""Plan and write a BIDS data set with EEG in four formats and videos of the participants."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from milmer_cli.datasets.synthetic.effects import GENEVA
from milmer_cli.datasets.synthetic.listed.eeg_writer import EEG_WRITERS, START
from milmer_cli.datasets.synthetic.listed.trial_signals import Recording, simulate_recording
from milmer_cli.datasets.synthetic.listed.trial_video import FaceVideo, write_face_video
from milmer_cli.datasets.synthetic.listed.truth import (
    ListedConfig,
    ListedTrial,
    ListedTruth,
    Trap,
    draw_clips,
)
from milmer_cli.datasets.synthetic.schedule import (
    draw_quadrants,
    draw_ratings,
    draw_spans,
)
from milmer_cli.io import atomic_write
from milmer_cli.json_files import write_json

SFREQ_HZ = 256
FPS = 10
TASK = "clips"
LABELS = ("happy", "calm", "sad", "angry")
"""Class of each pattern."""
EXTRA = ("VEOG", "ECG", "AFz")
"""Channels that are no EEG; the name of the last one is that of an electrode."""
LEAD_IN_S, GAP_S = 4.0, 3.0
RUNS = 2
EXTENSIONS = (".edf", ".vhdr", ".set", ".bdf")
"""Format of the participants in turn."""
TWO_CAMERAS, BAD_CHANNEL, WITHOUT_VIDEO, OTHER_MAINS = 1, 2, 3, 4
"""Participants with a second camera, with a bad channel, without video and in one session only, and
with another line frequency."""
BAD_NAME = "P7"
WITHOUT_LABEL = (4, "1", 2)
"""Participant, session and trial whose label is n/a."""
WITHOUT_TIME = (2, "2", 2)
"""Participant, session and run whose video has no time."""
VIDEO_STARTS_S = {"1": 1.5, "2": -2.0}
"""Session -> start of the videos after the EEG; negative: before it."""
SIDE_STARTS_S = 0.5
"""The second camera starts this much later than the first one."""


@dataclass(frozen=True)
class Run:
    """A run: one EEG file.

    Attributes
    ----------
    participant, session, number
        Its identity.
    trials
        Its trials.
    """

    participant: int
    session: str
    number: int
    trials: tuple[ListedTrial, ...]

    @property
    def stem(self) -> str:
        """Start of the names of its files, without suffix."""
        return f"sub-{self.participant:02d}_ses-{self.session}_task-{TASK}_run-{self.number}"

    @property
    def folder(self) -> str:
        """Folder of its session."""
        return f"sub-{self.participant:02d}/ses-{self.session}"

    @property
    def duration_s(self) -> int:
        """Duration of the EEG."""
        last = self.trials[-1]
        return int(np.ceil(last.eeg_onset_s + last.duration_s + GAP_S))

    @property
    def video_start_s(self) -> float:
        """Start of the video after the EEG."""
        return self.trials[0].eeg_onset_s - self.trials[0].video_onset_s


def plan_bids(config: ListedConfig) -> ListedTruth:
    """Return the ground truth of the data set; ``config.trials`` is per session."""
    clips = draw_clips(config, config.trials)
    trials: list[ListedTrial] = []
    for participant in range(1, config.participants + 1):
        for session in _sessions(participant):
            first_code = len(trials) + 1
            trials += _session_trials(config, participant, session, clips, first_code)
    options = ("--trial-type", "stimulus", "--label-column", "emotion")
    return ListedTruth(config, tuple(trials), _traps(config), options, GENEVA)


def _sessions(participant: int) -> tuple[str, ...]:
    return ("1",) if participant == WITHOUT_VIDEO else ("1", "2")


def _session_trials(
    config: ListedConfig, participant: int, session: str, clips: np.ndarray, first_code: int
) -> Iterator[ListedTrial]:
    """Yield the trials of a session: all clips, in an order of their own, in two runs."""
    rng = config.generator(participant, int(session))
    simulation = replace(config.simulation(), trials=config.trials)
    quadrants = draw_quadrants(simulation, 10 * participant + int(session), clips, 0)
    per_run = -(-config.trials // RUNS)
    for index, clip in enumerate(rng.permutation(config.trials)):
        run, position = divmod(index, per_run)
        identity = Run(participant, session, run + 1, ())
        onset_s = LEAD_IN_S + position * (config.stimulus_s + GAP_S) + rng.uniform(0.0, 0.5)
        onset_s = round(round(onset_s * SFREQ_HZ) / SFREQ_HZ, 6)
        start_s = VIDEO_STARTS_S[session]
        if (participant, session, run + 1) == WITHOUT_TIME:
            start_s = 0.0
        has_video = config.video and participant != WITHOUT_VIDEO
        video = f"{identity.folder}/beh/{identity.stem}_recording-face_video.mp4"
        extension = EXTENSIONS[(participant - 1) % len(EXTENSIONS)]
        pattern = int(quadrants[clip])
        yield ListedTrial(
            participant=participant,
            trial=index + 1,
            session=session,
            stimulus=f"clip{clip + 1:02d}.mp4",
            label=LABELS[pattern],
            condition="",
            ratings=draw_ratings(pattern, None, rng),
            pattern=pattern,
            code=first_code + index,
            duration_s=config.stimulus_s,
            eeg=f"{identity.folder}/eeg/{identity.stem}_eeg{extension}",
            eeg_index=None,
            eeg_onset_s=onset_s,
            video=video if has_video else None,
            video_onset_s=round(onset_s - start_s, 6),
            spans=draw_spans(config.simulation(), pattern, rng),
            usable=(participant, session, index + 1) != WITHOUT_LABEL,
        )


def _traps(config: ListedConfig) -> tuple[Trap, ...]:
    traps = [
        (1, Trap("sidecars of upper folders", "task-clips_eeg.json", "handled")),
        (1, Trap("events that are no trials", "all", "handled")),
        (1, Trap("a folder of derivatives", "derivatives", "handled")),
        (1, Trap("a channel that is no EEG is named like an electrode", "AFz", "handled")),
        (1, Trap("a participant of participants.tsv has no files", "sub-99", "reported", ("99",))),
        (BAD_CHANNEL, Trap("a bad channel", "sub-02", "handled")),
        (WITHOUT_VIDEO, Trap("millivolts in an EEGLAB file", "sub-03", "reported", ("mV",))),
        (OTHER_MAINS, Trap("a line frequency of its own", "sub-04", "handled")),
        (OTHER_MAINS, Trap("a label is n/a", "sub-04", "reported", ("04", "label"))),
    ]
    if config.video:
        traps += [
            (1, Trap("EEG and video start at different times", "all", "handled")),
            (TWO_CAMERAS, Trap("two cameras", "sub-01", "reported", ("01", "recording"))),
            (BAD_CHANNEL, Trap("a video without time", "sub-02", "reported", ("02", "acq_time"))),
        ]
    traps.append((WITHOUT_VIDEO, Trap("no video", "sub-03", "reported", ("03", "video"))))
    return tuple(trap for number, trap in traps if number <= config.participants)


def runs_of(truth: ListedTruth) -> list[Run]:
    """Return the runs of a data set, in order."""
    grouped: dict[tuple[int, str, int], list[ListedTrial]] = {}
    for trial in truth.trials:
        number = int(trial.eeg.partition("_run-")[2].partition("_")[0])
        grouped.setdefault((trial.participant, trial.session, number), []).append(trial)
    return [Run(*identity, tuple(trials)) for identity, trials in grouped.items()]


def bids_files(folder: Path, truth: ListedTruth) -> Iterator[Callable[[], None]]:
    """Yield one function for each piece of work that can run in parallel."""
    runs = runs_of(truth)
    yield partial(_write_sidecars, folder, truth, runs)
    for index, run in enumerate(runs):
        yield partial(_write_eeg, folder, truth, run, index)
        if run.trials[0].video is not None:
            yield partial(_write_video, folder, truth, run, index, "face", 0.0)
            if run.participant == TWO_CAMERAS:
                yield partial(_write_video, folder, truth, run, index, "side", SIDE_STARTS_S)


def _write_eeg(folder: Path, truth: ListedTruth, run: Run, index: int) -> None:
    """Write the EEG of a run, its events, and the sidecars that differ from the upper ones."""
    path = folder / run.trials[0].eeg
    path.parent.mkdir(parents=True, exist_ok=True)
    names = (*GENEVA, *EXTRA)
    recording = Recording(
        index + 1, run.duration_s, run.trials, SFREQ_HZ, GENEVA, truth.mark_channel
    )
    eeg = simulate_recording(truth.config, recording)
    rng = truth.config.generator(run.participant, index, 1)
    if _is_bad(run):
        eeg[GENEVA.index(BAD_NAME)] = 400.0 * rng.standard_normal(eeg.shape[1])
    extra = 50.0 * rng.standard_normal((len(EXTRA), eeg.shape[1]))
    EEG_WRITERS[path.suffix](path, names, np.vstack([eeg, extra]), SFREQ_HZ)
    stem = path.with_name(run.stem)
    _write_table(Path(f"{stem}_events.tsv"), _events(run))
    if _is_bad(run):
        _write_table(Path(f"{stem}_channels.tsv"), _channels({BAD_NAME}, "uV"))


def _is_bad(run: Run) -> bool:
    return (run.participant, run.session, run.number) == (BAD_CHANNEL, "1", 1)


def _events(run: Run) -> list[dict[str, object]]:
    """Return fixations and stimuli; the first row is a pause without a duration."""
    empty = {"stim_file": "n/a", "emotion": "n/a", "valence": "n/a", "arousal": "n/a"}
    rows: list[dict[str, object]] = [
        {"onset": 0.5, "duration": "n/a", "trial_type": "pause", **empty}
    ]
    for trial in run.trials:
        fixation_s = round(trial.eeg_onset_s - 1.5, 6)
        valence, arousal = trial.ratings[:2] if trial.ratings else (None, None)
        rows.append({"onset": fixation_s, "duration": 1.5, "trial_type": "fixation", **empty})
        rows.append(
            {
                "onset": trial.eeg_onset_s,
                "duration": trial.duration_s,
                "trial_type": "stimulus",
                "stim_file": trial.stimulus,
                "emotion": trial.label if trial.usable else "n/a",
                "valence": valence,
                "arousal": arousal,
            }
        )
    return rows


def _channels(bad: set[str], unit: str) -> list[dict[str, object]]:
    types = dict(zip(EXTRA, ("VEOG", "ECG", "MISC"), strict=True))
    return [
        {
            "name": name,
            "type": types.get(name, "EEG"),
            "units": unit,
            "sampling_frequency": SFREQ_HZ,
            "status": "bad" if name in bad else "good",
        }
        for name in (*GENEVA, *EXTRA)
    ]


def _write_video(
    folder: Path, truth: ListedTruth, run: Run, index: int, camera: str, later_s: float
) -> None:
    """Write the video of a run and its JSON file; ``later_s`` is its start after the first one."""
    start_s = run.video_start_s + later_s
    trials = [
        replace(trial, video_onset_s=round(trial.eeg_onset_s - start_s, 6)) for trial in run.trials
    ]
    video = FaceVideo(run.participant, index, run.duration_s - start_s, trials, FPS)
    path = folder / run.folder / "beh" / f"{run.stem}_recording-{camera}_video.mp4"
    write_face_video(path, truth.config, video)
    write_json(path.with_suffix(".json"), {"TaskName": TASK, "FrameRate": FPS})


def _write_sidecars(folder: Path, truth: ListedTruth, runs: Sequence[Run]) -> None:
    """Write what all runs share, the times of the files, and a derivative."""
    common = {"TaskName": TASK, "SamplingFrequency": SFREQ_HZ, "EEGReference": "CMS"}
    description = {"Name": "Demo data set of Milmer", "BIDSVersion": "1.9.0"}
    write_json(folder / "dataset_description.json", description)
    write_json(folder / f"task-{TASK}_eeg.json", {**common, "PowerLineFrequency": 50})
    _write_table(folder / f"task-{TASK}_channels.tsv", _channels(set(), "uV"))
    participants = sorted({run.participant for run in runs})
    rows: list[dict[str, object]] = [
        {"participant_id": f"sub-{number:02d}", "age": "n/a"} for number in (*participants, 99)
    ]
    _write_table(folder / "participants.tsv", rows)
    if WITHOUT_VIDEO in participants:
        stem = folder / "sub-03" / f"sub-03_task-{TASK}"
        _write_table(Path(f"{stem}_channels.tsv"), _channels(set(), "mV"))
    if OTHER_MAINS in participants:
        stem = folder / "sub-04" / f"sub-04_task-{TASK}"
        stem.parent.mkdir(parents=True, exist_ok=True)
        write_json(Path(f"{stem}_eeg.json"), {"PowerLineFrequency": 60})
    for of_session in dict.fromkeys(run.folder for run in runs):
        _write_scans(folder, [run for run in runs if run.folder == of_session])
    _write_derivative(folder / "derivatives" / "cleaned", runs[0])


def _write_scans(folder: Path, runs: Sequence[Run]) -> None:
    rows: list[dict[str, object]] = []
    for run in runs:
        eeg = Path(run.trials[0].eeg)
        start = START + datetime.timedelta(minutes=10 * run.number)
        rows.append({"filename": f"eeg/{eeg.name}", "acq_time": _time(start)})
        if run.trials[0].video is None:
            continue
        is_timed = (run.participant, run.session, run.number) != WITHOUT_TIME
        cameras = {"face": 0.0} | ({"side": SIDE_STARTS_S} if run.participant == 1 else {})
        for camera, later_s in cameras.items():
            first_frame = start + datetime.timedelta(seconds=run.video_start_s + later_s)
            name = f"beh/{run.stem}_recording-{camera}_video.mp4"
            rows.append({"filename": name, "acq_time": _time(first_frame) if is_timed else "n/a"})
    prefix = runs[0].folder.replace("/", "_")
    _write_table(folder / runs[0].folder / f"{prefix}_scans.tsv", rows)


def _time(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def _write_derivative(folder: Path, run: Run) -> None:
    """Write EEG without marks below derivatives, where no recordings are read."""
    path = folder / run.folder / "eeg" / f"{run.stem}_desc-clean_eeg.edf"
    path.parent.mkdir(parents=True, exist_ok=True)
    n_samples = run.duration_s * SFREQ_HZ
    rows = np.random.default_rng(0).standard_normal((len(GENEVA), n_samples))
    EEG_WRITERS[".edf"](path, GENEVA, rows, SFREQ_HZ)
    _write_table(path.with_name(f"{run.stem}_desc-clean_events.tsv"), _events(run))


def _write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write a tab-separated table with the columns of its first row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(rows[0]), *("\t".join(map(str, row.values())) for row in rows)]
    atomic_write(path, "\n".join(lines) + "\n")
