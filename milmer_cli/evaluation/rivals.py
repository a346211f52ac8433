"""The model, its baselines and the grid of an ablation: all that is compared in the same folds."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

from milmer_cli.errors import SettingsError
from milmer_cli.settings import Settings
from milmer_cli.settings.load import with_overrides

Kind = Literal["network", "lda", "majority"]

MAIN = "Milmer"
MAJORITY, BAND_POWER = "majority class", "band power + LDA"
SINGLE = {"EEG only": "model.modalities=eeg", "face only": "model.modalities=face"}
MEAN = "mean pooling"
ABLATED = ("model", "train")


@dataclass(frozen=True)
class Rival:
    """One of the models that are compared.

    Attributes
    ----------
    name
        What it is called on the page.
    kind
        How it is fitted.
    settings
        Of a network; the others read ``data`` only.
    """

    name: str
    kind: Kind
    settings: Settings


def rivals(settings: Settings, has_eeg: bool, has_faces: bool) -> list[Rival]:
    """List what ``evaluate.baselines`` and ``evaluate.ablate`` ask for; the model itself first.

    Parameters
    ----------
    settings
        As resolved for the model.
    has_eeg, has_faces
        What the store holds.

    Raises
    ------
    SettingsError
        An entry of ``evaluate.ablate`` is not of the form ``section.key=A,B``.
    """
    asked = settings.evaluate.baselines
    found = [Rival(MAIN, "network", settings)]
    if asked != "none":
        found.append(Rival(MAJORITY, "majority", settings))
        if has_eeg and settings.model.modalities != "face":
            found.append(Rival(BAND_POWER, "lda", settings))
    if asked == "all":
        if settings.model.modalities == "both" and has_eeg and has_faces:
            found += [Rival(name, "network", _changed(settings, t)) for name, t in SINGLE.items()]
        if settings.model.modalities != "eeg" and has_faces and settings.model.selection != "mean":
            changed = _changed(settings, "model.selection=mean", "model.scorer=pooled")
            found.append(Rival(MEAN, "network", changed))
    for texts in grid(settings.evaluate.ablate):
        changed = _changed(settings, *texts)
        if changed.model != settings.model or changed.train != settings.train:
            name = ", ".join(text.partition("=")[0].partition(".")[2] + "=" + v for text, v in
                             ((text, text.partition("=")[2]) for text in texts))  # fmt: skip
            found.append(Rival(name, "network", changed))
    return found


def grid(entries: tuple[str, ...]) -> list[tuple[str, ...]]:
    """All combinations of ``section.key=A,B`` entries, each as ``section.key=A`` texts.

    Raises
    ------
    SettingsError
        An entry has another form, another section, or no two values.
    """
    axes = []
    for entry in entries:
        key, _, values = entry.partition("=")
        choices = list(dict.fromkeys(part.strip() for part in values.split(",") if part.strip()))
        if key.strip().partition(".")[0] not in ABLATED or not choices:
            raise SettingsError(
                f"--ablate {entry} cannot be compared in the same folds.",
                "Write it as --ablate model.fusion=none,mlp; sections model and train can vary.",
            )
        axes.append([f"{key.strip()}={choice}" for choice in choices])
    return list(itertools.product(*axes)) if axes else []


def _changed(settings: Settings, *texts: str) -> Settings:
    return with_overrides(settings, texts, "--ablate")
