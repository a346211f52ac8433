"""Write participant_ratings.csv with the irregularities of DEAP's file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from milmer_cli.datasets.synthetic.config import RandomStream, SyntheticTruth, random_generator
from milmer_cli.io import atomic_write

HEADER = (
    "Participant_id,Trial,Experiment_id,Start_time,Valence,Arousal,Dominance,Liking,Familiarity"
)
NUMBER_WITHOUT_FAMILIARITY = 2


def write_ratings(path: Path, truth: SyntheticTruth) -> None:
    """Write one row per trial, by participant and order of presentation.

    As in DEAP, the file starts with a byte-order mark, familiarity is blank for participant 2 (here
    for the first participant if there is no number 2), and Start_time is unusable: it is in
    microseconds for some participants and in seconds for others.
    """
    numbers = [participant.number for participant in truth.participants]
    without_familiarity = (
        NUMBER_WITHOUT_FAMILIARITY if NUMBER_WITHOUT_FAMILIARITY in numbers else numbers[0]
    )
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER.split(","))
    for participant in truth.participants:
        rng = random_generator(truth.spec, RandomStream.RATINGS, participant.number)
        time_unit = rng.choice([1.0, 1e6])
        for trial in participant.trials:
            start_time = round(float(time_unit * rng.uniform(0.0, 5000.0)))
            familiarity = int(rng.integers(1, 6))
            writer.writerow(
                [
                    participant.number,
                    trial.trial,
                    trial.stimulus,
                    start_time,
                    *trial.ratings,
                    "" if participant.number == without_familiarity else familiarity,
                ]
            )
    atomic_write(path, text.getvalue().encode("utf-8-sig"))
