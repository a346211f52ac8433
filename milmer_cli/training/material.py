"""What of a store a training uses: participants, segments that can be seen, their classes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from milmer_cli.data.labels import LEFT_OUT, class_names, classes
from milmer_cli.data.splits import Fold
from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import Settings
from milmer_cli.settings.published import LAYOUT
from milmer_cli.settings.schema import Modalities, Target
from milmer_cli.store import PreparedStore, Segments, check_store


@dataclass(frozen=True, eq=False)
class Material:
    """Segments with their classes.

    Attributes
    ----------
    store
        Where EEG and faces are.
    segments
        The table of the chosen participants.
    labels
        (n_segments,) int64; -1 for a segment that takes part in nothing.
    names
        Names of the classes.
    """

    store: PreparedStore
    segments: Segments
    labels: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def open(cls, prepared: Path, settings: Settings, progress: Progress = SILENT) -> Material:
        """Open a store, look through it and make the classes.

        Raises
        ------
        InputError
            The store is missing or broken, has none of the participants asked for, or holds nothing
            that the model could see.
        """
        for finding in check_store(prepared, deep=False):
            if finding.severity == "error":
                raise InputError(f"{finding.where}: {finding.what}", finding.fix)
            progress.note(f"{finding.where}: {finding.what} {finding.fix}", "detail")
        store = PreparedStore.open(prepared)
        if store.settings["eeg"].get("layout") == "published" != settings.eeg.layout:
            progress.note(f"{prepared} was prepared with a fault on purpose: {LAYOUT}", "warning")
        chosen = chosen_participants(store.participants, settings.data.participants)
        segments = store.segments(chosen)
        _check_target(segments, settings.data.target)
        labels = seen(
            classes(segments.ratings, settings.data, segments.label),
            segments,
            settings.model.modalities,
        )
        _tell_left_out(segments, labels, settings.model.modalities, progress)
        names = class_names(settings.data.target, segments.label)
        return cls(store, segments, labels, names)


def chosen_participants(names: list[str], text: str) -> list[str]:
    """Pick participants by name, by number or by a range of numbers, as in ``s01,3-5``.

    Raises
    ------
    InputError
        A part of ``text`` fits nobody.
    """
    if not text.strip():
        return names
    chosen: set[str] = set()
    for part in (part.strip() for part in text.split(",")):
        span = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if part in names:
            fits = {part}
        elif span:
            wanted = range(int(span[1]), int(span[2] or span[1]) + 1)
            fits = {n for n in names if (m := re.search(r"\d+$", n)) and int(m[0]) in wanted}
        else:
            fits = set()
        if not fits:
            raise InputError(
                f"data.participants names {part!r}, and the store has no such participant.",
                f"It has: {', '.join(names)}.",
            )
        chosen |= fits
    return [name for name in names if name in chosen]


def seen(labels: np.ndarray, segments: Segments, modalities: Modalities) -> np.ndarray:
    """Leave out the segments of which the model would see nothing.

    Parameters
    ----------
    labels
        (n_segments,) classes.
    segments
        Their table.
    modalities
        What the model sees.

    Returns
    -------
    ndarray
        (n_segments,), -1 where nothing is to be seen.
    """
    has_face = segments.faces_found > 0
    visible = {
        "both": segments.eeg_found | has_face,
        "eeg": segments.eeg_found,
        "face": has_face,
    }[modalities]
    return np.where(visible, labels, LEFT_OUT)


def check_classes(
    fold: Fold, labels: np.ndarray, names: tuple[str, ...], progress: Progress = SILENT
) -> None:
    """Say which classes cannot be learned from the training part of a fold.

    Raises
    ------
    InputError
        The training part has one class only.
    """
    counts = np.bincount(labels[fold.train], minlength=len(names))
    absent = [name for name, count in zip(names, counts, strict=True) if count == 0]
    if len(absent) >= len(names) - 1:
        raise InputError(
            f"All {counts.sum()} segments of the training part are {names[int(counts.argmax())]}: "
            "there is nothing to tell apart.",
            "Use more participants, another data.target or another data.threshold.",
        )
    if absent:
        progress.note(
            f"The training part has no segment of {', '.join(absent)}: the model cannot learn to "
            "name it.",
            "warning",
        )


def _check_target(segments: Segments, target: Target) -> None:
    named = bool(np.any(segments.label != ""))
    if target == "label" and not named:
        raise InputError(
            "data.target=label, and no trial of the store has a named class.",
            "Prepare from a manifest with a column label, or choose another data.target.",
        )
    if target != "label" and named and np.isnan(segments.ratings[:, :2]).all():
        raise InputError(
            f"data.target={target} needs ratings, and the trials of the store have named classes "
            "instead.",
            "Use --set data.target=label.",
        )


def _tell_left_out(
    segments: Segments, labels: np.ndarray, modalities: Modalities, progress: Progress
) -> None:
    if not np.any(labels != LEFT_OUT):
        raise InputError(
            f"No segment of the store can be used with model.modalities={modalities}: none has "
            "both a rating and something to see.",
            "Prepare the missing recordings, or train with another --modalities.",
        )
    left_out = int(np.sum(labels == LEFT_OUT))
    if left_out:
        progress.note(
            f"{left_out} of {len(labels)} segments are left out: no rating, a tie that is dropped, "
            f"or nothing to see for model.modalities={modalities}.",
            "info",
        )
    for what, found in (("faces", segments.faces_found > 0), ("EEG", segments.eeg_found)):
        if modalities != "both":
            break
        lacking = [
            str(name)
            for name in np.unique(segments.participant)
            if not found[segments.participant == name].any()
        ]
        if lacking:
            progress.note(
                f"No {what} for {', '.join(lacking)}: there the model sees one modality only.",
                "warning",
            )
