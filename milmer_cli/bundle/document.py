"""bundle.json: everything about a model that the preprocessing of a recording needs.

::

    format          version of the format
    milmer          version of Milmer that trained the model
    synthetic       whether the model was trained on synthetic data, so that its output is no result
    classes         names of the classes, in the order of the logits
    label_rule      how ratings were converted to classes, one sentence
    temperatures    temperature of the calibration, by modalities
    channels        EEG channels, in the order that the model expects; none without EEG
    settings        settings of the preprocessing, the quality rule, the labels, the model and the
                    training, without names of files and participants
    training        numbers of participants, segments and recordings of each kind
    fingerprints    of the store and of the split
    files           SHA-256 of every other file that a prediction reads
    digest          SHA-256 of all of the above

The model card and its figure have no digest: they are text for people, which an author edits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import milmer_cli
from milmer_cli.digests import digest
from milmer_cli.errors import InputError, SettingsError, first_line
from milmer_cli.formats import FORMATS, KEY, check_version
from milmer_cli.json_files import require_object
from milmer_cli.settings import Settings
from milmer_cli.settings.load import settings_of
from milmer_cli.weights.local_backbones import is_scratch, own_folder

DOCUMENT, CONFIG, WEIGHTS = "bundle.json", "config.json", "model.safetensors"
METRICS, SOURCES = "metrics.json", "sources.json"
CARD, CALIBRATION = "README.md", "calibration.png"
DIGESTED = (CONFIG, WEIGHTS, METRICS, SOURCES)
"""Files with a digest; a model of which no files are known has no sources.json."""
FILES = (DOCUMENT, *DIGESTED, CARD, CALIBRATION)
"""All files of a bundle; others are never read."""
HINT = "Restore it from a copy of the bundle, or train again."
_KEPT: Mapping[str, tuple[str, ...]] = {"data": ("source", "target", "threshold", "ties")}
"""Settings of a section that are stored where the others can name files or participants."""
_LEFT_OUT: Mapping[str, tuple[str, ...]] = {"faces": ("weights_dir",)}
SECTIONS = ("data", "eeg", "faces", "quality", "model", "train")
LOCAL_BACKBONE = "local folder"
"""Stands for a backbone that was read from a folder, whose path is not stored."""


@dataclass(frozen=True)
class TrainingFacts:
    """Numbers about the training data.

    Attributes
    ----------
    participants, segments
        Numbers of participants, and of segments in the three sets.
    cleaned
        Number of participants whose EEG was cleaned by the authors of the data set.
    eog_methods
        Method of removing eye artifacts -> number of recordings.
    """

    participants: int = 0
    segments: int = 0
    cleaned: int = 0
    eog_methods: Mapping[str, int] | None = None


@dataclass(frozen=True)
class BundleDocument:
    """The contents of bundle.json.

    Attributes
    ----------
    class_names, label_rule, temperatures, channels, settings, training, fingerprints, synthetic
        See the docstring of this module.
    files
        Name -> SHA-256.
    milmer
        Version of Milmer.
    stated_digest
        The digest in the bundle.json that was read; empty for a document that was not read.
    """

    class_names: tuple[str, ...]
    label_rule: str
    temperatures: Mapping[str, float]
    channels: tuple[str, ...]
    settings: Settings
    training: TrainingFacts
    fingerprints: Mapping[str, str]
    synthetic: bool = False
    files: Mapping[str, str] | None = None
    milmer: str = milmer_cli.__version__
    stated_digest: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the contents of bundle.json."""
        document = {
            KEY: FORMATS["bundle"].version,
            "milmer": self.milmer,
            "synthetic": self.synthetic,
            "classes": list(self.class_names),
            "label_rule": self.label_rule,
            "temperatures": dict(self.temperatures),
            "channels": list(self.channels),
            "settings": stored_settings(self.settings),
            "training": {
                "participants": self.training.participants,
                "segments": self.training.segments,
                "cleaned": self.training.cleaned,
                "eog_methods": dict(self.training.eog_methods or {}),
            },
            "fingerprints": dict(self.fingerprints),
            "files": dict(self.files or {}),
        }
        return seal(document)

    @classmethod
    def from_json(cls, content: Any, where: str) -> BundleDocument:
        """Convert the result of `to_json` back.

        Parameters
        ----------
        content
            A JSON document.
        where
            Where it comes from, for messages.

        Raises
        ------
        InputError
            The document is of a newer format, or damaged.
        """
        document = require_object(content, where, ("format",), HINT)
        check_version(where, "bundle", document)
        require_object(document, where, (*_CHECKS, "digest"), HINT)
        for name, (is_valid, expected) in _CHECKS.items():
            if not is_valid(document[name]):
                raise InputError(
                    f"{where} is damaged: {name}: expected {expected}, got "
                    f"{str(document[name])[:60]}.",
                    HINT,
                )
        if document["digest"] != _digest_of(document):
            raise InputError(f"{where} is damaged: it changed since it was written.", HINT)
        training = document["training"]
        return cls(
            class_names=tuple(document["classes"]),
            label_rule=document["label_rule"],
            temperatures=document["temperatures"],
            channels=tuple(document["channels"]),
            settings=_read_settings(document["settings"], where),
            training=TrainingFacts(**training),
            fingerprints=document["fingerprints"],
            synthetic=document["synthetic"],
            files=document["files"],
            milmer=document["milmer"],
            stated_digest=document["digest"],
        )


def seal(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contents of bundle.json with their digest."""
    content = {name: value for name, value in document.items() if name != "digest"}
    return {**content, "digest": digest(content, length=64)}


def _digest_of(document: Mapping[str, Any]) -> str:
    try:
        return str(seal(document)["digest"])
    except RecursionError:  # values that are nested too deeply for the encoder
        return ""


def stored_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that a bundle states, as JSON values: no names of files or people."""
    values = settings.model_dump(mode="json", include=set(SECTIONS))
    for section, names in _KEPT.items():
        values[section] = {name: values[section][name] for name in names}
    for section, names in _LEFT_OUT.items():
        values[section] = {k: v for k, v in values[section].items() if k not in names}
    backbone = settings.model.backbone
    if not is_scratch(backbone) and (own_folder(backbone) or backbone.count("/") != 1):
        values["model"]["backbone"] = LOCAL_BACKBONE
    return values


def training_fingerprint(settings: Settings) -> str:
    """Return a digest that is equal for models of equal classes that were trained in the same way.

    The protocol and the fraction of the test set do not count: they select the data.
    """
    stored = stored_settings(settings)
    train = {k: v for k, v in stored["train"].items() if k not in ("protocol", "test_fraction")}
    return digest(stored["data"], stored["quality"], stored["model"], train)


def _read_settings(sections: dict[str, Any], where: str) -> Settings:
    try:
        if unknown := sorted(set(sections) - set(SECTIONS)):
            raise SettingsError(f"unknown section {unknown[0]}")
        return settings_of(sections, where)
    except SettingsError as error:
        problem = first_line(Exception(error.message)).rstrip(".")
        raise InputError(f"{where} is damaged: {problem}.", HINT) from error


# Checks of values -------------------------------------------------------------------------------


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_names(value: object) -> bool:
    """Whether a value is a list of different names."""
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        return False
    return len(set(value)) == len(value)


def _is_positive(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value > 0  # type: ignore[arg-type,operator]


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_texts(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _is_file_digests(value: object) -> bool:
    """Whether a value names files of a bundle only, with their SHA-256."""
    return _is_texts(value) and isinstance(value, dict) and set(value) <= set(DIGESTED)


def _is_temperatures(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_positive, value.values()))


def _is_training(value: object) -> bool:
    counts = ("participants", "segments", "cleaned")
    return (
        isinstance(value, dict)
        and set(value) == {*counts, "eog_methods"}
        and all(_is_count(value[name]) for name in counts)
        and isinstance(value["eog_methods"], dict)
        and all(map(_is_count, value["eog_methods"].values()))
    )


Check = tuple[Callable[[object], bool], str]
_CHECKS: Mapping[str, Check] = {
    "milmer": (_is_text, "a version"),
    "synthetic": (lambda value: isinstance(value, bool), "true or false"),
    "classes": (lambda value: _is_names(value) and bool(value), "a list of different names"),
    "label_rule": (_is_text, "a sentence"),
    "temperatures": (_is_temperatures, "positive numbers by modalities"),
    "channels": (_is_names, "a list of different names"),
    "settings": (
        lambda value: (
            isinstance(value, dict) and all(isinstance(section, dict) for section in value.values())
        ),
        "sections of settings",
    ),
    "training": (_is_training, "counts of the training data"),
    "fingerprints": (_is_texts, "digests by name"),
    "files": (_is_file_digests, f"digests of {', '.join(DIGESTED)}"),
}
