"""`Bundle`: a trained model with everything that a prediction needs, and nothing else.

Nothing in a bundle is executed: the weights are safetensors, all other files are JSON. Every file
is compared with its SHA-256 before it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from milmer_cli.bundle.document import (
    CONFIG,
    DOCUMENT,
    HINT,
    METRICS,
    SOURCES,
    WEIGHTS,
    BundleDocument,
    TrainingFacts,
)
from milmer_cli.bundle.files import BundleFiles, open_files
from milmer_cli.bundle.model_names import EXPECTED
from milmer_cli.bundle.sources import UsedTrial, sources_from_json
from milmer_cli.errors import InputError, WeightsError, shorten
from milmer_cli.formats import check_version
from milmer_cli.json_files import parse_json, require_object
from milmer_cli.models import MilmerConfig, MilmerModel
from milmer_cli.models.backbones import model_of_weights
from milmer_cli.models.pretrained_files import known_config
from milmer_cli.settings import Settings

SYNTHETIC = (
    "This model was trained on synthetic data: its predictions have no meaning, and only show how "
    "the program works."
)
"""Warning of every prediction with such a model."""
_EQUAL_SETTINGS = ("modalities", "eeg_amplitude", "eeg_alignment", "eeg_alignment_scope")
"""Settings of the model that bundle.json and config.json both state."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """An opened bundle.

    Attributes
    ----------
    path
        Folder or zip file.
    name
        What results call it: the path, or ``hf:USER/NAME@COMMIT`` of the Hugging Face Hub.
    document
        The contents of bundle.json.
    settings
        Settings of the model: ``data`` (classes), ``eeg``, ``faces`` with the detector that was
        used, ``quality``, ``model`` and ``train``.
    """

    path: Path
    name: str
    document: BundleDocument
    settings: Settings

    @classmethod
    def open(cls, path: Path | str, name: str = "") -> Self:
        """Open a bundle.

        Parameters
        ----------
        path
            Folder or zip file.
        name
            As the attribute; empty for the path.

        Raises
        ------
        InputError
            There is no bundle, it is damaged, or it is of a newer format.
        """
        path = Path(path)
        files = open_files(path)
        if DOCUMENT not in files.names():
            raise InputError(f"{path} is not a bundle: it has no {DOCUMENT}.", EXPECTED)
        where = files.where(DOCUMENT)
        document = BundleDocument.from_json(parse_json(files.read(DOCUMENT), where, HINT), where)
        for required in (CONFIG, WEIGHTS, METRICS):
            if required not in (document.files or {}):
                raise InputError(f"{where} is damaged: it lists no {required}.", HINT)
        return cls(path, name or str(path), document, document.settings)

    def with_settings(self, settings: Settings) -> Self:
        """Return the bundle with other settings."""
        return replace(self, settings=settings)

    @cached_property
    def files(self) -> BundleFiles:
        """The files."""
        return open_files(self.path)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.document.class_names

    @property
    def label_rule(self) -> str:
        """One sentence on how ratings were converted to classes."""
        return self.document.label_rule

    @property
    def channels(self) -> tuple[str, ...]:
        """EEG channels, in the order that the model expects."""
        return self.document.channels

    @property
    def sfreq(self) -> float:
        """Sampling rate of the EEG, in Hz."""
        return self.settings.eeg.sfreq_hz

    @property
    def segment_s(self) -> float:
        """Length of a segment, in seconds."""
        return self.settings.eeg.segment_s

    @property
    def instances(self) -> int:
        """Number of face images per segment."""
        return self.settings.faces.instances

    @property
    def face_size(self) -> int:
        """Width and height of a face image, in pixels."""
        return self.settings.faces.image_size

    @property
    def protocol(self) -> str:
        """What the training, validation and test sets do not share."""
        return self.settings.train.protocol

    @property
    def training(self) -> TrainingFacts:
        """Numbers about the training data."""
        return self.document.training

    @property
    def synthetic(self) -> bool:
        """Whether the model was trained on synthetic data; see `SYNTHETIC`."""
        return self.document.synthetic

    @property
    def weights_digest(self) -> str:
        """SHA-256 of the weights."""
        return (self.document.files or {})[WEIGHTS]

    @property
    def digest(self) -> str:
        """SHA-256 of bundle.json, and with it of all files: equal for a copy in another place."""
        return self.document.stated_digest

    def metrics(self) -> dict[str, Any]:
        """Read metrics.json; see `milmer_cli.bundle.write.bundle_metrics`.

        Raises
        ------
        InputError
            The file is missing or damaged.
        """
        metrics = require_object(
            self._read_json(METRICS), self.files.where(METRICS), ("headline",), HINT
        )
        check_version(self.files.where(METRICS), "bundle-metrics", metrics)
        return metrics

    def sources(self) -> list[UsedTrial] | None:
        """Read the parts of files in the sets of the model; None if it does not record them.

        Raises
        ------
        InputError
            sources.json is missing or damaged.
        """
        if SOURCES not in (self.document.files or {}):
            return None
        return sources_from_json(self._read_json(SOURCES), self.files.where(SOURCES), HINT)

    def load_model(self) -> MilmerModel:
        """Load the model, in evaluation mode.

        Raises
        ------
        InputError
            The weights are missing or damaged, or do not match config.json or bundle.json.
        """
        origin = self.files.where(CONFIG)
        config = known_config(self._read_json(CONFIG), origin)
        self.require_intact(WEIGHTS)
        model: MilmerModel = model_of_weights(
            MilmerModel, config, self.files.weights(), str(self.path)
        )
        for expected, got in self._contradictions(model.config):
            raise InputError(
                f"{self.files.where(DOCUMENT)} does not belong to the model: expected {expected}, "
                f"got {got}.",
                HINT,
            )
        return model

    def verify(self) -> None:
        """Compare all files with their digests.

        Raises
        ------
        InputError
            A file is missing or has changed.
        """
        for name in self.document.files or {}:
            self.require_intact(name)

    def require_intact(self, name: str) -> None:
        """Compare one file with its digest; errors are those of `verify`."""
        self._require_digest(name, self.files.digest(name))

    def _require_digest(self, name: str, got: str) -> None:
        if got != (self.document.files or {}).get(name):
            raise WeightsError(f"{self.path} is damaged: {name} changed since the training.", HINT)

    def _read_json(self, name: str) -> Any:
        content = self.files.read(name)
        self._require_digest(name, hashlib.sha256(content).hexdigest())
        return parse_json(content, self.files.where(name), HINT)

    def _contradictions(self, config: MilmerConfig) -> Iterator[tuple[str, str]]:
        """Yield what does not belong to the model: expected and given value."""
        if round(self.segment_s * self.sfreq) != config.n_samples:
            got = f"{self.segment_s:g} s at {self.sfreq:g} Hz"
            yield f"segments of {config.n_samples} samples", got
        if len(self.channels) not in (0, config.n_channels):  # none without EEG
            yield f"{config.n_channels} EEG channels", str(len(self.channels))
        if len(self.class_names) != config.num_labels:
            yield f"{config.num_labels} classes", str(len(self.class_names))
        elif self.class_names != config.class_names:  # in another order
            yield f"the classes {shorten(config.class_names)}", shorten(self.class_names)
        if config.modalities != "eeg" and self.instances != config.num_instances:
            yield f"{config.num_instances} face images", str(self.instances)
        for name in _EQUAL_SETTINGS:
            of_model, stated = getattr(config, name), getattr(self.settings.model, name)
            if of_model != stated:
                yield f"model.{name}={of_model}", str(stated)
        given: Mapping[str, float] = self.document.temperatures
        if given and dict(given) != config.temperatures:
            yield f"the temperatures {config.temperatures}", str(dict(given))
