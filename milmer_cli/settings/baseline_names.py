"""Names of baselines that are not part of Milmer: networks for EEG, and encoders."""

from __future__ import annotations

BRAINDECODE, FACE = "braindecode", "face"
"""Prefixes of ``braindecode:CLASS``, ``braindecode:CLASS@WEIGHTS`` and ``face:WEIGHTS``."""


def is_external(name: str) -> bool:
    """Return whether a name has a prefix: a network or an encoder that is not part of Milmer."""
    return ":" in name


def is_encoder(name: str) -> bool:
    """Return whether a name stands for an encoder with pretrained weights."""
    prefix, _, rest = name.partition(":")
    return prefix == FACE or (prefix == BRAINDECODE and "@" in rest)


def encoder_weights(name: str) -> str:
    """Return the folder or the name on the Hub of the weights of an encoder."""
    return name.partition(":" if name.startswith(f"{FACE}:") else "@")[2]


def runs_own_code(name: str) -> bool:
    """Return whether a name is ``MODULE:CLASS``: importing the module runs its code."""
    return is_external(name) and name.partition(":")[0] not in (BRAINDECODE, FACE)


def split_names(text: str) -> list[str]:
    """Split the names of baselines, which are separated by commas, without repetitions."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
