"""The models that are compared in the same folds: the model itself, baselines, ablations."""

from __future__ import annotations

import difflib
import importlib.util
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from milmer_cli.errors import SettingsError
from milmer_cli.settings import Settings
from milmer_cli.settings.baseline_names import FACE, is_encoder, is_external, split_names
from milmer_cli.settings.load import with_overrides
from milmer_cli.settings.schema import Modalities

Method = Literal["network", "features", "fusion", "majority"]

MAIN = "Milmer"
MAJORITY, BAND_POWER = "majority class", "band power + LDA"
MEAN_POOLING = "mean pooling"
ALPHA_ASYMMETRY = "frontal alpha asymmetry"
COMBINED = ("eeg-only", "face-only")
"""Names of the baselines whose probabilities late fusion combines."""
ABLATION_SECTIONS = ("model", "train")
ASYMMETRY_PAIRS = (("F4", "F3"), ("F8", "F7"), ("AF4", "AF3"), ("Fp2", "Fp1"))
"""Right and left frontal electrodes of the alpha asymmetry."""


@dataclass(frozen=True)
class Baseline:
    """An entry of the catalog of baselines.

    Attributes
    ----------
    name
        Name for ``--baselines``.
    title
        Name in all tables.
    method
        How it is fitted: training a network; a classifier on features; combining the probabilities
        of other baselines; the class frequencies.
    reads
        Modalities that it needs; None if it reads no data.
    description
        What it is.
    overrides
        Settings by which a network differs from the model itself.
    features, classifier
        Names for `features.compute_features` and in `classifiers.CLASSIFIERS`.
    rule
        Name in `late_fusion.RULES`.
    package
        Python package of the extra ``baselines`` that it needs.
    network
        Name of a network that is not part of Milmer (`milmer_cli.models.eeg_network`).
    """

    name: str
    title: str
    method: Method
    reads: Modalities | None
    description: str
    overrides: tuple[str, ...] = ()
    features: str = ""
    classifier: str = ""
    rule: str = ""
    package: str = ""
    network: str = ""

    @property
    def trains_network(self) -> bool:
        """Whether a network is trained in each fold, for this baseline or for those it combines."""
        return self.method in ("network", "fusion")

    @property
    def installed(self) -> bool:
        """Whether the package that it needs is installed."""
        return not self.package or importlib.util.find_spec(self.package) is not None


# fmt: off
CATALOG = (
    Baseline("majority", MAJORITY, "majority", None, "class frequencies of the training set"),
    Baseline("band-power-lda", BAND_POWER, "features", "eeg",
             "log power in four bands, LDA with shrinkage",
             features="band power", classifier="LDA"),
    Baseline("de-lda", "differential entropy + LDA", "features", "eeg",
             "differential entropy in five bands, LDA with shrinkage",
             features="differential entropy", classifier="LDA"),
    Baseline("de-svm", "differential entropy + SVM", "features", "eeg",
             "differential entropy in five bands, calibrated SVM with a Gaussian kernel",
             features="differential entropy", classifier="SVM"),
    Baseline("riemann", "Riemannian tangent space + logistic regression", "features", "eeg",
             "covariance between channels in the tangent space at the Riemannian mean",
             features="covariance", classifier="tangent space + logistic regression",
             package="pyriemann"),
    Baseline("alpha-asymmetry", "frontal alpha asymmetry + logistic regression", "features", "eeg",
             "ln alpha power of right minus left frontal electrodes",
             features=ALPHA_ASYMMETRY, classifier="logistic regression"),
    Baseline("face-tokens", "mean face token + logistic regression", "features", "face",
             "mean token of the face backbone before training",
             features="mean face token", classifier="logistic regression"),
    Baseline(COMBINED[0], "EEG only", "network", "both", "the model with EEG only",
             overrides=("model.modalities=eeg",)),
    Baseline(COMBINED[1], "face only", "network", "both", "the model with faces only",
             overrides=("model.modalities=face",)),
    Baseline("mean-pooling", MEAN_POOLING, "network", "face",
             "the model with the mean of all faces instead of a selection",
             overrides=("model.selection=mean", "model.scorer=pooled")),
    Baseline("late-fusion", "late fusion (mean)", "fusion", "both",
             "mean of the calibrated probabilities of EEG only and face only", rule="mean"),
    Baseline("late-fusion-log", "late fusion (log-mean)", "fusion", "both",
             "normalized geometric mean of these probabilities", rule="log-mean"),
    Baseline("late-fusion-stacking", "late fusion (stacking)", "fusion", "both",
             "logistic regression on these probabilities, fitted on the validation set",
             rule="stacking"),
)
# fmt: on
"""All baselines, in the order of the tables."""
BASELINES = {baseline.name: baseline for baseline in CATALOG}
GROUPS: dict[str, tuple[str, ...]] = {
    "quick": ("majority", "band-power-lda"),
    "all": tuple(BASELINES),
    "none": (),
}
"""Names for ``--baselines`` that stand for several baselines."""
WITHOUT_NETWORK = tuple(b.title for b in CATALOG if not b.trains_network)
"""Titles of the baselines that train no network."""


@dataclass(frozen=True)
class ModelSpec:
    """One of the compared models.

    Attributes
    ----------
    name
        Name in all tables; `MAIN` for the model itself.
    method
        How it is fitted; see `Baseline`.
    settings
        Settings of a network, or those of the model itself for the other methods.
    baseline
        Entry of the catalog; None for the model itself and its ablations.
    """

    name: str
    method: Method
    settings: Settings
    baseline: Baseline | None = None

    @property
    def is_main(self) -> bool:
        """Whether this is the evaluated model itself."""
        return self.name == MAIN

    @property
    def network(self) -> str:
        """Name of a network that is not part of Milmer; empty for the others."""
        return self.baseline.network if self.baseline else ""

    @property
    def modalities(self) -> Modalities | None:
        """Modalities of which a segment needs at least one; None if the model reads no data."""
        if self.method == "network":
            return self.settings.model.modalities
        return self.baseline.reads if self.baseline else None


@dataclass(frozen=True)
class AvailableData:
    """What the baselines can read in a store.

    Attributes
    ----------
    has_eeg, has_faces
        Whether any segment has EEG, and any has faces.
    channels
        Names of the EEG channels; None if they are not known.
    """

    has_eeg: bool
    has_faces: bool
    channels: Sequence[str] | None = None


def model_specs(settings: Settings, data: AvailableData) -> list[ModelSpec]:
    """List the models selected by ``evaluate.baselines`` and ``evaluate.ablate``.

    Parameters
    ----------
    settings
        Resolved settings of the model itself, which is the first entry.
    data
        What the baselines can read.

    Raises
    ------
    SettingsError
        An entry of ``evaluate.ablate`` is invalid, or a baseline is unknown or cannot be used.
    """
    model = settings.model
    specs = [ModelSpec(MAIN, "network", settings)]
    for baseline in selected_baselines(settings):
        if not reason_unused(baseline, settings, data):
            changed = _override(settings, *baseline.overrides) if baseline.overrides else settings
            specs.append(ModelSpec(baseline.title, baseline.method, changed, baseline))
        elif baseline.name in _listed(settings):
            raise SettingsError(
                f"--baselines {baseline.name}: {reason_unused(baseline, settings, data)}.",
                "Leave it out; `milmer evaluate --list-baselines` shows what each one needs.",
            )
    for overrides in ablation_grid(settings.evaluate.ablate):
        changed = _override(settings, *overrides)
        if changed.model != model or changed.train != settings.train:
            name = ", ".join(override.partition(".")[2] for override in overrides)
            if changed.model.transductive and not model.transductive:
                name += " (TRANSDUCTIVE)"
            specs.append(ModelSpec(name, "network", changed))
    return specs


def selected_baselines(settings: Settings) -> list[Baseline]:
    """List the baselines that ``evaluate.baselines`` names, and those that they combine.

    Raises
    ------
    SettingsError
        A name is unknown.
    """
    names, external = set(), []
    for name in _listed(settings):
        if is_external(name):
            external.append(external_baseline(name))
        elif name not in BASELINES and name not in GROUPS:
            expected = (*GROUPS, *BASELINES)
            nearest = difflib.get_close_matches(name, expected, n=1)
            raise SettingsError(
                f"evaluate.baselines: expected {', '.join(GROUPS)} or names of baselines separated "
                f"by commas, got {name!r}.",
                (f"Did you mean {nearest[0]}? " if nearest else "")
                + "Run `milmer evaluate --list-baselines` for the names.",
            )
        else:
            names |= set(GROUPS.get(name, (name,)))
    if any(BASELINES[name].method == "fusion" for name in names):
        names |= set(COMBINED)
    return [*(baseline for baseline in CATALOG if baseline.name in names), *external]


def external_baseline(name: str) -> Baseline:
    """Return a network or a pretrained encoder that is not part of Milmer.

    Parameters
    ----------
    name
        ``braindecode:CLASS`` or ``MODULE:CLASS`` for a network, ``braindecode:CLASS@WEIGHTS`` or
        ``face:WEIGHTS`` for an encoder.
    """
    reads: Modalities = "face" if name.startswith(f"{FACE}:") else "eeg"
    if is_encoder(name):
        return Baseline(
            name,
            f"{name} + logistic regression",
            "features",
            reads,
            "mean token of a pretrained encoder",
            features=name,
            classifier="logistic regression",
        )
    return Baseline(
        name,
        name,
        "network",
        reads,
        "a network for EEG, trained like the model",
        overrides=(f"model.modalities={reads}",),
        network=name,
    )


def baselines_left_out(settings: Settings, data: AvailableData) -> dict[str, str]:
    """Return the baselines of a group, such as ``all``, that are not used, with the reason."""
    reasons = {b.title: reason_unused(b, settings, data) for b in selected_baselines(settings)}
    return {title: reason for title, reason in reasons.items() if reason}


def reason_unused(baseline: Baseline, settings: Settings, data: AvailableData) -> str:
    """Return why a baseline cannot be used with some settings and data; empty if it can."""
    model, reads = settings.model, baseline.reads
    if not baseline.installed:
        install = "pip install 'milmer-cli[baselines]'"
        return f"needs {baseline.package}, which is not installed ({install})"
    for modality, found in (("eeg", data.has_eeg), ("face", data.has_faces)):
        if reads in (modality, "both") and not (found and model.modalities in (modality, "both")):
            return f"needs {'EEG' if modality == 'eeg' else 'faces'} that the model reads"
    if baseline.title == MEAN_POOLING and model.selection == "mean":
        return "is the model itself, because of model.selection=mean"
    if baseline.features == ALPHA_ASYMMETRY and not asymmetry_pairs(data.channels):
        return "needs a pair of frontal electrodes, for example F3 and F4"
    if baseline.rule == "stacking" and settings.evaluate.select_epoch_on == "test":
        return "needs a validation set, and evaluate.select_epoch_on is test"
    return ""


def asymmetry_pairs(channels: Sequence[str] | None) -> list[tuple[int, int]]:
    """Return the indices of the right and left electrodes of `ASYMMETRY_PAIRS` that are present.

    Without channel names the pairs themselves are regarded as the channels.
    """
    if channels is None:
        channels = [name for pair in ASYMMETRY_PAIRS for name in pair]
    index = {name.casefold(): number for number, name in enumerate(channels)}
    return [
        (index[right.casefold()], index[left.casefold()])
        for right, left in ASYMMETRY_PAIRS
        if right.casefold() in index and left.casefold() in index
    ]


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


def _listed(settings: Settings) -> list[str]:
    return split_names(settings.evaluate.baselines)


def _override(settings: Settings, *overrides: str) -> Settings:
    return with_overrides(settings, overrides, "--ablate")
