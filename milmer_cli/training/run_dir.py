"""The run folder: everything that evaluate and predict need from a training, and nothing else.

::

    settings-requested.yaml          settings as requested
    settings.yaml                    resolved settings, with eeg and faces of the store
    splits.json                      segments of the training, validation and test set
    sources.json                     digests of the files in these sets, without names
    model/                           config.json, model.safetensors
    history.csv  learning-curve.png  metrics of every epoch
    metrics.json                     scores on the test set, with their protocol
    environment.json                 versions, seed, device, store, classes, channels
    checkpoints/                     during training only
    tensorboard/                     logs, if TensorBoard is installed
    log.txt                          command lines and messages

A folder that contains `MARKER` is a run that has not finished; see `begin_run`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState
from transformers import PreTrainedModel

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.split_file import ProtocolFolds, load_splits
from milmer_cli.device import Device
from milmer_cli.errors import InputError, SettingsError
from milmer_cli.folder_lock import FolderLock
from milmer_cli.formats import read_document, write_document
from milmer_cli.integrity import folder_checksums
from milmer_cli.io import atomic_files
from milmer_cli.models import MilmerConfig, MilmerModel
from milmer_cli.models.backbones import DIGESTS, MODEL_FILES, load_weights
from milmer_cli.models.library_messages import quiet
from milmer_cli.partial_files import remove_tree
from milmer_cli.run_log import shareable
from milmer_cli.settings import Settings, load_settings
from milmer_cli.settings.schema import STORE_SECTIONS
from milmer_cli.store import PreparedStore, Segments
from milmer_cli.training.checkpoints import explain_write_errors
from milmer_cli.training.run_environment import package_versions, read_environment
from milmer_cli.training.run_marker import MARKER, starting_command
from milmer_cli.training.sources import UsedTrial, read_sources

SETTINGS, REQUESTED_SETTINGS = "settings.yaml", "settings-requested.yaml"
SPLITS, SOURCES = "splits.json", "sources.json"
ENVIRONMENT, METRICS, HISTORY = "environment.json", "metrics.json", "history.csv"
CURVE, MODEL = "learning-curve.png", "model"
CHECKPOINTS, TENSORBOARD = "checkpoints", "tensorboard"
FILES = (SETTINGS, REQUESTED_SETTINGS, SPLITS, METRICS, HISTORY, CURVE, MODEL, TENSORBOARD)
"""What a training writes besides environment.json and the checkpoints."""


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    path
        The run folder.
    settings
        Resolved settings: ``eeg`` and ``faces`` are those of the store it was trained on, with the
        face detector that was used.
    environment
        The contents of environment.json.
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
            The folder is not a run folder, is damaged, or contains a run that has not finished.
        """
        path = Path(path)
        if (path / MARKER).exists():
            command = starting_command(path) or "train() in Python"
            raise InputError(
                f"The run in {path} has not finished.",
                f"Finish it with the command that started it: {command}.",
            )
        required = (SETTINGS, ENVIRONMENT, SPLITS, f"{MODEL}/config.json")
        if missing := [name for name in required if not (path / name).is_file()]:
            raise InputError(
                f"{path} is not a run folder: it has no {missing[0]}.",
                "Give a folder that `milmer train` wrote.",
            )
        environment = read_environment(path / ENVIRONMENT)
        settings = load_settings(file=path / SETTINGS)
        # `auto` must not choose another detector on a machine with other weights
        detector = environment["store"].get("detector") or settings.faces.detector
        faces = settings.faces.model_copy(update={"detector": detector})
        return cls(path, settings.model_copy(update={"faces": faces}), environment)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return tuple(self.environment["classes"])

    @property
    def label_rule(self) -> str:
        """One sentence on how ratings were converted to classes."""
        return str(self.environment["label_rule"])

    @property
    def channels(self) -> tuple[str, ...]:
        """EEG channels, in the order that the model expects."""
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
        """Number of face images per segment."""
        return int(self.environment["store"]["instances"])

    @property
    def face_size(self) -> int:
        """Width and height of a face image, in pixels."""
        return int(self.environment["store"]["face_size"])

    @property
    def protocol(self) -> str:
        """What the training, validation and test sets do not share."""
        return self.settings.train.protocol

    def load_model(self) -> MilmerModel:
        """Load the model, in evaluation mode.

        Raises
        ------
        InputError
            The weights are missing or damaged, do not match config.json, or were trained with other
            settings of the EEG.
        """
        model: MilmerModel = load_weights(MilmerModel, self.path / MODEL)
        for file, expected, got in self._contradictions(model.config):
            raise InputError(
                f"{self.path / file} does not belong to the model: expected {expected}, got {got}.",
                "Restore the file from a copy of the run, or train again.",
            )
        return model

    def _contradictions(self, config: MilmerConfig) -> Iterator[tuple[str, str, str]]:
        """Yield the files that do not belong to the model: name, expected and given value."""
        eeg = self.settings.eeg
        segments = {
            SETTINGS: (eeg.segment_s, eeg.sfreq_hz),
            ENVIRONMENT: (self.segment_s, self.sfreq),
        }
        for file, (segment_s, sfreq) in segments.items():
            if round(segment_s * sfreq) != config.n_samples:
                got = f"{segment_s:g} s at {sfreq:g} Hz"
                yield file, f"segments of {config.n_samples} samples", got
        if len(self.channels) not in (0, config.n_channels):  # none without EEG
            yield ENVIRONMENT, f"{config.n_channels} EEG channels", str(len(self.channels))
        if len(self.class_names) != config.num_labels:
            yield ENVIRONMENT, f"{config.num_labels} classes", str(len(self.class_names))

    def sources(self) -> list[UsedTrial] | None:
        """Read the parts of files in the sets of the run; None if the run does not record them.

        Raises
        ------
        InputError
            sources.json is damaged.
        """
        path = self.path / SOURCES
        return read_sources(path) if path.is_file() else None

    def splits(self, labeled: LabeledSegments) -> ProtocolFolds:
        """Read the split of the run, and check it against the segments of its store."""
        (split,) = load_splits(self.path / SPLITS, labeled)
        return split


def save_model(model: PreTrainedModel, folder: Path) -> None:
    """Write a model in the Hugging Face format.

    Raises
    ------
    MilmerError
        Writing failed, for example because the disk is full.
    """
    with (
        explain_write_errors(folder, "Free space on the disk, then run the same command again."),
        atomic_files(folder) as staged,
        quiet(),
    ):
        model.save_pretrained(staged)


def with_store_settings(settings: Settings, store: PreparedStore) -> Settings:
    """Replace the settings that were fixed when the store was prepared by those of the store.

    Raises
    ------
    SettingsError
        A requested ``eeg`` or ``faces`` setting differs from that of the store.
    """
    _check_store_settings(settings, store)
    resolved = settings.model_dump(mode="json")
    for section in STORE_SECTIONS:
        resolved[section] = {**resolved[section], **store.settings.get(section, {})}
    stored_data = store.settings.get("data", {})
    resolved["data"]["source"] = stored_data.get("source", resolved["data"]["source"])
    return Settings.model_validate(resolved)


def _check_store_settings(settings: Settings, store: PreparedStore) -> None:
    requested = settings.model_dump(mode="json", exclude_unset=True)
    for section in STORE_SECTIONS:
        prepared = store.settings.get(section, {})
        for name, value in requested.get(section, {}).items():
            if name in prepared and prepared[name] != value:
                raise SettingsError(
                    f"{section}.{name}={value} was requested, but the store {store.folder} was "
                    f"prepared with {prepared[name]}.",
                    "Use the value of the store, or prepare a store with that of the request.",
                )


def train_identity(settings: Settings, store: PreparedStore) -> dict[str, Any]:
    """Collect what determines the result of a training; see `begin_run`."""
    values = settings.model_dump(mode="json")
    sections = ("seed", "data", "eeg", "faces", "quality", "model", "train")
    return {**{name: values[name] for name in sections}, "store": store.fingerprint}


def describe_store(store: PreparedStore, segments: Segments) -> dict[str, Any]:
    """Collect the facts about a store that predict needs, as JSON values."""
    names = [str(name) for name in np.unique(segments.participant)]
    with_eeg = [p for p in map(store.participant, names) if p.channels]
    first = with_eeg[0] if with_eeg else store.participant(names[0])
    methods = Counter(method for p in with_eeg for method in p.notes.get("eog_method", ()))
    return {
        "folder": shareable(str(store.folder)),
        "data_set": store.data_set,
        "fingerprint": store.fingerprint,
        "participants": names,
        "segments": len(segments),
        "channels": list(first.channels),
        "cleaned": [p.participant for p in with_eeg if p.notes.get("preprocessed")],
        "eog_methods": dict(sorted(methods.items())),
        "sfreq": first.sfreq,
        "segment_s": first.segment_s,
        "instances": first.instances,
        "face_size": first.face_size,
        "detector": first.detector,
    }


@contextmanager
def locked_run(out: Path) -> Iterator[None]:
    """Lock a run folder. Of the processes of a distributed training, the first one does it.

    Raises
    ------
    InputError
        Another process writes a run into ``out``, or ``out`` is not writable.
    """
    is_main = PartialState().is_main_process
    with FolderLock(out, f"The run in {out} is being trained") if is_main else nullcontext():
        yield


def finish_run(
    out: Path,
    identity: Mapping[str, Any],
    seed: int,
    device: Device,
    class_names: tuple[str, ...],
    **facts: Any,
) -> None:
    """Write environment.json, and remove the marker of an unfinished run and the checkpoints.

    Without the marker the run is finished: if the process is killed then, `begin_run` removes the
    checkpoints.

    Parameters
    ----------
    out, identity
        The run folder, and what determines the result; as for `begin_run`.
    seed, device, class_names
        Recorded in environment.json.
    **facts
        Further entries of environment.json, as JSON values.
    """
    environment = {
        "versions": package_versions(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seed": seed,
        "device": device.describe(),
        "classes": list(class_names),
        **facts,
        DIGESTS: folder_checksums(out, MODEL_FILES),
        "identity": identity,
    }
    write_document(out / ENVIRONMENT, "run-environment", environment)
    (out / MARKER).unlink()
    remove_tree(out / CHECKPOINTS)


def read_result(out: Path, format_name: str, keys: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Read the metrics and the description of the device of a run that finished earlier.

    Parameters
    ----------
    out
        The run folder.
    format_name
        Format of the metrics, a key of `milmer_cli.formats.FORMATS`.
    keys
        Entries that the metrics must have.

    Raises
    ------
    InputError
        A file is missing or damaged.
    """
    hint = "Run the same command with --restart to train again."
    environment = read_document(out / ENVIRONMENT, "run-environment", ("device",), hint)
    return read_document(out / METRICS, format_name, keys, hint), str(environment["device"])
