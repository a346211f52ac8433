"""Progress of the jobs: one task for all of them, and one per participant in progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from milmer_cli.progress import Progress

TASK = "prepare"


class JobProgress:
    """Reports finished jobs to a progress sink.

    Backends do not report when a job starts. Jobs start in order and `n_workers` of them run at a
    time, so the task of a participant is started when its first job must have started.

    Parameters
    ----------
    participants
        Participant of each job, in the order in which the jobs start.
    n_workers
        Number of jobs that run at the same time.
    progress
        The sink.
    """

    def __init__(self, participants: Sequence[str], n_workers: int, progress: Progress) -> None:
        self._participants = participants
        self._n_jobs = Counter(participants)
        self._n_started = n_workers
        self._started: set[str] = set()
        self._progress = progress
        progress.start(TASK, total=len(participants), unit="parts")
        self._start_participants()

    def advance(self, participant: str) -> None:
        """Report a finished job."""
        self._progress.advance(TASK)
        self._progress.advance(participant)
        self._n_started += 1
        self._start_participants()

    def participant_done(self, participant: str) -> None:
        """Report that all jobs of a participant are finished."""
        self._progress.done(participant)

    def done(self) -> None:
        """Report that all jobs are finished."""
        self._progress.done(TASK)

    def _start_participants(self) -> None:
        for name in self._participants[: self._n_started]:
            if name not in self._started:
                self._started.add(name)
                self._progress.start(name, self._n_jobs[name], "parts")
