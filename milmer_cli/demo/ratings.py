"""Write participant_ratings.csv as DEAP's is: byte-order mark, blanks, useless start times."""

from __future__ import annotations

import csv
from pathlib import Path

from milmer_cli.demo.plan import stream
from milmer_cli.demo.spec import DemoTruth

HEADER = (
    "Participant_id,Trial,Experiment_id,Start_time,Valence,Arousal,Dominance,Liking,Familiarity"
)
NUMBER_WITHOUT_FAMILIARITY = 2


def write_ratings(path: Path, truth: DemoTruth) -> None:
    """Write one row a trial, by participant and order of presentation.

    Familiarity is blank for participant 2 (for the first, when there is no 2), as in DEAP.
    Start_time is in microseconds for some and in seconds for others: it is there to be ignored.
    """
    numbers = [participant.number for participant in truth.participants]
    blank = NUMBER_WITHOUT_FAMILIARITY if NUMBER_WITHOUT_FAMILIARITY in numbers else numbers[0]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER.split(","))
        for participant in truth.participants:
            rng = stream(truth.spec, 7, participant.number)
            unit = rng.choice([1.0, 1e6])
            for trial in participant.trials:
                start = round(float(unit * rng.uniform(0.0, 5000.0)))
                familiarity = int(rng.integers(1, 6))
                writer.writerow(
                    [
                        participant.number,
                        trial.trial,
                        trial.stimulus,
                        start,
                        *trial.ratings,
                        "" if participant.number == blank else familiarity,
                    ]
                )
