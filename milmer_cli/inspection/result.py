"""`InspectionResult`: what `inspect` returns, prints and shows on its page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from milmer_cli.data.signal_quality import QualitySummary, SignalQuality
from milmer_cli.inspection.coverage import Coverage, ParticipantSummary
from milmer_cli.inspection.examples import SegmentExample
from milmer_cli.inspection.spectra import Spectra
from milmer_cli.json_files import to_json
from milmer_cli.settings.schema import QualitySettings
from milmer_cli.stage_result import StageResult
from milmer_cli.store import PreparedStore

NO_CLASS = "no class"


@dataclass(frozen=True, eq=False, repr=False)
class InspectionResult(StageResult):
    """Content of a prepared store.

    Attributes
    ----------
    page
        File of the page.
    store
    class_names
    label_rule
        How labels are derived, in words.
    participants
        One summary per participant.
    face_coverage, eeg_coverage
        Fraction of all instances with a face, and of all segments with EEG.
    coverage
        The same by participant and trial.
    quality
        Signal quality of each participant.
    quality_rule
        The rule that it was assessed with.
    spectra
        None if no participant has EEG.
    examples
        Segments to show.
    examples_description
        How the examples were chosen, in one sentence.
    findings
        Problems of the store, one sentence each.
    """

    format_name: ClassVar[str] = "inspect"

    page: Path
    store: PreparedStore
    class_names: tuple[str, ...]
    label_rule: str
    participants: tuple[ParticipantSummary, ...]
    face_coverage: float
    eeg_coverage: float
    coverage: Coverage
    quality: tuple[SignalQuality, ...]
    quality_rule: QualitySettings
    spectra: Spectra | None
    examples: tuple[SegmentExample, ...]
    examples_description: str
    findings: tuple[str, ...]

    @property
    def n_trials(self) -> int:
        """Number of trials of all participants."""
        return sum(participant.trials for participant in self.participants)

    @property
    def n_segments(self) -> int:
        """Number of segments of all participants."""
        return sum(participant.segments for participant in self.participants)

    @property
    def trials_per_class(self) -> dict[str, int]:
        """Number of trials by class; trials without a class are counted if there are any."""
        columns = zip(*(p.trials_per_class for p in self.participants), strict=True)
        counts = dict(zip(self.class_names, map(sum, columns), strict=True))
        without_class = sum(p.trials_without_class for p in self.participants)
        return {**counts, NO_CLASS: without_class} if without_class else counts

    @property
    def trials_per_condition(self) -> dict[str, int]:
        """Number of trials by experimental condition; empty if the store does not name any."""
        counts: Counter[str] = Counter()
        for participant in self.participants:
            counts.update(participant.conditions)
        return dict(counts)

    def to_json(self) -> dict[str, Any]:
        """Return the output of ``--json``."""
        return {
            "page": str(self.page),
            "participants": len(self.participants),
            "trials": self.n_trials,
            "segments": self.n_segments,
            "classes": self.trials_per_class,
            "sessions": {p.name: dict(p.sessions) for p in self.participants if p.sessions},
            "conditions": self.trials_per_condition,
            "face_coverage": self.face_coverage,
            "eeg_coverage": self.eeg_coverage,
            "quality": to_json(QualitySummary.of(self.quality)),
            "bad_channels": {q.participant: dict(q.worst_channels) for q in self.quality},
            "eog_variance": {p.name: p.eog_variance for p in self.participants},
            "findings": list(self.findings),
        }

    def summary(self) -> list[tuple[str, str]]:
        """Return the printed rows of label and value."""
        counts = ", ".join(f"{name} {count}" for name, count in self.trials_per_class.items())
        return [
            ("participants", str(len(self.participants))),
            ("trials", f"{self.n_trials} ({counts})"),
            ("segments", str(self.n_segments)),
            *self._named_counts(),
            ("coverage", f"faces {self.face_coverage:.1%}, EEG {self.eeg_coverage:.1%}"),
            *QualitySummary.of(self.quality).rows(),
            *(("note", finding) for finding in self.findings),
            ("page to open", str(self.page)),
        ]

    def _named_counts(self) -> list[tuple[str, str]]:
        """Rows of the recording sessions and the experimental conditions, if there are any."""
        rows = []
        if several := sum(len(p.sessions) > 1 for p in self.participants):
            n_sessions = sum(max(len(p.sessions), 1) for p in self.participants)
            rows.append(("sessions", f"{n_sessions}, several of {several} participants"))
        if conditions := self.trials_per_condition:
            counts = ", ".join(f"{name or 'none'} {n}" for name, n in conditions.items())
            rows.append(("conditions", counts))
        return rows
