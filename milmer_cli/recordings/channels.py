"""Names and orders of EEG channels, found by name whatever the case.

Both of DEAP's recording sites used the 32 electrodes of BioSemi's small cap and wrote them in
different orders; the published arrays are all in the second one.
"""

from __future__ import annotations

from collections.abc import Sequence

from milmer_cli.errors import InputError

# fmt: off
TWENTE = (
    "Fp1", "AF3", "F7", "F3", "FC1", "FC5", "T7", "C3",
    "CP1", "CP5", "P7", "P3", "Pz", "PO3", "O1", "Oz",
    "O2", "PO4", "P4", "P8", "CP6", "CP2", "C4", "T8",
    "FC6", "FC2", "F4", "F8", "AF4", "Fp2", "Fz", "Cz",
)
# fmt: on
"""Order on disk of DEAP's participants 1-22."""

# fmt: off
GENEVA = (
    "Fp1", "AF3", "F3", "F7", "FC5", "FC1", "C3", "T7",
    "CP5", "CP1", "P3", "P7", "PO3", "O1", "Oz", "Pz",
    "Fp2", "AF4", "Fz", "F4", "F8", "FC6", "FC2", "Cz",
    "C4", "T8", "CP6", "CP2", "P4", "P8", "PO4", "O2",
)
# fmt: on
"""Order on disk of participants 23-32 and of every preprocessed file: the order Milmer stores."""

DEAP_EOG = (("EXG1", "EXG2"), ("EXG3", "EXG4"))
"""Electrode pairs beside and above/below the eyes in DEAP's BDF files: horizontal, vertical."""


def find_channels(wanted: Sequence[str], present: Sequence[str], where: str) -> list[str]:
    """Return the names in ``present`` that stand for ``wanted``, in the order of ``wanted``.

    Parameters
    ----------
    wanted
        Names to find.
    present
        Names as the file spells them.
    where
        What to call the file in a message.

    Raises
    ------
    InputError
        One of ``wanted`` is absent or there twice; the message names it.
    """
    spelt: dict[str, list[str]] = {}
    for name in present:
        spelt.setdefault(name.strip().lower(), []).append(name)
    missing = [name for name in wanted if name.lower() not in spelt]
    if missing:
        raise InputError(
            f"{where} lacks the channel{'s' * (len(missing) > 1)} {few(missing)}.",
            f"It has: {few(present)}.",
        )
    twice = [name for name in wanted if len(spelt[name.lower()]) > 1]
    if twice:
        raise InputError(
            f"{where} has more than one channel named {few(twice)}.",
            "Rename or remove one of them, so that it is clear which is meant.",
        )
    return [spelt[name.lower()][0] for name in wanted]


def few(names: Sequence[str], most: int = 12, between: str = ", ") -> str:
    """List names for a message: the first ``most``, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return between.join(name or "(no name)" for name in names[:most]) + more
