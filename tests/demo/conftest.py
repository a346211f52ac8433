"""One small data set on the disk, with marks and both recording sites."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from milmer_cli.demo import DemoSpec, DemoTruth, make_demo_data


class Made(NamedTuple):
    root: Path
    truth: DemoTruth


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("demo")
    spec = DemoSpec(
        participants=4, trials=3, stimulus_s=3.0, seed=3, marks=True, expression_images=2
    )
    return Made(root, make_demo_data(root, spec, workers=2))
