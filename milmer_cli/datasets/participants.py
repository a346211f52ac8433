"""The one grammar of participant lists, as in ``data.participants``, for every command.

A list is a comma-separated sequence of items; spaces around items and dashes are ignored:

==============  ===================================================================
``anna``        the participant of this name (in any case)
``3``           participants whose name ends in this number: s03, P3, sub-03
``s3``          participants whose name has this prefix and this number: s03
``3-5``         participants whose name ends in a number of this range
``s03-s05``     participants whose name has this prefix and a number of this range
``anna-carl``   names without numbers: all from the first to the last in the list
==============  ===================================================================

An exact name has priority, so a participant that is called ``1-3`` or ``12`` can be selected too.
A range may contain numbers that do not exist, but it must match at least one participant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from milmer_cli.errors import InputError, shorten

_LISTED = 40
"""Number of available participants that an error lists."""


def select_participants(available: Sequence[str], text: str, where: str) -> list[str]:
    """Return the participants that a list selects, in the order of ``available``.

    Parameters
    ----------
    available
        Names of all participants.
    text
        The list, as in ``1,3-5`` or ``s01, s03 - s05``; empty for all participants.
    where
        Name of the data set for a message.

    Raises
    ------
    InputError
        An item matches no participant; the message names all such items.
    """
    items = [item.strip() for item in text.split(",") if item.strip()]
    if not items:
        return list(available)
    matches = {item: _match(item, available) for item in items}
    unknown = [item for item, names in matches.items() if not names]
    if unknown:
        raise InputError(
            f"{where} has no participant {', '.join(unknown)}.",
            f"Available: {shorten(available, _LISTED) or 'none'}. Write the list as in 1,3-5 or "
            "s01,s03-s05.",
        )
    selected = set().union(*matches.values())
    return [name for name in available if name in selected]


def _match(item: str, available: Sequence[str]) -> set[str]:
    """Return the participants that one item of a list selects."""
    if item in available:
        return {item}
    if same := {name for name in available if name.casefold() == item.casefold()}:
        return same
    if numbered := _match_range(item, item, available):
        return numbered
    # names may contain dashes, so each dash is tried as the one between the two ends
    return set().union(*(_match_range(first, last, available) for first, last in _ends(item)))


def _ends(item: str) -> Iterator[tuple[str, str]]:
    for dash in re.finditer("-", item):
        first, last = item[: dash.start()].strip(), item[dash.end() :].strip()
        if first and last:
            yield first, last


def _match_range(first: str, last: str, available: Sequence[str]) -> set[str]:
    if first.isdecimal() and last.isdecimal():
        return _in_range(available, int(first), int(last))
    low, high = _number(first), _number(last)
    prefix = _prefix(first)
    if low is not None and high is not None and prefix == _prefix(last):
        return _in_range([name for name in available if _prefix(name) == prefix], low, high)
    names = sorted(available)
    by_folded = {name.casefold(): name for name in names}
    ends = by_folded.get(first.casefold()), by_folded.get(last.casefold())
    if ends[0] is None or ends[1] is None:
        return set()
    return set(names[names.index(ends[0]) : names.index(ends[1]) + 1])


def _in_range(names: Sequence[str], low: int, high: int) -> set[str]:
    return {name for name in names if (n := _number(name)) is not None and low <= n <= high}


def _number(name: str) -> int | None:
    """Return the number that a name ends in; None if it ends in no digit."""
    digits = re.search(r"\d+$", name)
    return int(digits[0]) if digits else None


def _prefix(name: str) -> str:
    return re.sub(r"\d+$", "", name).casefold()
