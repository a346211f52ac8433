"""Counts of the recordings of a data set that cannot be opened, for ``--check``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def count_rows(rows: Sequence[Mapping[str, object]]) -> dict[str, dict[str, int]]:
    """Count the trials of each participant: all, with EEG, with a video, and of each class.

    Parameters
    ----------
    rows
        Rows of a manifest, see `datasets.listing.DatasetListing`.
    """
    labels = sorted({str(row.get("label") or "") for row in rows} - {""})
    of_participants: dict[str, list[Mapping[str, object]]] = {}
    for row in rows:
        of_participants.setdefault(str(row["participant"]), []).append(row)
    return {
        name: {
            "trials": len(own),
            "EEG": sum(bool(row.get("eeg")) for row in own),
            "videos": sum(bool(row.get("video")) for row in own),
            **{label: sum(row.get("label") == label for row in own) for label in labels},
        }
        for name, own in of_participants.items()
    }
