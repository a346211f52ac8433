"""Use an installed Milmer: generate a recording, prepare it, predict it with the demo model.

    python -I release/smoke_test.py     # in an empty folder

Called by release.py in environments that contain only the wheel and its dependencies.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import milmer_cli
from milmer_cli.datasets.synthetic import SyntheticConfig, generate_dataset

COMMANDS = (
    "version",
    "info",
    "docs --path",
    "settings show",
    "prepare --deap-root data --out prepared --preset demo",
    "predict data/face_video/s01/s01_trial01.avi data/data_original/s01.bdf --trial 1 --model demo",
)


def main() -> None:
    """Run all commands; the first one that fails ends the program."""
    assert Path(__file__).parents[1] not in Path(milmer_cli.__file__).parents
    config = SyntheticConfig(
        participants=1, trials=3, stimulus_s=6.0, formats=("bdf",), expression_images=0
    )
    generate_dataset(Path("data"), config)
    for command in COMMANDS:
        print("$ milmer", command, flush=True)
        subprocess.run([sys.executable, "-I", "-m", "milmer_cli", *command.split()], check=True)
    assert Path("prediction/report.html").is_file()


if __name__ == "__main__":
    main()
