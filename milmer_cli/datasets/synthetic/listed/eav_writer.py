"""Plan and write a copy of EAV: arrays of trials, one-hot labels, one video per trial."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from milmer_cli.datasets.synthetic.config import NEUTRAL_PATTERN, QUADRANTS
from milmer_cli.datasets.synthetic.effects import GENEVA
from milmer_cli.datasets.synthetic.listed.mat_writer import write_mat5, write_mat73
from milmer_cli.datasets.synthetic.listed.trial_signals import Recording, simulate_recording
from milmer_cli.datasets.synthetic.listed.trial_video import FaceVideo, write_face_video
from milmer_cli.datasets.synthetic.listed.truth import (
    ListedConfig,
    ListedTrial,
    ListedTruth,
    Trap,
)
from milmer_cli.datasets.synthetic.schedule import draw_spans
from milmer_cli.io import atomic_path

SFREQ_HZ = 500
FPS = 10
"""A third of EAV's frame rate, which saves time in writing and preparing the videos."""
EMOTIONS = {
    "Neutral": NEUTRAL_PATTERN,
    "Sadness": QUADRANTS.index("LALV"),
    "Anger": QUADRANTS.index("HALV"),
    "Happiness": QUADRANTS.index("HAHV"),
    "Calmness": QUADRANTS.index("LAHV"),
}
"""Emotion -> pattern, in the order of the rows of the labels."""
CONDITIONS = ("Listening", "Speaking")
CHANNELS = tuple(name for name in sorted(GENEVA) if name not in ("PO3", "PO4"))
"""30 electrodes in an order of their own: the files do not state it."""
TRANSPOSED, PADDED = 3, 2
"""Participants whose array has its axes reversed, and whose number has two digits."""
VIDEO_MISSING = (2, 5)
"""Participant and trial without an mp4."""
AMBIGUOUS = (3, 4)
"""Participant and trial whose label column has two ones."""


def plan_eav(config: ListedConfig) -> ListedTruth:
    """Return the ground truth of the data set."""
    trials = [
        trial
        for participant in range(1, config.participants + 1)
        for trial in _participant_trials(config, participant)
    ]
    options = ("--eeg-channels", ";".join(CHANNELS))
    return ListedTruth(config, tuple(trials), _traps(config), options, CHANNELS)


def _participant_trials(config: ListedConfig, participant: int) -> Iterator[ListedTrial]:
    """Yield listening and speaking in turn, with the emotions in a random order."""
    rng = config.generator(participant)
    pairs = rng.permutation(np.resize(np.arange(len(EMOTIONS)), config.trials // 2))
    folder = f"{_name(participant)}"
    repetition = dict.fromkeys(EMOTIONS, 0)
    for index in range(config.trials):
        emotion = list(EMOTIONS)[pairs[index // 2]]
        condition = CONDITIONS[index % 2]
        repetition[emotion] += index % 2 == 0
        stem = f"{index + 1:03d}_Trial_{repetition[emotion]:02d}_{condition}_{emotion}"
        has_video = config.video and (participant, index + 1) != VIDEO_MISSING
        yield ListedTrial(
            participant=participant,
            trial=index + 1,
            session="",
            stimulus="",
            label=emotion,
            condition=condition,
            ratings=None,
            pattern=EMOTIONS[emotion],
            code=config.trials * (participant - 1) + index + 1,
            duration_s=config.stimulus_s,
            eeg=f"{folder}/EEG/{folder}_eeg.mat",
            eeg_index=index,
            eeg_onset_s=0.0,
            video=f"{folder}/Video/{stem}.mp4" if has_video else None,
            video_onset_s=0.0,
            spans=draw_spans(config.simulation(), EMOTIONS[emotion], rng),
            usable=(participant, index + 1) != AMBIGUOUS,
        )


def _name(participant: int) -> str:
    return f"subject{participant:02d}" if participant == PADDED else f"subject{participant}"


def _traps(config: ListedConfig) -> tuple[Trap, ...]:
    traps = [
        Trap("MM of the names of the videos repeats and is not the trial", "subject1", "handled"),
        Trap("the variable of the array is seg", "subject1", "handled"),
        Trap("the variable of the array is seg1", "subject02", "handled"),
        Trap("the number of the participant has two digits", "subject02", "handled"),
        Trap("the spellings Aud and aud", "subject1/Audio", "handled"),
        Trap(
            "the axes of the array are reversed",
            "subject3",
            "reported",
            ("subject03", "transposed"),
        ),
        Trap(
            "a label column has two ones",
            "subject3",
            "reported",
            ("subject03", "trial 4", "one-hot"),
        ),
    ]
    if config.video:
        traps.append(
            Trap("an mp4 is missing", "subject02", "reported", ("subject02", "trial 5", "video"))
        )
    found = {_name(number) for number in range(1, config.participants + 1)}
    return tuple(trap for trap in traps if trap.where.partition("/")[0] in found)


def eav_files(folder: Path, truth: ListedTruth) -> Iterator[Callable[[], None]]:
    """Yield one function for each piece of work that can run in parallel."""
    for participant in range(1, truth.config.participants + 1):
        trials = truth.of_participant(participant)
        yield partial(_write_eeg, folder, truth, trials)
        yield partial(_write_audio, folder / _name(participant) / "Audio", trials)
        for trial in trials:
            if trial.video is not None:
                video = FaceVideo(participant, trial.trial, trial.duration_s, [trial], FPS)
                yield partial(write_face_video, folder / trial.video, truth.config, video)


def _write_eeg(folder: Path, truth: ListedTruth, trials: list[ListedTrial]) -> None:
    """Write the array (time, channel, trial) and the labels (class, trial) of a participant."""
    participant, path = trials[0].participant, folder / trials[0].eeg
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.stack([_simulate(truth, trial) for trial in trials], axis=-1)
    if participant == TRANSPOSED:
        write_mat73(path, {"seg1": array.transpose()})
    elif participant == PADDED:
        write_mat5(path, {"seg1": array.astype(np.float32)}, compress=True)
    else:
        write_mat5(path, {"seg": array})
    labels = np.zeros((len(EMOTIONS) * len(CONDITIONS), len(trials)))
    for column, trial in enumerate(trials):
        row = 2 * list(EMOTIONS).index(trial.label) + CONDITIONS.index(trial.condition)
        labels[row, column] = 1.0
        if not trial.usable:
            labels[(row + 3) % len(labels), column] = 1.0
    write_mat5(path.with_name(f"{path.stem}_label.mat"), {"label": labels})


def _simulate(truth: ListedTruth, trial: ListedTrial) -> np.ndarray:
    """Return the EEG of a trial, (n_samples, n_channels) in microvolts."""
    recording = Recording(
        trial.code, round(trial.duration_s), [trial], SFREQ_HZ, CHANNELS, truth.mark_channel
    )
    return simulate_recording(truth.config, recording).T


def _write_audio(folder: Path, trials: list[ListedTrial]) -> None:
    """Write a tenth of a second of silence for each spoken trial."""
    folder.mkdir(parents=True, exist_ok=True)
    for trial in trials:
        if trial.condition == "Speaking":
            ending = "Aud" if trial.trial % 4 else "aud"
            name = f"{trial.trial:03d}_Trial_01_Speaking_{trial.label}_{ending}.wav"
            with atomic_path(folder / name) as temporary, wave.open(str(temporary), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes(bytes(1600))
