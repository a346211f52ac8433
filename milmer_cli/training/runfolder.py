"""The run folder: everything that evaluate and predict need of a training, and nothing else.

::

    settings-asked.yaml  settings.yaml   as asked; resolved, with the store's eeg and faces settings
    splits.json                          which segments were in which part
    model/                               config.json, model.safetensors
    history.csv  learning-curve.png      one row an epoch
    metrics.json                         scores of the test part, with their protocol
    environment.json                     versions, seed, device, store, classes, channels
    checkpoints/  tensorboard/           while training, and to look at

A folder in which `MARKER` lies is a run that has not finished.
"""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel

import milmer_cli
from milmer_cli.data.split_file import Splits
from milmer_cli.errors import InputError
from milmer_cli.model import MilmerModel
from milmer_cli.model.backbone import load_weights, quiet
from milmer_cli.settings import Settings, load_settings
from milmer_cli.store import PreparedStore, Segments

MARKER = "unfinished.json"
SETTINGS, ASKED, SPLITS = "settings.yaml", "settings-asked.yaml", "splits.json"
ENVIRONMENT, METRICS, HISTORY = "environment.json", "metrics.json", "history.csv"
CURVE, MODEL = "learning-curve.png", "model"
PACKAGES = ("torch", "transformers", "accelerate", "numpy", "scipy", "scikit-learn", "mne", "h5py")
EEG_AND_FACES = ("eeg", "faces")


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    path
        Its folder.
    settings
        As resolved: ``eeg`` and ``faces`` are those of the store it was trained on.
    environment
        What environment.json holds.
    """

    path: Path
    settings: Settings
    environment: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Open a run folder.

        Raises
        ------
        InputError
            It is no run folder, or the run has not finished.
        """
        path = Path(path)
        if (path / MARKER).exists():
            raise InputError(
                f"The run in {path} has not finished.",
                f"Finish it with `milmer train --out {path} --resume` and the same settings.",
            )
        needed = (SETTINGS, ENVIRONMENT, SPLITS, f"{MODEL}/config.json")
        if missing := [name for name in needed if not (path / name).is_file()]:
            raise InputError(
                f"{path} is not a run folder: it has no {missing[0]}.",
                "Give a folder that `milmer train` wrote.",
            )
        try:
            environment = json.loads((path / ENVIRONMENT).read_text(encoding="utf-8"))
            environment["classes"], environment["store"]["channels"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path / ENVIRONMENT} is damaged: {error}.",
                "Train again, or take the file from a copy of the run.",
            ) from error
        return cls(path, load_settings(file=path / SETTINGS), environment)

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the logits."""
        return tuple(self.environment["classes"])

    @property
    def label_rule(self) -> str:
        """How ratings became classes, in words."""
        return str(self.environment["label_rule"])

    @property
    def channels(self) -> tuple[str, ...]:
        """EEG channels in the order the model expects."""
        return tuple(self.environment["store"]["channels"])

    @property
    def sfreq(self) -> float:
        """Sampling rate of the EEG, in Hz."""
        return float(self.environment["store"]["sfreq"])

    @property
    def segment_s(self) -> float:
        """Length of a segment, in seconds."""
        return float(self.environment["store"]["segment_s"])

    @property
    def instances(self) -> int:
        """Face images a segment."""
        return int(self.environment["store"]["instances"])

    @property
    def face_size(self) -> int:
        """Side of a face image, in pixels."""
        return int(self.environment["store"]["face_size"])

    @property
    def protocol(self) -> str:
        """What the parts of the run's split do not share."""
        return self.settings.train.protocol

    def load_model(self) -> MilmerModel:
        """Load the model, in evaluation mode.

        Raises
        ------
        WeightsError
            Its weights are missing, damaged, or not those that its config.json asks for.
        """
        model: MilmerModel = load_weights(MilmerModel, self.path / MODEL)[0]
        return model

    def splits(self, segments: Segments, labels: np.ndarray | None = None) -> Splits:
        """Read the split, and check it against the segments of the store it was made for."""
        return Splits.load(self.path / SPLITS, segments, labels)


def save_model(model: PreTrainedModel, folder: Path) -> None:
    """Write a model in Hugging Face's manner."""
    with quiet():
        model.save_pretrained(folder)


def store_facts(store: PreparedStore, segments: Segments) -> dict[str, Any]:
    """Collect what predict must know of the store a model was trained on, as plain values."""
    names = [str(name) for name in np.unique(segments.participant)]
    with_eeg = [p for p in map(store.participant, names) if p.channels]
    first = with_eeg[0] if with_eeg else store.participant(names[0])
    return {
        "folder": str(store.folder),
        "fingerprint": store.fingerprint,
        "participants": names,
        "segments": len(segments),
        "channels": list(first.channels),
        "cleaned": [p.participant for p in with_eeg if p.notes.get("cleaned")],
        "sfreq": first.sfreq,
        "segment_s": first.segment_s,
        "instances": first.instances,
        "face_size": first.face_size,
        "detector": first.detector,
    }


def with_settings_of(store: PreparedStore, settings: Settings) -> Settings:
    """Resolve settings: what was decided when preparing comes from the store."""
    plain = settings.model_dump(mode="json")
    for section in EEG_AND_FACES:
        plain[section] = {**plain[section], **store.settings.get(section, {})}
    plain["data"]["source"] = store.settings.get("data", {}).get("source", plain["data"]["source"])
    return Settings.model_validate(plain)


def versions() -> dict[str, str]:
    """Versions of what computed a result."""
    found = {"milmer": milmer_cli.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def begin(out: Path, identity: Mapping[str, Any], resume: bool) -> bool:
    """Take a folder for a run.

    Parameters
    ----------
    out
        The run folder; made where it is missing.
    identity
        What makes two runs the same, as plain values: settings and store.
    resume
        Whether to go on with an unfinished run.

    Returns
    -------
    bool
        True when the same run is there already, finished.

    Raises
    ------
    InputError
        The folder holds another run, or something else.
    """
    marker, finished = out / MARKER, out / ENVIRONMENT
    begun = any((out / "checkpoints").glob("checkpoint-*"))
    empty = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    if empty or (marker.exists() and not begun):
        write_json(marker, identity)
        return False
    if not out.is_dir() or not (marker.exists() or finished.exists()):
        raise InputError(
            f"{out} is there and is no run folder.", "Choose another folder with --out."
        )
    there = json.loads((marker if marker.exists() else finished).read_text(encoding="utf-8"))
    there = there if marker.exists() else there["identity"]
    if different := _differences(there, json.loads(json.dumps(identity))):
        raise InputError(
            f"{out} holds {'an unfinished' if marker.exists() else 'another'} run with "
            f"{', '.join(different[:3])}.",
            "Choose another folder with --out, or remove that one.",
        )
    if not marker.exists():
        return True
    if not resume:
        raise InputError(
            f"{out} holds this run, unfinished.",
            "Continue it with --resume, or choose another folder with --out.",
        )
    return False


def finish(out: Path) -> None:
    """Say that a run is whole; what only served to continue it goes away."""
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    (out / MARKER).unlink()


def write_json(path: Path, content: Any) -> None:
    """Write plain values, whole or not at all."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    aside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise InputError(
            f"{path} cannot be written: {error.strerror}.", "Choose another folder with --out."
        ) from error


def _differences(there: Any, here: Any, where: str = "") -> list[str]:
    if isinstance(there, dict) and isinstance(here, dict):
        return [
            line
            for name in sorted({*there, *here})
            for line in _differences(
                there.get(name), here.get(name), f"{where}.{name}" if where else name
            )
        ]
    return [] if there == here else [f"{where}={there} instead of {here}"]
