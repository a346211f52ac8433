"""Open a prepared store and derive the labels of its segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from milmer_cli.data.eeg_transform import EegAlignment
from milmer_cli.data.labels import EXCLUDED, class_names, make_labels
from milmer_cli.data.quality import QualityCounts, good_channels, usable_eeg, usable_faces
from milmer_cli.datasets.participants import select_participants
from milmer_cli.digests import digest
from milmer_cli.eeg.amplitude import recording_gain
from milmer_cli.errors import InputError, shorten
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import Settings
from milmer_cli.settings.published_defects import LAYOUT
from milmer_cli.settings.schema import Modalities, ModelSettings, Target
from milmer_cli.store import PreparedParticipant, PreparedStore, Segments, validate_store


@dataclass(frozen=True, eq=False)
class LabeledSegments:
    """Segments of a prepared store with their labels.

    Attributes
    ----------
    store
        Contains the EEG and the face images.
    segments
        Table of the segments of the selected participants. ``eeg_found`` is False and
        ``faces_found`` is 0 where the modality is not usable (`data.quality`).
    labels
        (n_segments,) int64; `EXCLUDED` for segments that are not used.
    class_names
        Names of the classes, in the order of the logits.
    quality
        Number of segments that the quality rule affects, by participant.
    channels_found
        (n_segments, n_channels) bool, the EEG channels that the model reads; None for all of them.
    eeg_gain
        Participant -> factor on the EEG (``model.eeg_amplitude_scale``); 1 if not contained.
    eeg_alignment
        Maps of the EEG channels by participant (`data.eeg_transform`); None if there are none.
    """

    store: PreparedStore
    segments: Segments
    labels: np.ndarray
    class_names: tuple[str, ...]
    quality: tuple[QualityCounts, ...] = ()
    channels_found: np.ndarray | None = None
    eeg_gain: Mapping[str, float] = field(default_factory=dict)
    eeg_alignment: EegAlignment | None = None

    @classmethod
    def open(
        cls, prepared: Path, settings: Settings, progress: Progress = SILENT
    ) -> LabeledSegments:
        """Open and check a store, and derive the labels.

        Parameters
        ----------
        prepared
            Folder of the store.
        settings
            ``data``, ``quality`` and ``model`` are used.
        progress
            Receives warnings about the store and the number of excluded segments.

        Raises
        ------
        InputError
            If the store is missing or damaged, lacks a selected participant, or has no segment that
            the model can use.
        """
        store = open_store(prepared, settings, progress)
        segments = store.segments(
            select_participants(store.participants, settings.data.participants, str(prepared))
        )
        return cls.of(store, segments, settings, progress)

    @classmethod
    def of(
        cls,
        store: PreparedStore,
        segments: Segments,
        settings: Settings,
        progress: Progress = SILENT,
    ) -> LabeledSegments:
        """Derive the labels of segments of an opened store; see `open`."""
        _check_target(segments, settings.data.target)
        labels = make_labels(segments.ratings, settings.data, segments.label)
        labels = np.where(_in_conditions(segments, settings.data.conditions), labels, EXCLUDED)
        segments, channels_found, counts = _apply_quality_rule(store, segments, settings)
        labeled = cls(
            store,
            segments,
            labels,
            class_names(settings.data.target, segments.label),
            counts,
            channels_found,
            _eeg_gain(store, segments, settings.model),
        ).restrict_to(settings.model.modalities)
        _note_exclusions(labeled, settings, progress)
        _note_quality(counts, progress)
        return labeled

    @cached_property
    def segment_s(self) -> float:
        """Length of a segment, in seconds."""
        return self.store.participant(str(self.segments.participant[0])).segment_s

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the participant, session, trial and onset of every segment, in order."""
        return digest(self.segments.segment_id.tolist())

    def read_eeg(self, participant: PreparedParticipant, row: int) -> np.ndarray:
        """Read the EEG of one row of a participant, (n_channels, n_samples) float32."""
        name, eeg = participant.participant, participant.eeg[row]
        if self.eeg_alignment is not None:
            return self.eeg_alignment.of(name)(eeg)
        return np.asarray(eeg * np.float32(self.eeg_gain.get(name, 1.0)))

    def restrict_to(self, modalities: Modalities) -> LabeledSegments:
        """Exclude the segments that have no data of any of the model's modalities."""
        eeg, face = self.segments.eeg_found, self.segments.faces_found > 0
        usable = {"both": eeg | face, "eeg": eeg, "face": face}[modalities]
        return replace(self, labels=np.where(usable, self.labels, EXCLUDED))


def open_store(prepared: Path, settings: Settings, progress: Progress = SILENT) -> PreparedStore:
    """Open a store, check it, and report its warnings.

    Raises
    ------
    InputError
        The store is missing or damaged.
    """
    for finding in validate_store(prepared, deep=False):
        if finding.severity == "error":
            raise InputError(f"{finding.where}: {finding.message}", finding.hint)
        progress.note(f"{finding.where}: {finding.message} {finding.hint}", "detail")
    store = PreparedStore.open(prepared)
    if store.settings["eeg"].get("layout") == "published" != settings.eeg.layout:
        progress.note(f"{prepared} was prepared with eeg.layout=published: {LAYOUT}", "warning")
    return store


def _apply_quality_rule(
    store: PreparedStore, segments: Segments, settings: Settings
) -> tuple[Segments, np.ndarray | None, tuple[QualityCounts, ...]]:
    """Mark modalities and channels that are not usable as not found; count by participant."""
    names = list(dict.fromkeys(segments.participant.tolist()))
    eeg_found, faces_found = segments.eeg_found.copy(), segments.faces_found.copy()
    n_channels = max(len(store.participant(name).channels) for name in names)
    channels_found = np.zeros((len(segments), n_channels), bool)
    mask, counts = settings.model.bad_channels == "mask", []
    for name in names:
        rows = np.flatnonzero(segments.participant == name)
        participant = store.participant(name)
        good = good_channels(participant.quality, settings.quality)
        eeg = participant.eeg_found & usable_eeg(participant.quality, settings.quality)
        if participant.channels:
            channels_found[rows] = good
            eeg &= good.any(axis=1) | (not mask)
        faces = usable_faces(participant.found, settings.quality)
        counts.append(_count(participant, eeg, faces))
        eeg_found[rows] = eeg
        faces_found[rows] = np.where(faces, segments.faces_found[rows], 0)
    marked = replace(segments, eeg_found=eeg_found, faces_found=faces_found)
    return marked, channels_found if mask else None, tuple(counts)


def _count(participant: PreparedParticipant, eeg: np.ndarray, faces: np.ndarray) -> QualityCounts:
    had_faces = participant.found.any(axis=1)
    had_any = participant.eeg_found | had_faces
    return QualityCounts(
        participant.participant,
        len(participant),
        int((participant.eeg_found & ~eeg).sum()),
        int((had_faces & ~faces).sum()),
        int((had_any & ~eeg & ~faces).sum()),
    )


def _eeg_gain(store: PreparedStore, segments: Segments, model: ModelSettings) -> dict[str, float]:
    """Compute the factor on the EEG of each participant, from all segments with usable EEG."""
    if model.eeg_amplitude == "none" or model.eeg_amplitude_scale != "recording":
        return {}
    gains = {}
    for name in np.unique(segments.participant[segments.eeg_found]):
        rows = segments.row[(segments.participant == name) & segments.eeg_found]
        with store.participant(str(name)) as participant:
            gains[str(name)] = recording_gain(participant.eeg[:][np.sort(rows)])
    return gains


def _check_target(segments: Segments, target: Target) -> None:
    has_labels = bool(np.any(segments.label != ""))
    if target == "label" and not has_labels:
        raise InputError(
            "data.target=label, but no trial of the store has a label.",
            "Prepare from a manifest with a column label, or choose another data.target.",
        )
    if target != "label" and has_labels and np.isnan(segments.ratings[:, :2]).all():
        raise InputError(
            f"data.target={target} needs ratings, but the trials of the store have labels instead.",
            "Use --set data.target=label.",
        )


def _in_conditions(segments: Segments, conditions: Sequence[str]) -> np.ndarray:
    """Whether each segment is of one of the conditions, (n_segments,) bool; all if none is given.

    Raises
    ------
    InputError
        The store does not have one of the conditions.
    """
    if not conditions:
        return np.ones(len(segments), bool)
    known = np.unique(segments.condition[segments.condition != ""]).tolist()
    if unknown := [name for name in conditions if name not in known]:
        raise InputError(
            f"data.conditions: expected conditions of the store ({shorten(known) or 'none'}), got "
            f"{shorten(unknown)}.",
            "Name conditions of the column condition of the manifest, or leave data.conditions "
            "empty.",
        )
    return np.isin(segments.condition, list(conditions))


def _note_quality(counts: Sequence[QualityCounts], progress: Progress) -> None:
    eeg = sum(count.unusable_eeg for count in counts)
    faces = sum(count.unusable_faces for count in counts)
    if eeg or faces:
        removed = sum(count.removed for count in counts)
        progress.note(
            f"Quality rule (settings quality): the EEG of {eeg} segments and the faces of {faces} "
            f"are not used, which leaves {removed} of {sum(c.segments for c in counts)} segments "
            "without any data.",
            "info",
        )


def _note_exclusions(labeled: LabeledSegments, settings: Settings, progress: Progress) -> None:
    segments, labels = labeled.segments, labeled.labels
    modalities = settings.model.modalities
    filtered = "another condition, " if settings.data.conditions else ""
    excluded = int(np.sum(labels == EXCLUDED))
    if excluded == len(labels):
        raise InputError(
            f"No segment of the store can be used with model.modalities={modalities}: expected "
            "segments with a class and with EEG or faces.",
            "Prepare the missing recordings, or train with another --modalities.",
        )
    if excluded:
        no_class = "no label" if settings.data.target == "label" else "no rating, a dropped tie"
        progress.note(
            f"{excluded} of {len(labels)} segments are excluded: {filtered}{no_class}, or no "
            f"usable data for model.modalities={modalities}.",
            "info",
        )
    if modalities != "both":
        return
    for modality, found in (("faces", segments.faces_found > 0), ("EEG", segments.eeg_found)):
        lacking = [
            str(name)
            for name in np.unique(segments.participant)
            if not found[segments.participant == name].any()
        ]
        if lacking:
            progress.note(
                f"{', '.join(lacking)} without {modality}: the model uses the other modality only.",
                "warning",
            )
