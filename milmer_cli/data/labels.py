"""Derive class labels from ratings at training time, so that a threshold can change later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from milmer_cli.errors import SettingsError
from milmer_cli.settings.published_defects import TIES as PUBLISHED_TIES

if TYPE_CHECKING:
    from milmer_cli.settings.schema import DataSettings, Target

QUADRANTS = ("HAHV", "LAHV", "LALV", "HALV")
"""The four quadrants in the published order: class 0 is high arousal and high valence."""

EXCLUDED = -1
"""Label of a segment that is not used: a dropped tie, a missing rating or no data."""

VALENCE, AROUSAL = 0, 1
_TIE_RULES = {
    "low": "a rating of exactly {threshold:g} is low",
    "high": "a rating of exactly {threshold:g} is high",
    "drop": "a trial whose rating is exactly {threshold:g} is excluded",
}


def class_names(target: Target, given: np.ndarray | None = None) -> tuple[str, ...]:
    """Return the names of the classes of ``target``, in the order of the logits.

    Parameters
    ----------
    target
        ``data.target``.
    given
        (n,) str, the class of each segment as stated by the data set. The classes of target
        ``label`` are the distinct values, in alphabetical order.
    """
    match target:
        case "quadrant":
            return QUADRANTS
        case "valence":
            return ("low valence", "high valence")
        case "arousal":
            return ("low arousal", "high arousal")
        case "label":
            return tuple(sorted({str(name) for name in ([] if given is None else given)} - {""}))


def make_labels(
    ratings: np.ndarray, settings: DataSettings, given: np.ndarray | None = None
) -> np.ndarray:
    """Derive the class labels of segments or trials.

    A rating above ``settings.threshold`` is high and a rating below it is low. ``settings.ties``
    decides about a rating equal to the threshold:

    ============  =======================================================================
    ``low``       the rating is low
    ``high``      the rating is high
    ``drop``      the segment is excluded if the target uses the rating
    ``published`` the published code's rule, see `published_quadrants` (quadrants only)
    ============  =======================================================================

    Ratings and threshold are compared as float32, the type in which ratings are stored. A rating of
    4.9 therefore equals a threshold of 4.9.

    Parameters
    ----------
    ratings
        (n, 4) valence, arousal, dominance, liking; NaN if missing.
    settings
        Target, threshold and tie rule.
    given
        (n,) str, the class of each row as stated by the data set, empty if not stated. Only target
        ``label`` uses it, and it uses nothing else.

    Returns
    -------
    numpy.ndarray
        (n,) int64; `EXCLUDED` for a dropped tie, a missing rating or a missing class.

    Raises
    ------
    SettingsError
        If the published tie rule is combined with a target other than ``quadrant``.
    """
    if settings.target == "label":
        numbers = {name: number for number, name in enumerate(class_names("label", given))}
        given = np.full(len(ratings), "") if given is None else given
        return np.array([numbers.get(str(name), EXCLUDED) for name in given], dtype=np.int64)
    if settings.ties == "published":
        if settings.target != "quadrant":
            raise SettingsError(
                "data.ties=published: expected data.target=quadrant, got "
                f"data.target={settings.target}.",
                "Set data.ties to low, high or drop.",
            )
        return published_quadrants(ratings, settings.threshold)
    ratings = np.asarray(ratings, dtype=np.float32)
    threshold = np.float32(settings.threshold)
    columns = {"quadrant": [VALENCE, AROUSAL], "valence": [VALENCE], "arousal": [AROUSAL]}
    used = ratings[:, columns[settings.target]]
    high = used >= threshold if settings.ties == "high" else used > threshold
    if settings.target == "quadrant":
        # (valence high, arousal high) -> HAHV 0, LAHV 1, LALV 2, HALV 3
        labels = np.where(high[:, 0], np.where(high[:, 1], 0, 1), np.where(high[:, 1], 3, 2))
    else:
        labels = high[:, 0].astype(np.int64)
    excluded = np.isnan(used).any(axis=1)
    if settings.ties == "drop":
        excluded |= (used == threshold).any(axis=1)
    return np.where(excluded, EXCLUDED, labels).astype(np.int64)


def published_quadrants(ratings: np.ndarray, threshold: float = 5.0) -> np.ndarray:
    """Derive the quadrants as the published Milmer code does, including its treatment of ties.

    valence > 5 and arousal > 5 is HAHV; valence >= 5 and arousal < 5 is LAHV; valence < 5 and
    arousal < 5 is LALV. Everything else is HALV, including every arousal of exactly 5 with a high
    valence. Use this rule only to put the published accuracy in context.

    Parameters
    ----------
    ratings
        (n, >= 2) valence, arousal, ...; NaN if missing.
    threshold
        5 in the published code.

    Returns
    -------
    numpy.ndarray
        (n,) int64; `EXCLUDED` if valence or arousal is missing.
    """
    ratings = np.asarray(ratings, dtype=np.float32)
    middle = np.float32(threshold)
    valence, arousal = ratings[:, VALENCE], ratings[:, AROUSAL]
    quadrants = [
        (valence > middle) & (arousal > middle),
        (valence >= middle) & (arousal < middle),
        (valence < middle) & (arousal < middle),
    ]
    labels = np.select(quadrants, [0, 1, 2], default=3)
    return np.where(np.isnan(valence) | np.isnan(arousal), EXCLUDED, labels).astype(np.int64)


def describe_label_rule(settings: DataSettings) -> str:
    """Describe in one or two sentences how labels are derived, including ties at the threshold."""
    if settings.target == "label":
        return "The data set states the class of each trial (data.target=label)."
    high = f"A rating above {settings.threshold:g} is high"
    if settings.ties == "published":
        return f"{high}. {PUBLISHED_TIES}"
    tie = _TIE_RULES[settings.ties].format(threshold=settings.threshold)
    return f"{high}; {tie} (data.ties={settings.ties})."


def count_per_class(labels: np.ndarray, names: Sequence[str]) -> dict[str, int]:
    """Count the labels of each class; excluded labels are not counted.

    Parameters
    ----------
    labels
        (n,) int.
    names
        Names of the classes.
    """
    counts = np.bincount(labels[labels != EXCLUDED], minlength=len(names))
    return dict(zip(names, counts.tolist(), strict=True))
