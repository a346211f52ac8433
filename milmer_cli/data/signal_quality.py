"""Which channels and segments of a store have a low quality, by the rule of section ``quality``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from milmer_cli.data.quality import good_channels, usable_eeg, usable_faces
from milmer_cli.errors import shorten
from milmer_cli.settings.schema import QualitySettings
from milmer_cli.store import PreparedParticipant, PreparedStore

POOR_SHARE = 0.1
"""Participants with a larger share of segments whose EEG is not usable are named in summaries."""


@dataclass(frozen=True, eq=False)
class SignalQuality:
    """Quality of the segments of one participant, in the order of the store.

    Attributes
    ----------
    participant
        Name.
    channels
        EEG channels; empty without EEG.
    trial
        (n_segments,) number of the trial.
    eeg_found, eeg_usable
        (n_segments,) bool: whether there is EEG, and whether it is usable.
    faces_usable
        (n_segments,) bool.
    good, interpolated
        (n_segments, n_channels) bool: good by the quality rule; values are interpolated.
    """

    participant: str
    channels: tuple[str, ...]
    trial: np.ndarray
    eeg_found: np.ndarray
    eeg_usable: np.ndarray
    faces_usable: np.ndarray
    good: np.ndarray
    interpolated: np.ndarray

    @property
    def bad_share(self) -> np.ndarray:
        """(n_segments,) share of the channels that are not good; NaN without EEG."""
        if not self.channels:
            return np.full(len(self.trial), np.nan)
        return np.where(self.eeg_found, 1 - self.good.mean(axis=1), np.nan)

    @property
    def worst_channels(self) -> list[tuple[str, float]]:
        """Channels that are bad in any segment, with the share of the segments, worst first."""
        if not self.eeg_found.any():
            return []
        shares = 1 - self.good[self.eeg_found].mean(axis=0)
        order = np.argsort(-shares, kind="stable")
        return [(self.channels[k], float(shares[k])) for k in order if shares[k] > 0]


def participant_quality(participant: PreparedParticipant, rule: QualitySettings) -> SignalQuality:
    """Apply the quality rule to the segments of a participant."""
    return SignalQuality(
        participant=participant.participant,
        channels=participant.channels if participant.eeg_found.any() else (),
        trial=participant.trial,
        eeg_found=participant.eeg_found,
        eeg_usable=participant.eeg_found & usable_eeg(participant.quality, rule),
        faces_usable=usable_faces(participant.found, rule),
        good=good_channels(participant.quality, rule),
        interpolated=participant.quality.interpolated,
    )


def store_quality(store: PreparedStore, rule: QualitySettings) -> tuple[SignalQuality, ...]:
    """Apply the quality rule to all participants of a store."""
    return tuple(participant_quality(store.participant(name), rule) for name in store.participants)


@dataclass(frozen=True)
class QualitySummary:
    """Quality of the EEG of several participants.

    Attributes
    ----------
    eeg_usable
        Share of the segments with EEG whose EEG is usable; NaN without EEG.
    bad_channels
        Mean share of bad channels in these segments; NaN without EEG.
    poor
        Participant -> share of the segments whose EEG is not usable, if more than `POOR_SHARE`.
    """

    eeg_usable: float
    bad_channels: float
    poor: Mapping[str, float]

    @classmethod
    def of(cls, qualities: Sequence[SignalQuality]) -> QualitySummary:
        """Summarize the quality of participants."""
        with_eeg = [quality for quality in qualities if quality.eeg_found.any()]
        if not with_eeg:
            return cls(math.nan, math.nan, {})
        usable = [quality.eeg_usable[quality.eeg_found] for quality in with_eeg]
        shares = {q.participant: 1 - float(u.mean()) for q, u in zip(with_eeg, usable, strict=True)}
        return cls(
            float(np.concatenate(usable).mean()),
            float(np.nanmean(np.concatenate([quality.bad_share for quality in with_eeg]))),
            {name: share for name, share in shares.items() if share > POOR_SHARE},
        )

    def rows(self) -> list[tuple[str, str]]:
        """Return (label, value) rows for the terminal."""
        if math.isnan(self.eeg_usable):
            return []
        text = f"usable in {self.eeg_usable:.1%} of the segments, {self.bad_channels:.1%} of the"
        rows = [("EEG quality", f"{text} channels bad")]
        if self.poor:
            listed = shorten([f"{name} ({share:.0%})" for name, share in self.poor.items()])
            rows.append(("poor EEG", f"{len(self.poor)}: {listed} of the segments not usable"))
        return rows
