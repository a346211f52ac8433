"""A small data set shaped like DEAP, with known truth: for `milmer demo`, the tests and the docs.

In data order:

- `spec`: `DemoSpec`, what to make; `DemoTruth`, what is true of it (also as truth.json).
- `plan`: draws the truth before any file is made.
- `patterns`: what a quadrant looks like in the EEG and in the face.
- `eeg`, `bdf`, `preprocessed`: the signals, and the files that hold them.
- `face`, `video`, `expressions`: a photograph whose expression changes, filmed and photographed.
- `ratings`: participant_ratings.csv.
- `dataset`: `make_demo_data`, which makes it all.
"""

from milmer_cli.demo.dataset import make_demo_data
from milmer_cli.demo.spec import DemoSpec, DemoTruth, ParticipantTruth, Span, TrialTruth

__all__ = ["DemoSpec", "DemoTruth", "ParticipantTruth", "Span", "TrialTruth", "make_demo_data"]
