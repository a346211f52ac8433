"""The model card of a bundle (README.md): use, data, scores, citation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from milmer_cli.bundle.document import (
    CALIBRATION,
    LOCAL_BACKBONE,
    WEIGHTS,
    BundleDocument,
    training_fingerprint,
)
from milmer_cli.errors import InputError
from milmer_cli.formats import read_document
from milmer_cli.references import PAPER, SOFTWARE, Reference

_CARD = """---
library_name: milmer
tags: [{tags}]
---

# Emotion model for {inputs}

Trained with Milmer {version}. For each segment of {segment_s:g} s, the model estimates the
probability of {n_classes} classes: {classes}.
{synthetic}
## Intended use

Research on affective computing and human-computer interaction: group-level questions, comparisons
of methods, and teaching, with recordings like those of the training data and with the informed
consent of the participants.

## Out-of-scope use

This model is not for judging people. Do not use it for decisions about a person: in recruitment,
at work, in education, in medicine, in policing, at borders, in insurance or in advertising. It does
not measure what a person feels; it estimates what participants would have rated. Inferring emotions
of people at work or in education is prohibited in the European Union except for medical or safety
reasons (Regulation 2024/1689, Article 5).

## Data

{data}

Label rule: {label_rule}

## Results

{headline}

The line states the protocol (what the test set does not share with the training set), the interval
and the rate of the majority class. {transductive}{chance}

| input | result on the test set |
|---|---|
{modalities}

{calibration}

## Shortcuts

{verdict}

## Preprocessing

{preprocessing}

`milmer predict` applies all of this; see `bundle.json` for every value.

## Use

```python
from milmer_cli import load_model  # pip install milmer-cli
model = load_model("FOLDER")  # also FILE.zip and hf:USER/NAME
result = model.predict("face.mp4", "eeg.bdf", out="prediction")
```

## Citation

```bibtex
{citation}
```

Cite the data set of the training data as well.
"""

_SYNTHETIC = """
**The training data are synthetic. The output of this model has no meaning; it only shows how the
program works.**
"""
_INPUTS = {"both": "EEG and face video", "eeg": "EEG", "face": "face video"}
_TAGS = {"both": ["eeg", "face"], "eeg": ["eeg"], "face": ["face"]}
_ROWS = {"eeg": "EEG alone", "face": "face video alone"}
_NOT_COMPUTED = (
    "The shortcut verdict has not been computed: whether the accuracy can be explained by "
    "recognizing participants or stimuli is not known. `milmer evaluate --prepared STORE "
    "--settings RUN/settings.yaml --out evaluation` computes it, and `milmer export RUN --to DIR "
    "--evaluation evaluation` states it here."
)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|!~$&@])")


@dataclass(frozen=True)
class Evaluation:
    """What the card states of an evaluation.

    Attributes
    ----------
    verdict
        What can explain the accuracy.
    headline
        Accuracy of the main protocol.
    of_this_model
        Whether this very model was evaluated (``evaluate --run``), and not models that were trained
        in the same way.
    """

    verdict: str
    headline: str
    of_this_model: bool


def read_evaluation(folder: Path, document: BundleDocument) -> Evaluation:
    """Read the verdict of an evaluation.

    Parameters
    ----------
    folder
        Output folder of `milmer evaluate`.
    document
        bundle.json of the model.

    Raises
    ------
    InputError
        There is no evaluation, it is damaged, or it is of another prepared store, of another run,
        or of models that were trained with other settings.
    """
    path = folder / "metrics.json"
    hint = "Give the output folder of `milmer evaluate` on the store of the model."
    values = read_document(path, "evaluation", ("verdict", "headline", "store_fingerprint"), hint)
    expected = document.fingerprints.get("store")
    if expected is None or values["store_fingerprint"] != expected:
        raise InputError(
            f"{path} is of another prepared store: expected the fingerprint {expected}, got "
            f"{str(values['store_fingerprint'])[:60]}.",
            hint,
        )
    _require_same_model(path, values, document)
    return Evaluation(str(values["verdict"]), str(values["headline"]), bool(values.get("run")))


def _require_same_model(path: Path, values: Mapping[str, Any], document: BundleDocument) -> None:
    """Check that the evaluated models are this one, or were trained like it."""
    weights = (document.files or {}).get(WEIGHTS)
    evaluated = values.get("weights_sha256")
    if values.get("run") and evaluated != weights:
        raise InputError(
            f"{path} is of another model, that of {str(values['run'])[:200]}: expected the weights "
            f"{weights}, got {str(evaluated)[:64]}.",
            "Evaluate this run with `milmer evaluate --run`, or the store without --run.",
        )
    expected = training_fingerprint(document.settings)
    if not values.get("run") and values.get("settings_fingerprint") != expected:
        raise InputError(
            f"{path} is of models that were trained with other settings than this one.",
            "Evaluate with `--settings RUN/settings.yaml`, the settings of the run.",
        )


def model_card(
    document: BundleDocument, metrics: Mapping[str, Any], evaluation: Evaluation | None = None
) -> str:
    """Return the model card in Markdown, with the metadata header of the Hugging Face Hub.

    Parameters
    ----------
    document
        The contents of bundle.json.
    metrics
        The contents of metrics.json.
    evaluation
        None if the shortcut verdict is not known.
    """
    modalities = document.settings.model.modalities
    tags = ["emotion-recognition", *_TAGS[modalities], "milmer"]
    test = metrics.get("test") or {}
    chance = "" if test.get("above_chance") else "**It is not shown to be above chance.**"
    transductive = "It used the EEG of the test set without labels. "
    return _CARD.format(
        tags=", ".join([*tags, *(["synthetic-data"] if document.synthetic else [])]),
        inputs=_INPUTS[modalities],
        version=document.milmer,
        segment_s=document.settings.eeg.segment_s,
        n_classes=len(document.class_names),
        classes=", ".join(map(escape_markdown, document.class_names)),
        synthetic=_SYNTHETIC if document.synthetic else "",
        data=_data(document),
        label_rule=escape_markdown(document.label_rule),
        headline=escape_markdown(str(metrics["headline"])),
        transductive=transductive if metrics.get("transductive") else "",
        chance=chance,
        modalities="\n".join(_modality_rows(modalities, metrics)),
        calibration=_calibration(metrics),
        verdict=_verdict(evaluation),
        preprocessing=_preprocessing(document),
        citation="\n\n".join(work.bibtex() for work in (PAPER, _software(document.milmer))),
    )


def _software(version: str) -> Reference:
    """Return the reference of the version that trained the model."""
    return replace(SOFTWARE, fields={**SOFTWARE.fields, "version": version})


def escape_markdown(text: str) -> str:
    """Escape text from data: it stays one line, and no character has a meaning in Markdown."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _data(document: BundleDocument) -> str:
    training, backbone = document.training, document.settings.model.backbone
    counts = f"{training.segments} segments of {training.participants} participants"
    if document.synthetic:
        return f"Synthetic data generated by Milmer, free of personal data: {counts}."
    sentences = [
        f"Training, validation and test set: {counts}.",
        "**State the data set and its licence here**, and whether the licence allows the "
        "publication of a model that was trained on the data.",
    ]
    if document.settings.model.modalities != "eeg":
        name = "a local folder" if backbone == LOCAL_BACKBONE else escape_markdown(backbone)
        sentences.append(f"The face backbone started from {name}, which has a licence of its own.")
    return " ".join(sentences)


def _modality_rows(modalities: str, metrics: Mapping[str, Any]) -> list[str]:
    rows = [f"| {_INPUTS[modalities]} | {escape_markdown(str(metrics['headline']))} |"]
    for name, line in (metrics.get("headline_per_modality") or {}).items():
        rows.append(f"| {_ROWS.get(name, escape_markdown(name))} | {escape_markdown(str(line))} |")
    return rows


def _calibration(metrics: Mapping[str, Any]) -> str:
    calibration = metrics.get("calibration") or {}
    if "calibrated" not in calibration:
        return "The calibration was not measured: there is no test set."
    error = calibration["calibrated"]["error"]
    return (
        f"Expected calibration error on the test set: {100 * error:.1f} %.\n\n"
        f"![Confidence and accuracy on the test set]({CALIBRATION})"
    )


def _verdict(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return _NOT_COMPUTED
    own = "this model" if evaluation.of_this_model else "models trained like this one"
    return (
        f"{escape_markdown(evaluation.verdict)}\n\nOf an evaluation of {own}: "
        f"{escape_markdown(evaluation.headline)}"
    )


def _preprocessing(document: BundleDocument) -> str:
    eeg, faces, quality = (
        document.settings.eeg,
        document.settings.faces,
        document.settings.quality,
    )
    low, high = eeg.band_hz
    lines: list[Sequence[str]] = []
    if document.channels:
        lines += [
            ("EEG channels", ", ".join(map(escape_markdown, document.channels))),
            (
                "EEG",
                f"{low:g} to {high:g} Hz, {eeg.sfreq_hz:g} Hz, average reference, eye correction "
                f"`{eeg.eog_correction}`",
            ),
        ]
    lines += [
        ("segments", f"{eeg.segment_s:g} s"),
        (
            "faces",
            f"{faces.instances} per segment, detector `{faces.detector}`, {faces.image_size} "
            f"pixels, margin {faces.margin:g}, {'aligned' if faces.align else 'not aligned'}",
        ),
        (
            "quality rule",
            f"at most {quality.reject_ptp_uv:g} µV peak to peak, at most "
            f"{quality.max_bad_channels:.0%} bad channels, at least {quality.min_faces:.0%} of the "
            "faces",
        ),
    ]
    return "\n".join(["| step | value |", "|---|---|", *(f"| {a} | {b} |" for a, b in lines)])
