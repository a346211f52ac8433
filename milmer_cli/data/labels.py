"""Ratings become classes when training, so that a threshold can change without preparing again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from milmer_cli.errors import SettingsError

if TYPE_CHECKING:
    from milmer_cli.settings.schema import DataSettings, Target

QUADRANTS = ("HAHV", "LAHV", "LALV", "HALV")
"""The four quadrants in the published order: class 0 is high arousal and high valence."""

LEFT_OUT = -1
"""Class of a segment that takes part in nothing: a tie that is dropped, or a rating not given."""

VALENCE, AROUSAL = 0, 1


def class_names(target: Target, named: np.ndarray | None = None) -> tuple[str, ...]:
    """Names of the classes of ``target``, in the order of their numbers.

    Parameters
    ----------
    target
        What is predicted.
    named
        (n,) str, the classes that the data set names; target ``label`` has these, in alphabetical
        order.
    """
    match target:
        case "quadrant":
            return QUADRANTS
        case "valence":
            return ("low valence", "high valence")
        case "arousal":
            return ("low arousal", "high arousal")
        case "label":
            return tuple(sorted({str(name) for name in ([] if named is None else named)} - {""}))


def classes(
    ratings: np.ndarray, settings: DataSettings, named: np.ndarray | None = None
) -> np.ndarray:
    """Classes of segments or trials from their ratings, or as the data set names them.

    A rating above ``settings.threshold`` is high, below it low; at it, by ``settings.ties``:

    ============  =====================================================================
    ``low``       low: high means strictly above
    ``high``      high
    ``drop``      the class is -1 when a rating that the target needs is at the threshold
    ``published`` the published code's rule, see `published_classes` (quadrants only)
    ============  =====================================================================

    Ratings and threshold are compared as float32, the type in which ratings are stored: a rating of
    4.9 ties with a threshold of 4.9.

    Parameters
    ----------
    ratings
        (n, 4) in the order valence, arousal, dominance, liking; NaN where none was given.
    settings
        Target, threshold and tie rule.
    named
        (n,) str, the classes that the data set names, empty for none; only target ``label`` reads
        them, and it reads nothing else.

    Returns
    -------
    numpy.ndarray
        (n,) int64; -1 for a row that is left out: a tie, a missing rating, no named class.

    Raises
    ------
    SettingsError
        The published tie rule is asked for a target other than the quadrants.
    """
    if settings.target == "label":
        numbers = {name: number for number, name in enumerate(class_names("label", named))}
        named = np.full(len(ratings), "") if named is None else named
        return np.array([numbers.get(str(name), LEFT_OUT) for name in named], dtype=np.int64)
    ratings = np.asarray(ratings, dtype=np.float32)
    threshold = np.float32(settings.threshold)
    needed = {
        "quadrant": [VALENCE, AROUSAL],
        "valence": [VALENCE],
        "arousal": [AROUSAL],
    }[settings.target]
    used = ratings[:, needed]
    if settings.ties == "published":
        if settings.target != "quadrant":
            raise SettingsError(
                f"data.ties=published is a rule for quadrants; data.target is {settings.target}.",
                "Set data.ties to low, high or drop.",
            )
        return published_classes(ratings, settings.threshold)
    high = used >= threshold if settings.ties == "high" else used > threshold
    if settings.target == "quadrant":
        # (valence high, arousal high) -> HAHV 0, LAHV 1, LALV 2, HALV 3
        result = np.where(high[:, 0], np.where(high[:, 1], 0, 1), np.where(high[:, 1], 3, 2))
    else:
        result = high[:, 0].astype(np.int64)
    left_out = np.isnan(used).any(axis=1)
    if settings.ties == "drop":
        left_out |= (used == threshold).any(axis=1)
    return np.where(left_out, LEFT_OUT, result).astype(np.int64)


def published_classes(ratings: np.ndarray, threshold: float = 5.0) -> np.ndarray:
    """Quadrants as the published Milmer code makes them, its treatment of ties included.

    valence > 5 and arousal > 5 is HAHV; valence >= 5 and arousal < 5 is LAHV; valence < 5 and
    arousal < 5 is LALV; everything else is HALV, and with it every arousal of exactly 5 even where
    valence is high. To be used only to put the published number in context.

    Parameters
    ----------
    ratings
        (n, >= 2): valence and arousal first.
    threshold
        Middle of the scale; the published code has 5.

    Returns
    -------
    numpy.ndarray
        (n,) int64; -1 where valence or arousal was not given.
    """
    ratings = np.asarray(ratings, dtype=np.float32)
    middle = np.float32(threshold)
    valence, arousal = ratings[:, VALENCE], ratings[:, AROUSAL]
    quadrants = [
        (valence > middle) & (arousal > middle),
        (valence >= middle) & (arousal < middle),
        (valence < middle) & (arousal < middle),
    ]
    result = np.select(quadrants, [0, 1, 2], default=3)
    return np.where(np.isnan(valence) | np.isnan(arousal), LEFT_OUT, result).astype(np.int64)
