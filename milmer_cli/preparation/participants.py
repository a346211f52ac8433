"""Plan all participants, run their jobs, and write each file when its jobs are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from milmer_cli.datasets.base import Recordings
from milmer_cli.errors import InputError
from milmer_cli.preparation.backends import job_groups, run_jobs
from milmer_cli.preparation.jobs import JobContext, assemble_participant, jobs_of
from milmer_cli.preparation.plan import ParticipantPlan, plan_participant
from milmer_cli.preparation.progress import JobProgress
from milmer_cli.progress import Progress
from milmer_cli.settings.schema import Settings


def plan_participants(
    recordings: Recordings, out: Path, settings: Settings, detector: str, progress: Progress
) -> tuple[list[ParticipantPlan], dict[str, str]]:
    """Plan every participant of a data set.

    Returns
    -------
    plans
        Plans of the usable participants.
    excluded
        Participant -> why its recordings cannot be used. A warning is issued for each.

    Raises
    ------
    InputError
        No participant can be used, or one that ``data.participants`` selects.
    """
    plans, excluded = [], {}
    for name in recordings.participants():
        try:
            plan = plan_participant(recordings, name, out, settings, detector)
        except InputError as error:
            if settings.data.participants:
                raise
            excluded[name] = error.message
            progress.note(f"{name} is excluded: {error}", "warning")
            continue
        plans.append(plan)
        for warning in plan.warnings:
            progress.note(warning, "warning")
        if plan.message:
            progress.note(f"{name}: {plan.message}")
    if not plans:
        raise none_usable(excluded)
    return plans, excluded


def none_usable(excluded: Mapping[str, str]) -> InputError:
    """Return the error if no participant can be prepared."""
    first = next(iter(excluded.values()), "the data set has none.")
    return InputError(
        f"None of the {len(excluded)} participants can be prepared: {first}",
        "`milmer prepare --check` lists the problems of each participant.",
    )


def prepare_participants(
    contexts: Sequence[JobContext], settings: Settings, detector: str, progress: Progress
) -> dict[str, InputError]:
    """Run the jobs of all participants and write the file of each when its jobs are done.

    Parameters
    ----------
    contexts
        Contexts of the participants whose files are not up to date.
    settings
        Settings as given by the user; they are written into the files.
    detector
        Name of the face detector.
    progress
        Advanced by jobs.

    Returns
    -------
    dict
        Participant -> why its EEG cannot be preprocessed. A warning is issued for each.

    Raises
    ------
    InputError
        The EEG of a participant that ``data.participants`` selects cannot be preprocessed.
    """
    groups = job_groups([job for context in contexts for job in jobs_of(context)], settings)
    participants = [job.participant for jobs, _ in groups for job in jobs]
    job_progress = JobProgress(participants, groups[0][1] if groups else 0, progress)
    by_name = {context.plan.participant: context for context in contexts}
    n_left = {name: context.plan.n_jobs for name, context in by_name.items()}
    problems: dict[str, InputError] = {}

    def assemble(name: str) -> None:
        context = by_name[name]
        notes = assemble_participant(context.plan, context.out, settings, detector)
        for message in notes.get("messages", ()):
            is_warning = message in notes.get("warnings", ())
            progress.note(f"{name}: {message}", "warning" if is_warning else "info")

    for name, count in n_left.items():
        if not count:  # only ratings, class names or stimuli changed
            assemble(name)
    for result in run_jobs(groups, settings.run.scheduler):
        job_progress.advance(result.participant)
        if result.warning:
            progress.note(result.warning, "warning")
        if result.problem and result.participant not in problems:
            if settings.data.participants:
                raise result.problem
            problems[result.participant] = result.problem
            progress.note(f"{result.participant} is excluded: {result.problem}", "warning")
        n_left[result.participant] -= 1
        if not n_left[result.participant]:
            job_progress.participant_done(result.participant)
            if result.participant not in problems:
                assemble(result.participant)
    job_progress.done()
    return problems
