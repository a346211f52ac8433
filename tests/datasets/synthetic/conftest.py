"""One small data set with marks and participants of both recording sites."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from milmer_cli.datasets.synthetic import SyntheticConfig, SyntheticTruth, generate_dataset
from milmer_cli.datasets.synthetic.config import ParticipantTruth


class Generated(NamedTuple):
    root: Path
    truth: SyntheticTruth

    def participant(self, name: str) -> ParticipantTruth:
        return {p.name: p for p in self.truth.participants}[name]


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    root = tmp_path_factory.mktemp("synthetic")
    config = SyntheticConfig(
        participants=4, trials=3, stimulus_s=3.0, seed=3, marks=True, expression_images=2
    )
    return Generated(root, generate_dataset(root, config, workers=2))
