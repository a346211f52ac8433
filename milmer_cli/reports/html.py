"""Rendering of the pages: template environment, inline images, settings and folders.

Every page is one self-contained HTML string: no scripts, no network access, readable on a phone
and on paper. `reports.evaluation`, `reports.prediction` and `reports.inspection` use this module.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from milmer_cli.metrics import format_p
from milmer_cli.reports.text import (
    format_interval,
    format_number,
    format_p_cell,
    format_percent,
)
from milmer_cli.settings import load_settings

MAX_IMAGE_PX = 96
"""Longest side of a face image on a page, in pixels."""


def render(template: str, **values: Any) -> str:
    """Render a template of ``reports/templates/``; an undefined variable raises an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("milmer_cli.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=hide_home,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=format_percent,
        number=format_number,
        interval=format_interval,
        p=format_p,
        p_cell=format_p_cell,
    )
    return environment.get_template(template).render(**values)


def hide_home(value: Any) -> Any:
    """Replace the home folder in a text by ``~``: a page may be shared, and names its author.

    SVG, images and other values are returned unchanged.
    """
    home = str(Path("~").expanduser())
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    if not is_text or len(home) < 2 or value.startswith("data:"):
        return value
    return re.sub(re.escape(home) + r"(?![\w.-])", "~", value)


def split_settings(values: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Separate settings that differ from the defaults, for the section "Settings" of a page.

    Parameters
    ----------
    values
        Settings, or some sections of them, as plain values.
    """
    defaults = dict(flatten_settings(load_settings().model_dump(mode="json")))
    pairs = list(flatten_settings(values))
    return {
        "changed_settings": [(key, value) for key, value in pairs if defaults.get(key) != value],
        "settings": [(key, value) for key, value in pairs if defaults.get(key) == value],
    }


def flatten_settings(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested settings as pairs of ``section.key`` and value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten_settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def image_data_url(image: np.ndarray) -> str:
    """Encode an image, (height, width, 3) uint8 RGB, as a data URL of a small JPEG."""
    thumbnail = Image.fromarray(image)
    thumbnail.thumbnail((MAX_IMAGE_PX, MAX_IMAGE_PX))
    buffer = io.BytesIO()
    thumbnail.save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
