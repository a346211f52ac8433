"""The model card of a fine-tuned backbone: data, scores, use and limitations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from milmer_cli.fer.labeled_images import LabeledImages
from milmer_cli.fer.result import FinetuneResult
from milmer_cli.settings import Settings, dump_yaml

_CARD = """---
library_name: transformers
pipeline_tag: image-classification
tags: [facial-expression-recognition]
---

# Face backbone for facial expressions

Fine-tuned from `{backbone}` by Milmer on {n_training} images.

## Data

{data_sets}

Sets: {sets}.{skipped}

## Scores on the {scored_on} set

Separation of the sets: {protocol}.

{scores}

{classes}

![Confusion matrix](confusion.png)

## Use

```python
from transformers import AutoModelForImageClassification
model = AutoModelForImageClassification.from_pretrained("{folder}")
```

As the backbone of Milmer: `milmer train --swin {folder} ...`. Milmer uses only the backbone,
without the head and its classes.

## Limitations

Posed and acted expressions are not felt emotions. These data sets are not balanced over age,
gender, skin color or culture. Do not use the classes to judge people.

## Settings

```yaml
{settings}
```
"""


def model_card(
    result: FinetuneResult,
    data_sets: Sequence[LabeledImages],
    is_cropped: Mapping[str, bool],
    settings: Settings,
) -> str:
    """Return the model card in Markdown with the metadata header of the Hugging Face Hub.

    Parameters
    ----------
    result
    data_sets
    is_cropped
        Whether the images of each data set were cropped; by its path.
    settings
        As requested.
    """
    metrics = result.metrics
    skipped = f" {metrics['skipped']} images could not be used (skipped.csv)."
    return _CARD.format(
        backbone=settings.model.backbone,
        n_training=metrics["images"]["training"],
        data_sets=_data_table(data_sets, list(metrics["classes"]), is_cropped),
        sets=", ".join(f"{count} {name}" for name, count in metrics["images"].items()),
        skipped=skipped if metrics["skipped"] else "",
        scored_on=metrics["scored_on"],
        protocol=metrics["protocol"],
        scores=_score_table(metrics),
        classes=_class_table(metrics["classes"]),
        folder=result.out.name,
        settings=dump_yaml(settings, exclude_unset=True).strip(),
    )


def _data_table(
    data_sets: Sequence[LabeledImages], class_names: Sequence[str], is_cropped: Mapping[str, bool]
) -> str:
    rows = []
    for images in data_sets:
        count = images.class_counts()
        faces = "cropped" if is_cropped[str(images.path)] else "whole images"
        rows.append([images.path.name, images.layout, faces, *(str(count[n]) for n in class_names)])
    return _table(["data set", "layout", "faces", *class_names], rows)


def _score_table(metrics: dict[str, Any]) -> str:
    scores = metrics["scores"]
    return _table(
        ["accuracy", "balanced accuracy", "macro F1", "majority rate", "images"],
        [
            [
                *(_percent(scores[name]) for name in ("accuracy", "balanced_accuracy", "macro_f1")),
                _percent(metrics["majority_rate"]),
                str(metrics["images"][metrics["scored_on"]]),
            ]
        ],
    )


def _class_table(classes: dict[str, dict[str, Any]]) -> str:
    return _table(
        ["class", "precision", "recall", "F1", "images"],
        (
            [
                name,
                *(_percent(scores[key]) for key in ("precision", "recall", "f1")),
                str(scores["support"]),
            ]
            for name, scores in classes.items()
        ),
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.1%}"
