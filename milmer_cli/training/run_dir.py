"""The run folder: the model as a bundle, and everything else that evaluate needs from a training.

::

    settings-requested.yaml          settings as requested
    settings.yaml                    resolved settings, with eeg and faces of the store
    splits.json                      segments of the training, validation and test set
    model/                           the bundle from which predict predicts (`milmer_cli.bundle`)
    history.csv  learning-curve.png  metrics of every epoch
    metrics.json                     scores on the test set, with their protocol
    environment.json                 versions, seed, device, store, participants
    checkpoints/                     during training only
    tensorboard/                     logs, if TensorBoard is installed
    log.txt                          command lines and messages

A folder that contains `MARKER` is a run that has not finished; see `begin_run`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState
from transformers import PreTrainedModel

from milmer_cli.bundle.contents import Bundle
from milmer_cli.bundle.document import BundleDocument, TrainingFacts
from milmer_cli.bundle.model_names import MODEL, require_finished
from milmer_cli.bundle.resolve import open_run_bundle
from milmer_cli.bundle.sources import UsedTrial
from milmer_cli.bundle.write import bundle_metrics, write_bundle
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import describe_label_rule
from milmer_cli.data.split_file import ProtocolFolds, load_splits
from milmer_cli.data.splits import Fold
from milmer_cli.device import Device
from milmer_cli.digests import digest
from milmer_cli.errors import InputError, SettingsError
from milmer_cli.folder_lock import FolderLock
from milmer_cli.formats import read_document, write_document
from milmer_cli.io import atomic_files
from milmer_cli.models import MilmerModel
from milmer_cli.models.library_messages import quiet
from milmer_cli.partial_files import remove_tree
from milmer_cli.run_log import shareable
from milmer_cli.settings import Settings, load_settings
from milmer_cli.settings.schema import STORE_SECTIONS
from milmer_cli.store import PreparedStore, Segments
from milmer_cli.training.checkpoints import explain_write_errors
from milmer_cli.training.run_environment import package_versions
from milmer_cli.training.run_marker import MARKER

SETTINGS, REQUESTED_SETTINGS = "settings.yaml", "settings-requested.yaml"
SPLITS = "splits.json"
ENVIRONMENT, METRICS, HISTORY = "environment.json", "metrics.json", "history.csv"
CURVE = "learning-curve.png"
CHECKPOINTS, TENSORBOARD = "checkpoints", "tensorboard"
FILES = (SETTINGS, REQUESTED_SETTINGS, SPLITS, METRICS, HISTORY, CURVE, MODEL, TENSORBOARD)
"""What a training writes besides environment.json and the checkpoints."""
_LOCAL = ("weights_dir",)
"""Settings that differ between machines."""
_TRAIN_AGAIN = "Restore the file from a copy of the run, or train again."


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
    bundle
        The model.
    """

    path: Path
    settings: Settings
    environment: Mapping[str, Any]
    bundle: Bundle

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Open a run folder.

        Raises
        ------
        InputError
            The folder is not a run folder, is damaged, or contains a run that has not finished.
        """
        path = Path(path)
        require_finished(path)
        if missing := [
            name for name in (SETTINGS, ENVIRONMENT, SPLITS) if not (path / name).is_file()
        ]:
            raise InputError(
                f"{path} is not a run folder: it has no {missing[0]}.",
                "Give a folder that `milmer train` wrote.",
            )
        bundle = open_run_bundle(path)
        environment = read_document(path / ENVIRONMENT, "run-environment", ("store",), _TRAIN_AGAIN)
        settings = load_settings(file=path / SETTINGS)
        # `auto` must not choose another detector on a machine with other weights
        faces = settings.faces.model_copy(
            update={"detector": bundle.settings.faces.detector},
        )
        return cls(path, settings.model_copy(update={"faces": faces}), environment, bundle)

    def load_model(self) -> MilmerModel:
        """Load the model, in evaluation mode.

        Raises
        ------
        InputError
            As `Bundle.load_model`, or settings.yaml is not that of the model.
        """
        for section in STORE_SECTIONS:
            own, of_model = getattr(self.settings, section), getattr(self.bundle.settings, section)
            for name, expected in of_model.model_dump(mode="json").items():
                got = own.model_dump(mode="json")[name]
                if got != expected and name not in _LOCAL:
                    raise InputError(
                        f"{self.path / SETTINGS} does not belong to the model: {section}.{name}: "
                        f"expected {expected}, got {got}.",
                        _TRAIN_AGAIN,
                    )
        return self.bundle.load_model()

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
        explain_write_errors(folder),
        atomic_files(folder) as staged,
        quiet(),
    ):
        model.save_pretrained(staged)


def save_bundle(
    folder: Path,
    model: MilmerModel,
    document: BundleDocument,
    metrics: Mapping[str, Any],
    used: Sequence[UsedTrial],
    draw_calibration: Callable[[Path], object] | None,
) -> None:
    """Write the bundle of a run; parameters are those of `write_bundle`.

    Raises
    ------
    MilmerError
        Writing failed, for example because the disk is full.
    """
    with explain_write_errors(folder):
        write_bundle(folder, model, document, bundle_metrics(metrics), used, draw_calibration)


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
    """Collect what environment.json states about a store, as JSON values."""
    return {
        "folder": shareable(str(store.folder)),
        "data_set": store.data_set,
        "participants": [str(name) for name in np.unique(segments.participant)],
    }


def bundle_document(labeled: LabeledSegments, fold: Fold, settings: Settings) -> BundleDocument:
    """Collect what bundle.json states, without digests and temperatures.

    Parameters
    ----------
    labeled, fold
        The segments and their split.
    settings
        Resolved settings of the training.
    """
    store, segments = labeled.store, labeled.segments
    participants = [store.participant(str(name)) for name in np.unique(segments.participant)]
    with_eeg = [participant for participant in participants if participant.channels]
    first = (with_eeg or participants)[0]
    eeg = settings.eeg.model_copy(update={"sfreq_hz": first.sfreq, "segment_s": first.segment_s})
    faces = settings.faces.model_copy(
        update={
            "instances": first.instances,
            "image_size": first.face_size,
            # `auto` must not choose another detector on a machine with other weights
            "detector": first.detector or settings.faces.detector,
        }
    )
    split = digest(labeled.fingerprint, dict(fold.sets()))
    methods = Counter(method for p in with_eeg for method in p.notes.get("eog_method", ()))
    return BundleDocument(
        class_names=labeled.class_names,
        label_rule=describe_label_rule(settings.data),
        temperatures={},
        channels=first.channels,
        settings=settings.model_copy(update={"eeg": eeg, "faces": faces}),
        training=TrainingFacts(
            participants=len(participants),
            segments=len(segments),
            cleaned=sum(bool(p.notes.get("preprocessed")) for p in with_eeg),
            eog_methods=dict(sorted(methods.items())),
        ),
        fingerprints={"store": store.fingerprint, "split": split},
        synthetic=any(p.notes.get("synthetic", False) for p in participants),
    )


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
    **facts: Any,
) -> None:
    """Write environment.json, and remove the marker of an unfinished run and the checkpoints.

    Without the marker the run is finished: if the process is killed then, `begin_run` removes the
    checkpoints.

    Parameters
    ----------
    out, identity
        The run folder, and what determines the result; as for `begin_run`.
    seed, device
        Recorded in environment.json.
    **facts
        Further entries of environment.json, as JSON values.
    """
    environment = {
        "versions": package_versions(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seed": seed,
        "device": device.describe(),
        **facts,
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
