"""Plan and write a copy of AMIGOS: cells of trials in MATLAB files, one face video per trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from milmer_cli.datasets.synthetic.listed.mat_writer import Variables, write_mat5, write_mat73
from milmer_cli.datasets.synthetic.listed.trial_signals import (
    Recording,
    heartbeat,
    simulate_recording,
)
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

SFREQ_HZ = 128
FPS = 10
"""Less than AMIGOS' frame rate, which saves time in writing and preparing the videos."""
BASELINE_S = 5
_CHANNELS = "AF3 F7 F3 FC5 T7 P7 O1 O2 P8 T8 FC6 F4 F8 AF4"
_SHORT_IDS = "10 13 138 18 19 20 23 30 31 34 36 4 5 58 80 9"
CHANNELS = tuple(_CHANNELS.split())
MARK_CHANNEL = "O2"
SHORT_IDS = tuple(_SHORT_IDS.split())
LONG_IDS = ("N1", "P1", "B1", "U1")
LONG_FACTOR = 1.5
"""Duration of the long clips relative to the short ones (AMIGOS: about 10)."""
NUMBERS = (1, 2, 8, 9, 3, 4, 5, 6)
"""Numbers of the participants, in the order in which they are used."""
NEW_FORMAT, SURPLUS, ALL_NAN, NESTED = 2, 8, 9, 2
"""Participants with a file of version 7.3, with surplus bytes in compressed elements and two empty
long trials, with NaN in all trials, and with a folder of its own."""
EMPTY = (18, 20)
"""Trials of participant `SURPLUS` without data."""
VIDEO_MISSING = (1, 4)
"""Participant and trial without a face video."""


def plan_amigos(config: ListedConfig) -> ListedTruth:
    """Return the ground truth of the data set."""
    clips = draw_clips(config, len(SHORT_IDS) + len(LONG_IDS))
    trials = [
        trial
        for index, number in enumerate(sorted(NUMBERS[: config.participants]))
        for trial in _participant_trials(config, index, number, clips)
    ]
    return ListedTruth(config, tuple(trials), _traps(config), (), CHANNELS, MARK_CHANNEL)


def _participant_trials(
    config: ListedConfig, index: int, number: int, clips: np.ndarray
) -> Iterator[ListedTrial]:
    """Yield 16 short and 4 long trials, each group in an order of the participant."""
    clip_ids = (*SHORT_IDS, *LONG_IDS)
    rng = config.generator(number)
    simulation = replace(config.simulation(), trials=len(clip_ids))
    quadrants = draw_quadrants(simulation, number, clips, 0)
    order = [*rng.permutation(16), *(16 + rng.permutation(4))]
    for trial, clip in enumerate(order, start=1):
        is_long = trial > len(SHORT_IDS)
        duration_s = config.stimulus_s * (LONG_FACTOR if is_long else 1.0)
        pattern = int(quadrants[clip])
        has_video = config.video and number != ALL_NAN and (number, trial) != VIDEO_MISSING
        folder = f"Data_Preprocessed_P{number:02d}/" if number == NESTED else ""
        yield ListedTrial(
            participant=number,
            trial=trial,
            session="",
            stimulus=clip_ids[clip],
            label="",
            condition="",
            ratings=draw_ratings(pattern, None, rng),
            pattern=pattern,
            code=20 * index + trial,
            duration_s=duration_s,
            eeg=f"{folder}Data_Preprocessed_P{number:02d}.mat",
            eeg_index=trial - 1,
            eeg_onset_s=float(BASELINE_S),
            video=f"face_videos/P{number}_{clip_ids[clip]}_face.mov" if has_video else None,
            video_onset_s=float(BASELINE_S),
            spans=draw_spans(config.simulation(duration_s), pattern, rng),
            usable=number != ALL_NAN and not (number == SURPLUS and trial in EMPTY),
        )


def _traps(config: ListedConfig) -> tuple[Trap, ...]:
    traps = [
        (1, Trap("arousal stands before valence", "all", "handled")),
        (1, Trap("the order of the clips differs between participants", "all", "handled")),
        (1, Trap("EEG and video start 5 s before the stimulus", "all", "handled")),
        (NEW_FORMAT, Trap("a file of version 7.3", "P02", "handled")),
        (SURPLUS, Trap("surplus bytes in compressed elements", "P08", "handled")),
        (SURPLUS, Trap("long trials without data", "P08", "reported", ("P08", "18"))),
        (ALL_NAN, Trap("all trials are NaN", "P09", "reported", ("P09", "NaN"))),
    ]
    if config.video:
        group = Trap("a video of a group", "P(1,2,3,4)_A1_face.mov", "reported", ("group",))
        traps += [
            (1, Trap("a face video is missing", "P01", "reported", ("P01", "video"))),
            (1, group),
        ]
    used = NUMBERS[: config.participants]
    return tuple(trap for number, trap in traps if number in used)


def amigos_files(folder: Path, truth: ListedTruth) -> Iterator[Callable[[], None]]:
    """Yield one function for each piece of work that can run in parallel."""
    for number in NUMBERS[: truth.config.participants]:
        trials = truth.of_participant(number)
        yield partial(_write_eeg, folder, truth, trials)
        for trial in trials:
            if trial.video is not None:
                length_s = BASELINE_S + trial.duration_s
                video = FaceVideo(number, trial.trial, length_s, [trial], FPS)
                yield partial(write_face_video, folder / trial.video, truth.config, video)
    if truth.config.video:
        group = FaceVideo(1, 0, 3.0, [], FPS, people=4)
        path = folder / "face_videos" / "P(1,2,3,4)_A1_face.mov"
        yield partial(write_face_video, path, truth.config, group)


def _write_eeg(folder: Path, truth: ListedTruth, trials: list[ListedTrial]) -> None:
    number, path = trials[0].participant, folder / trials[0].eeg
    path.parent.mkdir(parents=True, exist_ok=True)
    empty = np.zeros((0, 0))
    has_data = [trial.usable or number == ALL_NAN for trial in trials]
    variables: Variables = {
        "joined_data": [
            _data(truth, trial) if given else empty
            for trial, given in zip(trials, has_data, strict=True)
        ],
        "labels_selfassessment": [
            _ratings(truth.config, trial) if given else empty
            for trial, given in zip(trials, has_data, strict=True)
        ],
        "labels_ext_annotation": [np.zeros((1, 3)) for _ in trials],
        "VideoIDs": [trial.stimulus for trial in trials],
    }
    if number == NEW_FORMAT:
        write_mat73(path, variables)
    else:
        write_mat5(path, variables, compress=number != 1, surplus=number == SURPLUS)


def _data(truth: ListedTruth, trial: ListedTrial) -> np.ndarray:
    """Return baseline and stimulus, (n_samples, 17): EEG, two ECG channels and GSR."""
    n_samples = round((BASELINE_S + trial.duration_s) * SFREQ_HZ)
    if trial.participant == ALL_NAN:
        return np.full((n_samples, 17), np.nan)
    recording = Recording(
        trial.code,
        int(np.ceil(BASELINE_S + trial.duration_s)),
        [trial],
        SFREQ_HZ,
        CHANNELS,
        truth.mark_channel,
        clean=True,
    )
    eeg = simulate_recording(truth.config, recording)[:, :n_samples]
    seconds = np.arange(n_samples) / SFREQ_HZ
    beat = heartbeat(seconds, 0.02)
    return np.vstack([eeg, 900.0 * beat, 700.0 * beat, 300.0 + seconds]).T


def _ratings(config: ListedConfig, trial: ListedTrial) -> np.ndarray:
    """Return (1, 12): arousal, valence, dominance, liking, familiarity and seven emotions."""
    if trial.ratings is None or trial.participant == ALL_NAN:
        return np.full((1, 12), np.nan)
    valence, arousal, dominance, liking = trial.ratings
    emotions = np.zeros(7)
    emotions[trial.pattern] = 1.0
    familiarity = config.generator(trial.participant, trial.trial).uniform(1.0, 9.0)
    return np.array([[arousal, valence, dominance, liking, familiarity, *emotions]])
