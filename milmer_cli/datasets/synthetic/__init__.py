"""Small data sets with known truth, in the format of DEAP and others, for `milmer demo` and tests.

The modules, in data-flow order:

- `config`: `SyntheticConfig`, what to generate; `SyntheticTruth`, the ground truth (truth.json).
- `schedule`: draws the ground truth before any file is written.
- `effects`: how a quadrant, a trial or a stimulus changes the EEG and the facial expression.
- `eeg_signals`: the signals of one participant at 512 Hz.
- `bdf_writer`: a participant's BDF file.
- `preprocessed_writer`: a participant's preprocessed .dat and .mat files.
- `ratings_writer`: participant_ratings.csv.
- `face_image`: a photograph of a face, warped into an expression.
- `headgear`: an EEG cap and electrodes, drawn onto a face.
- `face_video`: the video of a trial.
- `expression_images`: face images by class, for `milmer finetune-swin`.
- `generate`: `generate_dataset`, which writes all files of the copy of DEAP.
- `listed`: copies of EAV, MAHNOB-HCI, AMIGOS and BIDS.

To add an effect: add its strength to `effects.Pattern`, and apply it in `eeg_signals` or in
`face_image`.
"""

from milmer_cli.datasets.synthetic.config import (
    ExpressionSpan,
    ParticipantTruth,
    SyntheticConfig,
    SyntheticTruth,
    TrialTruth,
    read_truth,
)
from milmer_cli.datasets.synthetic.generate import generate_dataset
from milmer_cli.datasets.synthetic.listed.generate import generate_listed
from milmer_cli.datasets.synthetic.listed.truth import ListedConfig, ListedTruth
from milmer_cli.datasets.synthetic_mark import TRUTH_NAME

__all__ = [
    "TRUTH_NAME",
    "ExpressionSpan",
    "ListedConfig",
    "ListedTruth",
    "ParticipantTruth",
    "SyntheticConfig",
    "SyntheticTruth",
    "TrialTruth",
    "generate_dataset",
    "generate_listed",
    "read_truth",
]
