"""How a page is made: one string of HTML from a template and plain values, written whole."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from milmer_cli.metrics import format_p
from milmer_cli.report.wording import number, percent

FACE_SIDE = 96
"""Side of a face on a page, in pixels."""


def render(template: str, **values: Any) -> str:
    """Fill a template of ``templates/``."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("milmer_cli.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, number=number, p=format_p)
    return environment.get_template(template).render(**values)


def write_page(path: Path, page: str) -> None:
    """Write a page to ``path``, whole or not at all."""
    aside = path.with_name(path.name + ".part")
    aside.write_text(page, encoding="utf-8")
    aside.replace(path)


def flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Give nested settings as rows of ``section.key`` and value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", str(value)


def face_source(image: np.ndarray) -> str:
    """Make a data URL of a face, small enough that a page of them stays light."""
    picture = Image.fromarray(image)
    picture.thumbnail((FACE_SIDE, FACE_SIDE))
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")
