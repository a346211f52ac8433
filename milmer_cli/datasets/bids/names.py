"""Names of a manifest as labels of BIDS, which consist of letters and digits."""

from __future__ import annotations

import re
from collections.abc import Iterable

from milmer_cli.errors import InputError


def bids_labels(names: Iterable[str], prefix: str) -> dict[str, str]:
    """Return the label of each name: without ``prefix``, and without other characters.

    Parameters
    ----------
    names
        Names of participants, or of the sessions of a participant.
    prefix
        ``sub-`` or ``ses-``.

    Raises
    ------
    InputError
        Two names have the same label, or a name has neither letters nor digits.
    """
    labels: dict[str, str] = {}
    by_label: dict[str, str] = {}
    for name in dict.fromkeys(names):
        label = re.sub(r"[^A-Za-z0-9]", "", name.removeprefix(prefix))
        if not label:
            raise InputError(
                f"{name!r} has no letter and no digit, and cannot be a label of BIDS.",
                "Rename it in the manifest.",
            )
        # file systems without upper and lower case would merge two such folders
        other = by_label.setdefault(label.lower(), name)
        if other != name:
            raise InputError(
                f"{other!r} and {name!r} would both be {prefix}{label} in BIDS, whose labels have "
                "only letters and digits.",
                "Rename one of them in the manifest.",
            )
        labels[name] = label
    return labels


def require_label(text: str, option: str) -> str:
    """Return a label that the user states.

    Raises
    ------
    InputError
        It contains other characters than letters and digits.
    """
    if re.fullmatch(r"[A-Za-z0-9]+", text):
        return text
    raise InputError(
        f"{option}: expected letters and digits, got {text!r}.",
        "A label of BIDS contains no other characters.",
    )
