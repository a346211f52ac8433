"""Measure accuracy against the number of missing electrodes on synthetic data sets.

For each seed, a data set is generated and prepared. For each value of a setting, the model is
trained and tested by cross-validation, with other folds and initial weights for each seed. The
electrodes of the test set are then removed at random, and either masked or interpolated (see
`milmer_cli.evaluation.missing_electrodes`).

eeg
    EEG only, 40 trials of 12 s, classes low and high arousal. The EEG of the data set carries
    arousal only.
demo
    The data set of ``milmer demo``: EEG and faces, 16 trials of 6 s, four quadrants. Videos are
    searched for faces, which takes minutes.

    python bench/missing_electrodes.py eeg
    python bench/missing_electrodes.py demo --folder electrodes
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.splits import make_folds
from milmer_cli.datasets.deap.recordings import DeapRecordings
from milmer_cli.datasets.synthetic import SyntheticConfig, generate_dataset
from milmer_cli.device import Device
from milmer_cli.evaluation.missing_electrodes import INTERPOLATED, MASKED, MissingElectrodes
from milmer_cli.evaluation.robustness import COMPLETE, evaluate_robustness
from milmer_cli.settings import Settings, load_settings
from milmer_cli.stages.finetune_swin import finetune_swin
from milmer_cli.stages.prepare import prepare
from milmer_cli.training.fit_fold import fit_fold, open_bags

EEG_ONLY = ["model.modalities=eeg", "data.target=arousal", "train.batch_size=32", "train.lr=2e-3"]
TEST_BATCH_SIZE = 64


def prepare_data(name: str, folder: Path, seed: int) -> list[str]:
    """Generate and prepare a data set once; return the settings of its model."""
    config = SyntheticConfig(seed=seed)
    if name == "eeg":
        config = SyntheticConfig(
            trials=40,
            stimulus_s=12.0,
            seed=seed,
            video=False,
            formats=("dat",),
            expression_images=0,
        )
    settings = load_settings(preset="demo", overrides=[f"seed={seed}"])
    if not (folder / "prepared" / "index.json").exists():
        generate_dataset(folder / "data", config)
        prepare(DeapRecordings(folder / "data"), folder / "prepared", settings)
    if name == "demo" and not (folder / "swin" / "model.safetensors").exists():
        finetune_swin(folder / "data" / "expressions", folder / "swin", settings)
    return EEG_ONLY if name == "eeg" else [f"model.backbone={folder / 'swin'}"]


def cross_validate(prepared: Path, protocol: str, n_folds: int, settings: Settings) -> np.ndarray:
    """Train and test on all folds; return the accuracies (masked or interpolated, n_levels)."""
    labeled = LabeledSegments.open(prepared, settings)
    device = Device.from_settings(settings.run)
    electrodes = MissingElectrodes.of(labeled, settings.seed)
    correct = []
    folds = make_folds(
        labeled, protocol, n_folds, settings.train.validation_fraction, settings.seed
    )
    for fold in folds:
        model, _ = fit_fold(labeled, fold, settings, device)
        bags = open_bags(model, labeled, fold.test, settings, device)
        found = evaluate_robustness(model, bags, device, TEST_BATCH_SIZE, settings.seed, electrodes)
        classes = np.stack([found[name] for name in (MASKED, INTERPOLATED)], axis=1)
        truth = labeled.labels[fold.test][:, None, None, None]
        correct.append((classes == truth).mean(axis=2)[found[COMPLETE]])
    return np.concatenate(correct).mean(axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", choices=("eeg", "demo"))
    parser.add_argument("--folder", type=Path, help="where data sets are kept")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--setting", default="model.channel_dropout")
    parser.add_argument("--values", nargs="+", default=["0", "0.1", "0.2"])
    parser.add_argument("--protocol", default="participant")
    parser.add_argument("--folds", type=int, default=2)
    arguments = parser.parse_args()
    print(f"| seed | {arguments.setting} | missing electrodes | 0 | 1 | 2 | 4 | 8 | 16 |")
    print("|" + "---|" * 9)
    with tempfile.TemporaryDirectory() as temporary:
        for seed in arguments.seeds:
            folder = (arguments.folder or Path(temporary)) / f"{arguments.data}{seed}"
            own = prepare_data(arguments.data, folder, seed)
            own += [f"seed={seed}", "run.device=cpu", "run.report_to=none"]
            for value in arguments.values:
                settings = load_settings(
                    preset="demo", overrides=[*own, f"{arguments.setting}={value}"]
                )
                accuracies = cross_validate(
                    folder / "prepared", arguments.protocol, arguments.folds, settings
                )
                for name, row in zip(("masked", "interpolated"), accuracies, strict=True):
                    cells = " | ".join(f"{100 * accuracy:.1f}" for accuracy in row)
                    print(f"| {seed} | {value} | {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
