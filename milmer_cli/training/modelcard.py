"""The card of a fine-tuned backbone: what it was trained on, how well it does, what to mind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from milmer_cli.training.expressions import ExpressionSet

HEADER = """---
library_name: transformers
pipeline_tag: image-classification
tags: [facial-expression-recognition, swin]
---

# Swin for facial expressions
"""

USE = """
## Use

```python
from transformers import AutoModelForImageClassification
model = AutoModelForImageClassification.from_pretrained("{folder}")
```

As the backbone of Milmer: `milmer train --swin {folder} ...`. Only the backbone is used there; the
head and its classes are not.

## Mind

Posed and acted expressions are not felt emotions, and these data sets are not balanced over age,
gender, skin colour or culture. Do not use the classes to judge people.
"""


def model_card(
    folder: str,
    backbone: str,
    sets: Sequence[ExpressionSet],
    names: Sequence[str],
    metrics: Mapping[str, Any],
    settings_yaml: str,
) -> str:
    """Write the card, in Markdown with the hub's header.

    Parameters
    ----------
    folder
        Name of the output folder.
    backbone
        What was fine-tuned.
    sets
        The data sets, as they were read.
    names
        Classes in the order of the logits.
    metrics
        What metrics.json holds.
    settings_yaml
        The settings, as resolved.
    """
    part = metrics["scored_on"]
    scores = metrics["scores"]
    lines = [
        HEADER,
        f"Fine-tuned from `{backbone}` by Milmer on {metrics['pictures']['train']} pictures.",
        "",
        "## Data",
        "",
        _row(["set", "read as", *names]),
        _row(["---"] * (len(names) + 2)),
        *(
            _row([found.path.name, found.kind, *(str(found.counts()[name]) for name in names)])
            for found in sets
        ),
        "",
        f"Parts: {metrics['parts']}. {metrics['skipped']} could not be used (skipped.csv).",
        "",
        f"## Scores on the {part} part",
        "",
        metrics["protocol"] + ".",
        "",
        _row(["accuracy", "balanced accuracy", "macro F1", "majority rate", "pictures"]),
        _row(["---"] * 5),
        _row(
            [
                *(f"{scores[name]:.1%}" for name in ("accuracy", "balanced_accuracy", "macro_f1")),
                f"{metrics['majority']:.1%}",
                str(metrics["pictures"][part]),
            ]
        ),
        "",
        _row(["class", "precision", "recall", "F1", "pictures"]),
        _row(["---"] * 5),
        *(
            _row([name, *(_percent(each[k]) for k in ("precision", "recall", "f1")),
                  str(each["support"])])
            for name, each in metrics["classes"].items()
        ),
        "",
        "![Confusion](confusion.png)",
        USE.format(folder=folder),
        "## Settings",
        "",
        "```yaml",
        settings_yaml.strip(),
        "```",
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.1%}"
