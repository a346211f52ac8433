"""Names and versions of the JSON documents that Milmer writes to files and prints."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEY = "format"
"""Key of the version in every document."""
SCHEMAS = Path(__file__).parent / "schemas"


@dataclass(frozen=True)
class Format:
    """The format of a JSON document.

    Attributes
    ----------
    meaning
        What the document contains.
    file
        Where it is written; empty if it is only printed.
    printed
        The command that prints it with ``--json``; empty if none does.
    version
        Version that is written.
    oldest
        Oldest version that can be read. A document without a version is read as version 1.
    """

    meaning: str
    file: str = ""
    printed: str = ""
    version: int = 1
    oldest: int = 1


FORMATS: dict[str, Format] = {
    # files, some of which are also printed
    "store-index": Format("participants of a prepared store", "STORE/index.json", version=3),
    "splits": Format(
        "training, validation and test set of each fold",
        "RUN/splits.json, EVALUATION/splits.json",
        version=2,
        oldest=2,
    ),
    "named-splits": Format("published folds of DEAP", "in the package"),
    "run-environment": Format(
        "versions, inputs and checksums", "RUN/environment.json, SWIN/environment.json"
    ),
    "run-metrics": Format("training and test scores", "RUN/metrics.json", "milmer train"),
    "bundle": Format("preprocessing and digests of a model", "BUNDLE/bundle.json"),
    "bundle-metrics": Format("test results of a model", "BUNDLE/metrics.json"),
    "bundle-sources": Format("parts of files that a model has used", "BUNDLE/sources.json"),
    "onnx": Format("a model as ONNX files", "ONNX/onnx.json"),
    "swin-metrics": Format(
        "scores of an expression classifier", "SWIN/metrics.json", "milmer finetune-swin"
    ),
    "face-crop": Format("how the images of a backbone were cropped", "SWIN/face_crop.json"),
    "evaluation": Format("scores of all protocols", "EVALUATION/metrics.json", "milmer evaluate"),
    "prediction": Format("a predicted recording", "PREDICTION/timeline.json", "milmer predict"),
    "audit": Format("audited predictions", "AUDIT/audit.json", "milmer audit"),
    "synthetic-truth": Format("truth of the synthetic DEAP", "DATA/truth.json"),
    "listed-truth": Format("truth of a synthetic copy of a data set", "DATA/truth.json"),
    "last-error": Format("type of the last error", "CONFIG/last-error.json"),
    # only printed
    "error": Format("an error", printed="every command"),
    "export": Format("a written or uploaded model", printed="milmer export"),
    "demo": Format("results of all stages", printed="milmer demo"),
    "prepare": Format("a prepared store", printed="milmer prepare"),
    "prepare-check": Format("what can be prepared", printed="milmer prepare --check"),
    "prepare-dry-run": Format("work to do", printed="milmer prepare --dry-run"),
    "manifest": Format("a manifest of a data set", printed="milmer manifest DATA_SET"),
    "manifest-events": Format("a manifest of events", printed="milmer manifest events"),
    "manifest-to-bids": Format("a written BIDS data set", printed="milmer manifest to-bids"),
    "inspect": Format("a summary of a store", printed="milmer inspect STORE"),
    "inspect-eeg": Format("a summary of an EEG file", printed="milmer inspect EEG_FILE"),
    "finetune-swin-dry-run": Format(
        "cost of a fine-tuning", printed="milmer finetune-swin --dry-run"
    ),
    "train-dry-run": Format("cost of a training", printed="milmer train --dry-run"),
    "evaluate-dry-run": Format("cost of an evaluation", printed="milmer evaluate --dry-run"),
    "baselines": Format("available baselines", printed="milmer evaluate --list-baselines"),
    "predict-manifest": Format("predicted recordings", printed="milmer predict --manifest"),
    "weights": Format("files of weights", printed="milmer weights list|fetch|verify"),
    "settings-show": Format("settings and origins", printed="milmer settings show"),
    "settings-init": Format("the written file", printed="milmer settings init"),
    "info": Format("versions and devices", printed="milmer info"),
    "formats": Format("this table and the schemas", printed="milmer formats"),
    "cite": Format("references to cite", printed="milmer cite"),
    "docs": Format("the documentation site", printed="milmer docs"),
    "version": Format("the version of Milmer", printed="milmer version"),
}


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the current version of a document.

    Parameters
    ----------
    name
        Key of `FORMATS`.
    """
    text = (SCHEMAS / f"{name}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
