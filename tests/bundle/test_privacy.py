"""A bundle names neither participants nor files."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from helpers import QUADRANT_RATINGS, write_eeg_store
from milmer_cli.bundle.resolve import open_bundle
from milmer_cli.eeg.quality import EegQuality
from milmer_cli.models.backbones import load_backbone
from milmer_cli.settings import load_settings
from milmer_cli.stages.export import export
from milmer_cli.stages.train import train
from milmer_cli.store import PreparedTrial
from milmer_cli.store.sources import TrialSource

PARTICIPANTS = ("Anneliese", "Bartholomew", "Clementine")
SECRETS = (*PARTICIPANTS, "secret-folder", "secret-run", "secret-weights", "secret-table")


def trial_of(number: int, label: int) -> PreparedTrial:
    eeg = np.random.default_rng(number).normal(size=(2, 4, 128)).astype(np.float32) * 10
    return PreparedTrial(
        trial=number,
        stimulus=number,
        ratings=np.array([*QUADRANT_RATINGS[label], 5, 5], np.float32),
        onset=np.arange(2, dtype=np.float32),
        eeg=eeg,
        faces=None,
        quality=EegQuality.of(eeg),
    )


@pytest.mark.slow
def test_bundle_of_a_training_contains_no_name_of_a_participant_or_a_file(tmp_path, monkeypatch):
    folder = tmp_path / "secret-folder"
    trials = {
        name: [trial_of(number, number % 4) for number in range(1, 9)] for name in PARTICIPANTS
    }
    sources = {
        str(number): TrialSource(2.0, (f"digest{number}",), 2.0 * number).to_json()
        for number in range(1, 9)
    }
    write_eeg_store(folder, ("Fp1", "Fz", "Cz", "Oz"), trials, sources)
    backbone = tmp_path / "secret-weights"
    load_backbone("scratch:micro").save_pretrained(backbone)
    settings = load_settings(
        overrides=[
            *("model.modalities=eeg", "model.dim_feedforward=32", "model.num_layers=1"),
            *("train.epochs=1", "train.batch_size=8", "run.device=cpu", "run.report_to=none"),
            *("evaluate.n_bootstraps=100", "evaluate.n_permutations=100"),
            f"data.participants={','.join(PARTICIPANTS)}",
            f"model.backbone={backbone}",
            "data.channels_file=secret-table.csv",
        ]
    )
    monkeypatch.chdir(tmp_path)
    train(folder, tmp_path / "secret-run", settings)
    bundle = open_bundle(tmp_path / "secret-run")
    assert len(bundle.sources() or ()) == 24
    assert bundle.training.participants == 3
    assert bundle.settings.model.backbone == "local folder"

    export(bundle.path, tmp_path / "model")
    export(bundle.path, tmp_path / "model.zip")
    contents = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == contents
    for name, content in contents.items():
        for secret in (*SECRETS, str(tmp_path), tmp_path.name):
            assert secret.lower().encode() not in content.lower(), f"{secret} in {name}"
            assert secret.encode("utf-16-le") not in content, f"{secret} in {name}"
    environment = (tmp_path / "secret-run" / "environment.json").read_text()
    assert all(name in environment for name in PARTICIPANTS), "the run states its participants"
