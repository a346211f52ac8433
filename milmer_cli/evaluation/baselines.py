"""The models that are compared in the same folds: the model itself, baselines, ablations."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from milmer_cli.errors import SettingsError
from milmer_cli.io import shorten
from milmer_cli.settings import Settings
from milmer_cli.settings.baseline_names import is_external, split_names
from milmer_cli.settings.load import with_overrides
from milmer_cli.settings.schema import Modalities

Method = Literal["network", "lda", "majority", "encoder"]

MAIN = "Milmer"
MAJORITY, BAND_POWER = "majority class", "band power + LDA"
SINGLE_MODALITY = {"EEG only": "model.modalities=eeg", "face only": "model.modalities=face"}
MEAN_POOLING = "mean pooling"
ABLATION_SECTIONS = ("model", "train")
GROUPS = ("quick", "all", "none")


@dataclass(frozen=True)
class ModelSpec:
    """One of the compared models.

    Attributes
    ----------
    name
        Name in all tables; `MAIN` for the model itself.
    method
        How it is fitted: training a network, LDA on band power, the majority class, or a linear
        classifier on the features of a pretrained encoder.
    settings
        Settings of a network or an encoder; the other methods do not read them.
    source
        Name of a network or an encoder that is not part of Milmer.
    """

    name: str
    method: Method
    settings: Settings
    source: str = ""

    @property
    def is_main(self) -> bool:
        """Whether this is the evaluated model itself."""
        return self.name == MAIN

    @property
    def modalities(self) -> Modalities | None:
        """Modalities of which a segment needs at least one; None if the model reads no data."""
        if self.method in ("network", "encoder"):
            return self.settings.model.modalities
        return "eeg" if self.method == "lda" else None


def model_specs(settings: Settings, has_eeg: bool, has_faces: bool) -> list[ModelSpec]:
    """List the models selected by ``evaluate.baselines`` and ``evaluate.ablate``.

    Parameters
    ----------
    settings
        Resolved settings of the model itself, which is the first entry.
    has_eeg, has_faces
        Whether the store contains any EEG and any faces.

    Raises
    ------
    SettingsError
        An entry of ``evaluate.baselines`` or ``evaluate.ablate`` is invalid.
    """
    names, model = split_names(settings.evaluate.baselines), settings.model
    _check_groups([name for name in names if not is_external(name)])
    specs = [ModelSpec(MAIN, "network", settings)]
    if {"quick", "all"} & set(names):
        specs.append(ModelSpec(MAJORITY, "majority", settings))
        if has_eeg and model.modalities != "face":
            specs.append(ModelSpec(BAND_POWER, "lda", settings))
    if "all" in names:
        if model.modalities == "both" and has_eeg and has_faces:
            specs += [
                ModelSpec(name, "network", _override(settings, override))
                for name, override in SINGLE_MODALITY.items()
            ]
        if model.modalities != "eeg" and has_faces and model.selection != "mean":
            changed = _override(settings, "model.selection=mean", "model.scorer=pooled")
            specs.append(ModelSpec(MEAN_POOLING, "network", changed))
    for overrides in ablation_grid(settings.evaluate.ablate):
        changed = _override(settings, *overrides)
        if changed.model != model or changed.train != settings.train:
            name = ", ".join(override.partition(".")[2] for override in overrides)
            specs.append(ModelSpec(name, "network", changed))
    return specs


def _check_groups(names: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in GROUPS]:
        raise SettingsError(
            f"evaluate.baselines: expected {', '.join(GROUPS)}, braindecode:CLASS, "
            "braindecode:CLASS@WEIGHTS, face:WEIGHTS or MODULE:CLASS, separated by commas, got "
            f"{shorten(unknown, 3)}.",
            "For example --baselines quick,braindecode:EEGNet.",
        )


def ablation_grid(entries: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Expand entries of the form ``section.key=A,B`` to all combinations of ``section.key=A``.

    Raises
    ------
    SettingsError
        An entry has another form, a section other than model and train, or no value.
    """
    axes = []
    for entry in entries:
        key, _, text = entry.partition("=")
        values = dict.fromkeys(value.strip() for value in text.split(",") if value.strip())
        if key.strip().partition(".")[0] not in ABLATION_SECTIONS or not values:
            raise SettingsError(
                f"--ablate {entry}: expected section.key=A,B with the section model or train.",
                "For example --ablate model.fusion=none,mlp.",
            )
        axes.append([f"{key.strip()}={value}" for value in values])
    return list(itertools.product(*axes)) if axes else []


def _override(settings: Settings, *overrides: str) -> Settings:
    return with_overrides(settings, overrides, "--ablate")
