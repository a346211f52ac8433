"""Write the published splits of DEAP in ``milmer_cli/data/deap_splits``.

The files are the reference, not this script: it documents how they were drawn. Ratings are not
used. Participants with video (1 to 22) and without (23 to 32) are spread evenly, so that the splits
also suit a store of the participants with video.

    python bench/deap_splits.py OUT
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

N_PARTICIPANTS, N_WITH_VIDEO, N_STIMULI, N_FOLDS, SEED = 32, 22, 40, 5, 2012
CODES = {"T": "training", "V": "validation", "E": "test", "-": "not used"}
Grid = np.ndarray  # (participants, stimuli) of codes


def main(out: Path) -> None:
    for name, protocol, description, folds in (
        (
            "deap-trial-5fold",
            "trial",
            "8 of the 40 trials of each participant are tested in each of 5 folds, 8 select the "
            "epoch",
            trial_folds(),
        ),
        (
            "deap-participant-loo",
            "participant",
            "leave one participant out: 32 folds, 6 other participants select the epoch",
            participant_folds(),
        ),
        (
            "deap-stimulus-5fold",
            "stimulus",
            "8 of the 40 stimuli are tested in each of 5 folds, 8 others select the epoch",
            stimulus_folds(),
        ),
        (
            "deap-participant-stimulus-5fold",
            "participant-stimulus",
            "6 or 7 participants and 8 stimuli, both new, are tested in each of 5 folds",
            participant_stimulus_folds(),
        ),
    ):
        content = {
            "format": 1,
            "name": name,
            "protocol": protocol,
            "description": description,
            "codes": CODES,
            "participants": [f"s{number:02d}" for number in range(1, N_PARTICIPANTS + 1)],
            "stimuli": list(range(1, N_STIMULI + 1)),
            "folds": [["".join(row) for row in grid] for grid in folds],
        }
        path = out / f"{name}.json"
        path.write_bytes((json.dumps(content, indent=0) + "\n").encode())


def blocks(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Deal participants and stimuli to `N_FOLDS` blocks."""
    with_video = random.permutation(N_WITH_VIDEO)
    others = N_WITH_VIDEO + random.permutation(N_PARTICIPANTS - N_WITH_VIDEO)
    participant = np.empty(N_PARTICIPANTS, int)
    participant[np.concatenate([with_video, others])] = np.arange(N_PARTICIPANTS) % N_FOLDS
    stimulus = np.empty(N_STIMULI, int)
    stimulus[random.permutation(N_STIMULI)] = np.arange(N_STIMULI) % N_FOLDS
    return participant, stimulus


def coded(test: np.ndarray, validation: np.ndarray, train: np.ndarray) -> Grid:
    grid = np.full((N_PARTICIPANTS, N_STIMULI), "-")
    for code, cells in (("T", train), ("V", validation), ("E", test)):
        grid[cells] = code
    return grid


def trial_folds() -> Iterator[Grid]:
    random = np.random.default_rng([SEED, 0])
    block = np.stack(
        [random.permutation(np.arange(N_STIMULI) % N_FOLDS) for _ in range(N_PARTICIPANTS)]
    )
    for fold in range(N_FOLDS):
        test, validation = block == fold, block == (fold + 1) % N_FOLDS
        yield coded(test, validation, ~test & ~validation)


def participant_folds() -> Iterator[Grid]:
    random = np.random.default_rng([SEED, 1])
    for participant in range(N_PARTICIPANTS):
        others = np.delete(np.arange(N_PARTICIPANTS), participant)
        with_video = others[others < N_WITH_VIDEO]
        held = [random.choice(with_video, 4, False)]
        held.append(random.choice(others[others >= N_WITH_VIDEO], 2, False))
        test = np.zeros((N_PARTICIPANTS, N_STIMULI), bool)
        validation = test.copy()
        test[participant] = validation[np.concatenate(held)] = True
        yield coded(test, validation, ~test & ~validation)


def stimulus_folds() -> Iterator[Grid]:
    _, stimulus = blocks(np.random.default_rng([SEED, 2]))
    block = np.tile(stimulus, (N_PARTICIPANTS, 1))
    for fold in range(N_FOLDS):
        test, validation = block == fold, block == (fold + 1) % N_FOLDS
        yield coded(test, validation, ~test & ~validation)


def participant_stimulus_folds() -> Iterator[Grid]:
    participant, stimulus = blocks(np.random.default_rng([SEED, 3]))
    rows, columns = np.meshgrid(participant, stimulus, indexing="ij")
    for fold in range(N_FOLDS):
        other = (fold + 1) % N_FOLDS
        test = (rows == fold) & (columns == fold)
        validation = (rows == other) & (columns == other)
        kept = ~np.isin(rows, (fold, other)) & ~np.isin(columns, (fold, other))
        yield coded(test, validation, kept)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
